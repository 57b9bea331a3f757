"""The SageMaker SDK in an environment of its own, so that the package never depends on it."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE = Path(__file__).parent


class _Environment(NamedTuple):
    """Where a version of the SDK is installed, and from what."""

    path: Path
    constraints: Path
    """Pinned versions; renew with `uv pip compile --universal --python-version 3.10` over the requirement."""
    requirement: str

    @property
    def python(self) -> Path:
        return self.path / "bin" / "python"

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.constraints.read_bytes() + sys.version.encode()).hexdigest()


_ENVIRONMENTS = {
    "v2": _Environment(_HERE.parents[1] / ".venv-sdk", _HERE / "sdk-constraints.txt", "sagemaker<3"),
    "v3": _Environment(_HERE.parents[1] / ".venv-sdk3", _HERE / "sdk3-constraints.txt", "sagemaker-core>=2"),
}


def sdk_python(version: str = "v2") -> Path:
    """Return the Python of a version of the SDK, whose environment is made when it is missing or its pins have changed.

    Of v3, it has the part that defines jobs.
    """
    environment = _ENVIRONMENTS[version]
    environment.path.mkdir(exist_ok=True)
    with _only_process(environment.path / ".creation-lock"):
        stamp = environment.path / ".installed"
        if not stamp.exists() or stamp.read_text() != environment.fingerprint:
            _install(environment)
            stamp.write_text(environment.fingerprint)
    return environment.python


def _install(environment: _Environment) -> None:
    _uv("venv", "--allow-existing", "--python", sys.executable, str(environment.path))
    _uv(
        *("pip", "install", "--python", str(environment.python)),
        *("--constraint", str(environment.constraints), environment.requirement),
    )


def _uv(*arguments: str) -> None:
    command = [sys.executable, "-m", "uv", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"The SDK's environment could not be made: {command}\n{done.stderr}")


@contextmanager
def _only_process(lock: Path) -> Iterator[None]:
    """Hold the lock file, which must not be uv's own `.lock`: pytest-xdist's processes all come here at once."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
