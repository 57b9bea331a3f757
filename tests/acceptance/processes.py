"""What the operating system says about an Airflow's processes."""

from __future__ import annotations

from pathlib import Path

LOOPBACK = "0100007F"
"""127.0.0.1 as the kernel writes it."""
_LISTEN = "0A"


def processes_of(home: Path) -> set[int]:
    """Give the processes that have a file in this folder open: all of a home's log to files there.

    (Their environment doesn't tell: Airflow overwrites it when it sets a process's title.)
    """
    pids = (int(folder.name) for folder in Path("/proc").glob("[0-9]*"))
    return {pid for pid in pids if any(file.startswith(f"{home}/") for file in _open_files(pid))}


def listening_hosts(pids: set[int]) -> set[str]:
    """Give the addresses that any of these processes listens on, in the kernel's hexadecimal form."""
    sockets = {file for pid in pids for file in _open_files(pid) if file.startswith("socket:")}
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    return {line[1].partition(":")[0] for line in lines if line[3] == _LISTEN and f"socket:[{line[9]}]" in sockets}


def _open_files(pid: int) -> set[str]:
    return {_target(link) for link in Path(f"/proc/{pid}/fd").glob("*")}


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # closed meanwhile, or somebody else's
        return ""
