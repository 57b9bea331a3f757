"""The SageMaker SDK in an environment of its own, so that the package never depends on it."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CONSTRAINTS = Path(__file__).with_name("sdk-constraints.txt")
"""Pinned versions; renew with `uv pip compile --universal --python-version 3.10` over `sagemaker<3`."""
ENVIRONMENT = Path(__file__).parents[2] / ".venv-sdk"


def sdk_python() -> Path:
    """Return the SDK's Python, creating its environment when it is missing or its pins have changed."""
    ENVIRONMENT.mkdir(exist_ok=True)
    with _only_process(ENVIRONMENT / ".creation-lock"):
        stamp = ENVIRONMENT / ".installed"
        if not stamp.exists() or stamp.read_text() != _fingerprint():
            _install()
            stamp.write_text(_fingerprint())
    return ENVIRONMENT / "bin" / "python"


def _install() -> None:
    _uv("venv", "--allow-existing", "--python", sys.executable, str(ENVIRONMENT))
    _uv(
        *("pip", "install", "--python", str(ENVIRONMENT / "bin" / "python")),
        *("--constraint", str(CONSTRAINTS), "sagemaker<3"),
    )


def _uv(*arguments: str) -> None:
    command = [sys.executable, "-m", "uv", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"The SDK's environment {ENVIRONMENT} could not be made: {command}\n{done.stderr}")


def _fingerprint() -> str:
    return hashlib.sha256(CONSTRAINTS.read_bytes() + sys.version.encode()).hexdigest()


@contextmanager
def _only_process(lock: Path) -> Iterator[None]:
    """Hold the lock file, which must not be uv's own `.lock`: pytest-xdist's processes all come here at once."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
