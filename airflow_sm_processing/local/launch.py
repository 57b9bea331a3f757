"""Run one instance's command in a private /opt/ml; all of its processes end with it, and with the server.

This is a separate program (`python -I -S launch.py`, standard library only): the server has threads, and a process with
threads can't safely fork and unshare. It reads one JSON line from stdin. After that, each byte on stdin makes it
send the command a SIGTERM, and end of file means that the server is gone. It writes one JSON line to the descriptor
`report`: `{"exit_code": 3}`, or `{"error": …}` when the command couldn't be started.

Isolation modes, from the strongest:

    namespace   mount and PID namespace: private /opt/ml, and the kernel ends all processes together
    mount       mount namespace: private /opt/ml; as a subreaper, this program finds all processes and kills them
    folder      no namespace: /opt/ml isn't private, and the caller rewrites the paths

If the JSON line has `network`, the instance gets a network namespace too, see `host_network.py`. In the mode `switch`,
this program only makes the network that a job's instances then join.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x00020000, 0x10000000, 0x20000000, 0x40000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_COULD_NOT_EXECUTE, _NOT_FOUND, _KILLED = 126, 127, 128


def main() -> None:
    """Run the instance that stdin describes."""
    spec, wanted = _read_spec()
    # The command's init inherits this, so that it loses no SIGTERM that arrives before it can forward it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        if spec["mode"] == "switch":
            _make_switch(spec)
            return
        if spec["mode"] != "folder":
            _enter_namespaces(with_pids=spec["mode"] == "namespace", network=spec.get("network"))
            _mount_private_paths(Path(spec["root"]))
        child = _start(spec)
        if wanted:
            os.kill(child, signal.SIGTERM)
        exit_code = _supervise(child)
        if spec["mode"] != "namespace":
            _kill_descendants(child)
        _report(spec, exit_code=exit_code)
    except OSError as error:
        _report(spec, error=f"{error.strerror}: {error.filename or ''}".rstrip(": "))


def _read_spec() -> tuple[dict[str, Any], bytes]:
    """Read the first line, and return it with the bytes that were read after it."""
    data = b""
    while b"\n" not in data:
        chunk = os.read(0, 65536)
        if not chunk:
            sys.exit("The server has gone.")
        data += chunk
    line, _, rest = data.partition(b"\n")
    return json.loads(line), rest


def _report(spec: dict[str, Any], **result: object) -> None:
    # The server may be gone, so that nobody reads the report.
    with contextlib.suppress(BrokenPipeError):
        os.write(spec["report"], json.dumps(result).encode() + b"\n")


def _libc(name: str, *arguments: Any, about: str = "") -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), f"{name} {about}".strip())


def _make_switch(spec: dict[str, Any]) -> None:
    has_own_user = _unshare(_CLONE_NEWNET)
    _host_network().make_switch(spec["channel"], has_own_user=has_own_user)
    _report(spec, exit_code=0)


def _host_network() -> Any:
    """Load the module by its path: this folder isn't on sys.path, as its modules would shadow the standard library."""
    found = importlib.util.spec_from_file_location("host_network", Path(__file__).with_name("host_network.py"))
    assert found is not None  # noqa: S101  # true for a file
    assert found.loader is not None  # noqa: S101  # true for a file
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def _enter_namespaces(*, with_pids: bool, network: dict[str, Any] | None) -> None:
    host = _host_network().Host(network, _libc) if network else None
    _unshare(_CLONE_NEWNS | (_CLONE_NEWPID if with_pids else 0) | (_CLONE_NEWNET if network else 0))
    if host:
        host.attach()
    _mount("none", "/", "", _MS_REC | _MS_PRIVATE)


