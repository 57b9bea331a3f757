"""Run one command, and see to it that nothing of it is left when it ends or when its starter is gone.

A program of its own (`python -I -S guard.py COMMAND…`, standard library only), because only an ancestor that outlives
the starter can clean up behind it. Stdin is the lifeline: at its end, also that of a killed starter, the command gets
SIGINT, and SIGKILL with all its descendants after `GRACE_SECONDS`. On Linux, the guard adopts what its command leaves
behind (Airflow's task processes start sessions of their own, so a process group alone would miss them).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

GRACE_SECONDS = float(os.environ.get("DEMO_GRACE_SECONDS", "20"))
"""What Airflow's scheduler gets to end its tasks' processes."""
_PR_SET_CHILD_SUBREAPER = 36


def main() -> int:
    """Run the command of the command line, and return its exit code."""
    # A terminal's Ctrl-C is for the starter: it decides, by the lifeline. (SIG_IGN would be inherited by the command.)
    signal.signal(signal.SIGINT, lambda *_: None)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
    ended, end = os.pipe()
    threading.Thread(target=_announce_end, args=(command, end), daemon=True).start()
    select.select([sys.stdin, ended], [], [])
    if command.poll() is None:
        _stop(command)
    _kill_descendants(command.pid)
    return _exit_code(command.returncode)


def _exit_code(returned: int) -> int:
    """Return the exit code as shells do: 128 and the signal's number for a killed command."""
    return returned if returned >= 0 else 128 - returned


def _announce_end(command: subprocess.Popen[bytes], end: int) -> None:
    command.wait()
    os.close(end)


def _stop(command: subprocess.Popen[bytes]) -> None:
    command.send_signal(signal.SIGINT)
    try:
        command.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        command.kill()
        command.wait()


def _kill_descendants(group: int) -> None:
    """Kill the command's process group and whoever became our child as an orphan, until none is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    while children := _children():
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _children() -> list[int]:
    """Return our children: a killed child's children become ours, so repeating this finds all descendants."""
    found = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(pid) for pid in found.read_text().split()] if found.exists() else []


if __name__ == "__main__":
    sys.exit(main())
