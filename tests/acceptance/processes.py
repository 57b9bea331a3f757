"""What the operating system says about an Airflow's processes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

LOOPBACK = "0100007F"
"""127.0.0.1 as the kernel writes it."""
_LISTEN = "0A"


def processes_of(home: Path) -> set[int]:
    """Return the processes that have a file in this folder open: all of a home's log to files there.

    (Their environment isn't usable: Airflow overwrites it when it sets a process's title.)
    """
    pids = (int(folder.name) for folder in Path("/proc").glob("[0-9]*"))
    return {pid for pid in pids if any(file.startswith(f"{home}/") for file in _open_files(pid))}


def task_processes(task_instance_id: str) -> dict[str, int]:
    """Find the process of a task's try, by the title that Airflow gives it, and its supervisor: the parent."""
    title = f"airflow worker -- {task_instance_id}"
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            if (folder / "cmdline").read_bytes().rstrip(b"\0 ").decode(errors="replace") == title:
                status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
                return {"task": int(folder.name), "supervisor": int(status["PPid"])}
    raise LookupError(f"no process has the title {title!r}")


def works_on(pid: int, task_instance_id: str) -> bool:
    """Return whether a process is a task's or supervises it; the local executor's supervisors go on to other tasks."""
    try:
        return task_instance_id.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def listening_hosts(pids: set[int]) -> set[str]:
    """Return the addresses that any of these processes listens on, in the kernel's hexadecimal form."""
    sockets = {file for pid in pids for file in _open_files(pid) if file.startswith("socket:")}
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    return {line[1].partition(":")[0] for line in lines if line[3] == _LISTEN and f"socket:[{line[9]}]" in sockets}


def _open_files(pid: int) -> set[str]:
    files = set()
    with suppress(OSError):  # the process has ended meanwhile, or is somebody else's
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                files.add(str(link.readlink()))
    return files