def _unshare(flags: int) -> bool:
    """Unshare namespaces, and return whether a user namespace was needed for it."""
    uid, gid = os.getuid(), os.getgid()
    try:
        _libc("unshare", flags)
    except PermissionError:
        # Not privileged: a user namespace that keeps our uid and gid permits the rest.
        _libc("unshare", flags | _CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
        return True
    return False


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    texts = (os.fsencode(text) or None for text in (source, target, kind))
    _libc("mount", *texts, ctypes.c_ulong(flags), os.fsencode(data) or None, about=target)


def _mount_private_paths(root: Path) -> None:
    """Mount `root/ml` at /opt/ml, keeping the rest of /opt, and `root/hosts` at /etc/hosts."""
    opt, stage = Path("/opt"), root / "stage"
    _mount("tmpfs", str(stage), "tmpfs", 0, "mode=755")
    for entry in os.scandir(opt):
        if entry.name != "ml":
            _show(entry, stage / entry.name)
    (stage / "ml").mkdir()
    _mount(str(root / "ml"), str(stage / "ml"), "", _MS_BIND | _MS_REC)
    _mount(str(stage), str(opt), "", _MS_BIND | _MS_REC)
    if Path("/etc/hosts").exists():
        _mount(str(root / "hosts"), "/etc/hosts", "", _MS_BIND)


def _show(entry: os.DirEntry[str], place: Path) -> None:
    if entry.is_symlink():
        place.symlink_to(Path(entry.path).readlink())
        return
    place.mkdir() if entry.is_dir() else place.touch()
    _mount(entry.path, str(place), "", _MS_BIND | _MS_REC)


def _start(spec: dict[str, Any]) -> int:
    """Start the command, with its own init in a PID namespace; return the child's process id."""
    if spec["mode"] != "namespace":
        _adopt_orphans()
        return _fork(lambda: _execute(spec))
    return _fork(lambda: _init(spec))


def _fork(child: Any) -> int:
    """Fork, and run `child` in a process that dies with its parent."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        if sys.platform == "linux":
            _libc("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() not in {parent, 0}:  # 0: the parent is outside of our PID namespace
                os._exit(_KILLED + signal.SIGKILL)
        child()
    except (OSError, ValueError) as error:  # ValueError: a null character in the command or its environment
        os.write(2, f"[local] The sandbox couldn't be made: {error}\n".encode())
    finally:
        os._exit(_COULD_NOT_EXECUTE)


def _adopt_orphans() -> None:
    if sys.platform == "linux":
        _libc("prctl", _PR_SET_CHILD_SUBREAPER, 1)


def _init(spec: dict[str, Any]) -> NoReturn:
    """Act as process 1: start the command, forward SIGTERM, reap orphans, and exit when the command does."""
    _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    command = _fork(lambda: _execute(spec))
    signal.signal(signal.SIGTERM, lambda *_: os.kill(command, signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    _release_stdio()
    while True:
        pid, status = os.wait()
        if pid == command:
            os._exit(_exit_code(status))


def _execute(spec: dict[str, Any]) -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.set_inheritable(spec["report"], False)  # noqa: FBT003  # the standard library's own signature
    try:
        os.chdir(spec["directory"])
        os.execvpe(spec["command"][0], spec["command"], spec["environment"])  # noqa: S606  # that is its purpose
    except OSError as error:
        text = f"[local] Can't start {spec['command'][0]!r}: {error.strerror}. Is it in the image's environment?\n"
        os.write(1, text.encode())
        os._exit(_NOT_FOUND if isinstance(error, FileNotFoundError) else _COULD_NOT_EXECUTE)


def _release_stdio() -> None:
    """Close the log pipe here, so that it ends when the command's processes do."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)


def _supervise(child: int) -> int:
    """Wait for the child's end, or kill it when stdin reports that the server is gone."""
    lifeline = os.dup(0)
    _release_stdio()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    watched = [lifeline, woken]
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return _exit_code(status)
        ready, _, _ = select.select(watched, [], [])
        if woken in ready:
            os.read(woken, 512)
        if lifeline in ready:
            if os.read(lifeline, 512):
                _kill(child, signal.SIGTERM)
            else:
                _kill(child, signal.SIGKILL)
                watched.remove(lifeline)


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _kill_descendants(group: int) -> None:
    """Kill what the command left running: its process group, and on Linux the orphans that became our children."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    while children := _children():
        for pid in children:
            _kill(pid, signal.SIGKILL)
        for pid in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _children() -> list[int]:
    """Return our living children. A killed child's children become ours, so repeated calls find all."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it may have ended meanwhile
            parent = stat.read_text(errors="replace").rpartition(")")[2].split()[1]
            if int(parent) == os.getpid():
                found.append(int(stat.parent.name))
    return found


def _exit_code(status: int) -> int:
    """Return the exit code as Docker does: 128 plus the signal's number for a killed process."""
    return _KILLED + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


if __name__ == "__main__":
    main()
