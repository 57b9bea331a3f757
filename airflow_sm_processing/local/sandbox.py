"""Run an instance's command in the strongest isolation that this machine permits, and the network of a job's hosts."""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from airflow_sm_processing.local.folders import PROBE_PREFIX, make_private

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Mode = Literal["namespace", "mount", "folder"]
"""The isolation modes of `launch.py`."""

NetworkMode = Literal["auto", "own", "shared"]
"""`auto`: a separate network for the hosts of each job that has several; `own`: for every job; `shared`: for none."""
_MAX_DESCRIPTORS = 2
_LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command, and its folder and environment."""

    root: Path
    """The instance's folder: `ml` becomes /opt/ml, `hosts` becomes /etc/hosts, and the helper uses `stage`."""
    directory: Path
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)


class Sandbox:
    """A running command, and the helper that runs it."""

    def __init__(self, command: Command, mode: Mode, network: HostNetwork | None = None) -> None:
        report, result = os.pipe()
        self._report = os.fdopen(report, "rb")
        self._lifeline = threading.Lock()
        self._network = network
        try:
            self._helper = _start_helper([result, *(network.descriptors if network else ())])
        finally:
            os.close(result)
        if network:
            network.start()
        self._send(command, mode, result)

    def _send(self, command: Command, mode: Mode, report: int) -> None:
        spec = {
            "mode": mode,
            "report": report,
            "root": str(command.root),
            "directory": str(command.directory),
            "command": list(command.arguments),
            "environment": dict(command.environment),
            "network": self._network.spec if self._network else None,
        }
        self._write(json.dumps(spec).encode() + b"\n")

    def _write(self, data: bytes) -> None:
        assert self._helper.stdin is not None  # noqa: S101  # PIPE in __init__
        # A helper that has already ended says why in its report.
        with self._lifeline, contextlib.suppress(BrokenPipeError):
            if not self._helper.stdin.closed:
                self._helper.stdin.write(data)
                self._helper.stdin.flush()

    @property
    def output(self) -> int:
        """The descriptor to read stdout and stderr of all of the command's processes from."""
        assert self._helper.stdout is not None  # noqa: S101  # PIPE in __init__
        return self._helper.stdout.fileno()

    def terminate(self) -> None:
        """Send SIGTERM to the command."""
        self._write(b"T")

    def kill(self) -> None:
        """Kill all processes of the command."""
        assert self._helper.stdin is not None  # noqa: S101  # PIPE in __init__
        with self._lifeline, contextlib.suppress(BrokenPipeError):
            self._helper.stdin.close()

    def wait(self) -> int:
        """Wait for the end of the command and all its processes, and return its exit code.

        Raises:
            OSError: The sandbox couldn't be created.
        """
        line = self._report.readline()
        self._helper.wait()
        result = json.loads(line) if line else {"error": f"the helper died with {self._helper.returncode}"}
        if "error" in result:
            raise OSError(f"The sandbox couldn't be made: {result['error']}")
        return int(result["exit_code"])

    def close(self) -> None:
        """Close the pipes; call it after wait."""
        assert self._helper.stdout is not None  # noqa: S101  # PIPE in __init__
        self.kill()
        self._helper.stdout.close()
        self._report.close()
        if self._network:
            self._network.close()


