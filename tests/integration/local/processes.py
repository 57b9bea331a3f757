"""Looking for processes by their command lines."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path


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


def wait_until_gone(marker: str, *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while left := running(marker):
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


def children(parent: int) -> set[int]:
    """Return the ids of a process's children, those of all its threads."""
    found: set[int] = set()
    for listed in Path(f"/proc/{parent}/task").glob("*/children"):
        with suppress(OSError):  # a thread may end while it is looked at
            found.update(map(int, listed.read_text().split()))
    return found


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
