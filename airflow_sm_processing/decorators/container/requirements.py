"""Install what the function imports."""

from __future__ import annotations

import collections
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RequirementsError", "install"]

_SHOWN_LINES = 15
# The container belongs to the job alone, whatever its image says about its environment. The user's PIP_… variables
# take precedence.
_PIP = {
    "PIP_BREAK_SYSTEM_PACKAGES": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_PROGRESS_BAR": "off",
    "PIP_ROOT_USER_ACTION": "ignore",
}


class RequirementsError(Exception):
    """pip failed; the text has its last lines."""


def install(requirements: Sequence[str]) -> None:
    """Install the lines of a requirements file into this interpreter's environment.

    Raises:
        RequirementsError: The installation failed, or there is no pip.
    """
    print("Installing the task's requirements with pip", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "requirements.txt")
        file.write_text("\n".join(requirements) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--requirement", str(file)]
        exit_code, last_lines = _run(command)
    if exit_code:
        shown = "\n".join(last_lines)
        raise RequirementsError(f"pip could not install the requirements (exit code {exit_code}):\n{shown}")


def _run(command: Sequence[str]) -> tuple[int, Sequence[str]]:
    """Run a command, print its lines as they come, and keep the last ones."""
    last_lines: collections.deque[str] = collections.deque(maxlen=_SHOWN_LINES)
    process = subprocess.Popen(  # noqa: S603  # the user's own requirements, in the user's own container
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**_PIP, **os.environ},
        universal_newlines=True,
        errors="replace",
    )
    with process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            last_lines.append(line.rstrip())
    return process.returncode, last_lines