def _start_helper(descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  # the helper's own path
        [sys.executable, "-I", "-S", str(_LAUNCH)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=descriptors,
        start_new_session=True,
        env={},
    )


def make_switch() -> tuple[int, ...]:
    """Make the network of a job's hosts, and return descriptors of its namespaces, which the hosts join.

    Raises:
        OSError: This machine doesn't permit it.
    """
    ours, theirs = socket.socketpair()
    report, result = os.pipe()
    with ours, theirs, os.fdopen(report, "rb") as answer:
        try:
            helper = _start_helper([result, theirs.fileno()])
        finally:
            os.close(result)
        spec = {"mode": "switch", "channel": theirs.fileno(), "report": result}
        helper.communicate(json.dumps(spec).encode() + b"\n")
        theirs.close()
        namespaces = receive_descriptors(ours)
        said = answer.read()
    if not namespaces:
        raise OSError(f"The network of the job's hosts couldn't be made: {said.decode(errors='replace')}")
    return tuple(namespaces)


@cache
def strongest_mode() -> Mode:
    """Try each mode, and return the strongest that works here."""
    modes: tuple[Mode, ...] = ("namespace", "mount")
    return next((mode for mode in modes if works(mode)), "folder")


def works(mode: Mode) -> bool:
    """Return whether a mode works here, by trying it."""
    return runs(mode, None)


def runs(mode: Mode, network: HostNetwork | None) -> bool:
    """Return whether a mode works here with a network, by trying it."""
    with tempfile.TemporaryDirectory(prefix=PROBE_PREFIX) as folder:
        root = Path(folder)
        make_root(root)
        (root / "ml" / "probe").touch()
        shell = Path("/bin/sh")
        command = Command(
            root=root, directory=root, arguments=[str(shell), "-c", "test -f /opt/ml/probe"], environment={}
        )
        sandbox = Sandbox(command, mode, network)
        try:
            return sandbox.wait() == 0
        except OSError:
            return False
        finally:
            sandbox.close()


def network_of(hosts: int, wanted: NetworkMode, mode: Mode) -> Network:
    """Return the network for a job with that many hosts."""
    if wanted == "shared" or (wanted == "auto" and hosts == 1) or not can_be_own(mode):
        return Network()
    return Network(make_switch())


@cache
def can_be_own(mode: Mode) -> bool:
    """Return whether this machine permits a separate network for a job's hosts."""
    if mode == "folder":
        return False
    try:
        network = Network(make_switch())
    except OSError:
        return False
    try:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            endpoint = Endpoint(port=unused.getsockname()[1], serve=lambda _: None)
        return runs(mode, network.host(1, endpoint))
    finally:
        network.close()


def make_root(root: Path, *, hosts: str = "") -> None:
    """Make the folders and the file that `launch.py` mounts: `ml`, `stage` and `hosts`."""
    for name in ("ml", "stage"):
        make_private(root / name)
    system = Path("/etc/hosts")
    (root / "hosts").write_text((system.read_text() if system.exists() else "") + hosts)


# The network of a job's hosts: a separate one where the machine permits it, else this machine's


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """The server's address, and a function that serves a listening socket in another network."""

    port: int
    serve: Callable[[socket.socket], None]
    """Serves a socket until it is shut down."""


class Network:
    """The addresses of a job's hosts, and their namespaces if they have a separate network."""

    def __init__(self, namespaces: tuple[int, ...] = ()) -> None:
        self._namespaces = namespaces

    @property
    def is_own(self) -> bool:
        """Whether it is a separate network, in which hosts reach only each other and the server."""
        return bool(self._namespaces)

    @property
    def interface(self) -> str:
        """The network interface by which hosts reach each other."""
        return "eth0" if self.is_own else "lo"

    def address(self, number: int) -> str:
        """Return a host's address; a separate network has addresses that aren't used in the internet (RFC 5737)."""
        return f"192.0.2.{number}" if self.is_own else f"127.0.1.{number}"

    def host(self, number: int, endpoint: Endpoint) -> HostNetwork | None:
        """Return a host's place in a separate network; None in a shared one."""
        if not self.is_own:
            return None
        return HostNetwork(self._namespaces, number=number, address=self.address(number), endpoint=endpoint)

    def close(self) -> None:
        """Close the namespaces' descriptors, which ends the network once no host uses it."""
        for descriptor in self._namespaces:
            os.close(descriptor)
        self._namespaces = ()


class HostNetwork:
    """One host's place in its job's network, for as long as its helper runs."""

    def __init__(self, namespaces: tuple[int, ...], *, number: int, address: str, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._ours, self._theirs = socket.socketpair()
        self._lock = threading.Lock()
        self._is_closed = False
        self._listener: socket.socket | None = None
        self._server = threading.Thread(target=self._serve, name=f"network-{address}", daemon=True)
        self.descriptors = [self._theirs.fileno(), *namespaces]
        """The descriptors that the helper inherits."""
        self.spec: dict[str, Any] = {
            "channel": self._theirs.fileno(),
            "namespaces": list(namespaces),
            "number": number,
            "address": address,
            "port": endpoint.port,
        }

    def start(self) -> None:
        """Begin to serve the host; call it after the helper was started."""
        self._theirs.close()
        self._server.start()

    def _serve(self) -> None:
        for descriptor in receive_descriptors(self._ours):
            listener = socket.socket(fileno=descriptor)
            with self._lock, listener if self._is_closed else contextlib.nullcontext():
                self._listener = listener
            self._endpoint.serve(listener)

    def close(self) -> None:
        """Stop serving the host; call it after the helper has ended."""
        with self._lock:
            self._is_closed = True
            waited_on = [self._ours, self._listener] if self._listener else [self._ours]
        for opened in waited_on:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits on it; closing wouldn't
        if self._server.ident is not None:
            self._server.join()
        for opened in (*waited_on, self._theirs):
            opened.close()


def receive_descriptors(channel: socket.socket) -> list[int]:
    """Return the descriptors that a helper sends; none if it ended first."""
    received = array.array("i")
    try:
        size = socket.CMSG_SPACE(_MAX_DESCRIPTORS * received.itemsize)
        _, data, _, _ = channel.recvmsg(1, size, socket.MSG_CMSG_CLOEXEC)
    except OSError:
        return []
    for level, kind, payload in data:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            received.frombytes(payload[: len(payload) - len(payload) % received.itemsize])
    return list(received)
