"""What the operating system says about an Airflow's processes."""

from __future__ import annotations

from pathlib import Path


def processes_of(home: Path) -> set[int]:
    """Give the processes that have this AIRFLOW_HOME in their environment."""
    mark = f"AIRFLOW_HOME={home}".encode()
    return {int(folder.name) for folder in Path("/proc").glob("[0-9]*") if mark in _environment(folder)}


def listening_hosts(pids: set[int]) -> set[str]:
    """Give the addresses that any of these processes listens on, in the kernel's hexadecimal form."""
    sockets = {inode for pid in pids for inode in _socket_inodes(pid)}
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    return {line[1].partition(":")[0] for line in lines if line[3] == _LISTEN and line[9] in sockets}


LOOPBACK = "0100007F"
_LISTEN = "0A"


def _environment(folder: Path) -> list[bytes]:
    try:
        return (folder / "environ").read_bytes().split(b"\0")
    except OSError:  # it ended meanwhile, or is somebody else's
        return []


def _socket_inodes(pid: int) -> set[str]:
    found = set()
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            target = str(link.readlink())
        except FileNotFoundError:  # closed meanwhile
            continue
        if target.startswith("socket:["):
            found.add(target.removeprefix("socket:[").removesuffix("]"))
    return found
