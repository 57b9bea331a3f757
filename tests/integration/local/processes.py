"""Looking for processes by their command lines."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tests.waiting import wait_until


def running(marker: str) -> list[str]:
    """Return the command lines that have a marker; a process that is gone by the time we look has none."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if marker in command:
            found.append(command)
    return found


def wait_until_gone(marker: str) -> None:
    wait_until(lambda: not running(marker), shows=lambda: running(marker))


def children(parent: int) -> set[int]:
    """Return the ids of a process's children, those of all its threads."""
    found: set[int] = set()
    for listed in Path(f"/proc/{parent}/task").glob("*/children"):
        with suppress(OSError):  # a thread may end while it is looked at
            found.update(map(int, listed.read_text().split()))
    return found


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
