"""One instance's command, started by the helper in the strongest isolation that this machine permits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Mode = Literal["namespace", "mount", "folder"]
"""What `launch.py` says about its modes."""

_LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True, kw_only=True)
class Command:
    """What runs, where."""

    root: Path
    """The instance's folder: `ml` becomes /opt/ml, `hosts` becomes /etc/hosts, `stage` is the helper's."""
    directory: Path
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)


class Sandbox:
    """A command that runs, with the helper around it."""

    def __init__(self, command: Command, mode: Mode) -> None:
        report, result = os.pipe()
        self._report = os.fdopen(report, "rb")
        try:
            self._helper = subprocess.Popen(  # noqa: S603  # the helper's own path
                [sys.executable, "-I", "-S", str(_LAUNCH)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[result],
                start_new_session=True,
                env={},
            )
        finally:
            os.close(result)
        self._send(command, mode, result)

    def _send(self, command: Command, mode: Mode, report: int) -> None:
        spec = {
            "mode": mode,
            "report": report,
            "root": str(command.root),
            "directory": str(command.directory),
            "command": list(command.arguments),
            "environment": dict(command.environment),
        }
        lifeline = self._helper.stdin
        assert lifeline is not None  # noqa: S101  # PIPE above
        lifeline.write(json.dumps(spec).encode() + b"\n")
        lifeline.flush()

    @property
    def output(self) -> int:
        """The descriptor that stdout and stderr of all of the command's processes are read from."""
        assert self._helper.stdout is not None  # noqa: S101  # PIPE in __init__
        return self._helper.stdout.fileno()

    def terminate(self) -> None:
        """Send SIGTERM to the command."""
        self._helper.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End all processes of the command, whatever they think of it."""
        lifeline = self._helper.stdin
        assert lifeline is not None  # noqa: S101  # PIPE in __init__
        lifeline.close()

    def wait(self) -> int:
        """Wait for the end of the command and all its processes, and give its exit code.

        Raises:
            OSError: the sandbox couldn't be made.
        """
        line = self._report.readline()
        self._helper.wait()
        result = json.loads(line) if line else {"error": f"the helper died with {self._helper.returncode}"}
        if "error" in result:
            raise OSError(f"The sandbox couldn't be made: {result['error']}")
        return int(result["exit_code"])

    def close(self) -> None:
        """Let go of the pipes; call it after wait."""
        for stream in (self._report, self._helper.stdin, self._helper.stdout):
            if stream is not None:
                stream.close()


@cache
def strongest_mode() -> Mode:
    """Try the modes out, and give the strongest that works here."""
    modes: tuple[Mode, ...] = ("namespace", "mount")
    return next((mode for mode in modes if _works(mode)), "folder")


def _works(mode: Mode) -> bool:
    with tempfile.TemporaryDirectory(prefix="airflow-sm-probe-") as folder:
        root = Path(folder)
        make_root(root)
        (root / "ml" / "probe").touch()
        shell = Path("/bin/sh")
        command = Command(
            root=root, directory=root, arguments=[str(shell), "-c", "test -f /opt/ml/probe"], environment={}
        )
        sandbox = Sandbox(command, mode)
        try:
            return sandbox.wait() == 0
        except OSError:
            return False
        finally:
            sandbox.close()


def make_root(root: Path, *, hosts: str = "") -> None:
    """Make what `launch.py` mounts from: `ml`, `stage` and `hosts`."""
    for name in ("ml", "stage"):
        (root / name).mkdir(parents=True)
    system = Path("/etc/hosts")
    (root / "hosts").write_text((system.read_text() if system.exists() else "") + hosts)
