"""Separate environments, created once and kept; uv links files instead of copying them."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
UV = (sys.executable, "-m", "uv")


def environment(
    name: str, *requirements: str | Path, wanted: Path | None = None, python: str | Path = sys.executable
) -> Path:
    """Return the folder of the commands of an environment with this package.

    Args:
        name: The environment's name.
        requirements: Arguments of `uv pip install` in addition to the package, including options.
        wanted: A file whose change recreates the environment, as does that of pyproject.toml with the entry points.
        python: The interpreter to create it with.
    """
    folder = ROOT / f".venv-{name}"
    stamp = folder / ".installed"
    files = [file for file in (wanted, ROOT / "pyproject.toml") if file]
    with _only_process(ROOT / f".venv-{name}.lock"):
        if not stamp.exists() or any(stamp.stat().st_mtime < file.stat().st_mtime for file in files):
            subprocess.run([*UV, "venv", "--quiet", "--clear", "--python", python, folder], check=True)
            install(folder / "bin", *requirements)
            stamp.touch()
    return folder / "bin"


@contextmanager
def _only_process(lock: Path) -> Iterator[None]:
    """Hold the lock file: pytest-xdist's processes may all come here at once."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def install(commands: Path, *requirements: str | Path) -> None:
    """Install something into an environment."""
    subprocess.run([*UV, "pip", "install", "--quiet", "--python", commands / "python", *requirements], check=True)
