"""The network of a job's hosts: one of their own where the machine permits it, else this machine's."""

from __future__ import annotations

import array
import contextlib
import os
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable


NetworkMode = Literal["auto", "own", "shared"]
"""`auto`: an own network for the hosts of a job that has several; `own`: for each job; `shared`: for none."""
_MAX_DESCRIPTORS = 2


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where the server listens, and how it serves a listening socket of another network too."""

    port: int
    serve: Callable[[socket.socket], None]
    """Serves until the socket is shut down."""


class Network:
    """The addresses of a job's hosts, and the namespaces behind them if they have a network of their own."""

    def __init__(self, namespaces: tuple[int, ...] = ()) -> None:
        self._namespaces = namespaces

    @property
    def is_own(self) -> bool:
        """Whether hosts reach each other and the server by it, and nothing else."""
        return bool(self._namespaces)

    def address(self, number: int) -> str:
        """Return a host's address; those of an own network are ones that the internet never has (RFC 5737)."""
        return f"192.0.2.{number}" if self.is_own else f"127.0.1.{number}"

    def host(self, number: int, endpoint: Endpoint) -> HostNetwork | None:
        """Make a host's place in an own network."""
        if not self.is_own:
            return None
        return HostNetwork(self._namespaces, number=number, address=self.address(number), endpoint=endpoint)

    def close(self) -> None:
        """End the network, once no host uses it: nothing else keeps its namespaces."""
        for descriptor in self._namespaces:
            os.close(descriptor)
        self._namespaces = ()


class HostNetwork:
    """One host's place in its job's network, while its helper runs."""

    def __init__(self, namespaces: tuple[int, ...], *, number: int, address: str, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._ours, self._theirs = socket.socketpair()
        self._lock = threading.Lock()
        self._is_closed = False
        self._listener: socket.socket | None = None
        self._server = threading.Thread(target=self._serve, name=f"network-{address}", daemon=True)
        self.descriptors = [self._theirs.fileno(), *namespaces]
        """What the helper inherits."""
        self.spec: dict[str, Any] = {
            "channel": self._theirs.fileno(),
            "namespaces": list(namespaces),
            "number": number,
            "address": address,
            "port": endpoint.port,
        }

    def start(self) -> None:
        """Serve the host, the helper having been started."""
        self._theirs.close()
        self._server.start()

    def _serve(self) -> None:
        for descriptor in receive_descriptors(self._ours):
            listener = socket.socket(fileno=descriptor)
            with self._lock, listener if self._is_closed else contextlib.nullcontext():
                self._listener = listener
            self._endpoint.serve(listener)

    def close(self) -> None:
        """Serve no more, the helper having ended."""
        with self._lock:
            self._is_closed = True
            waited_on = [self._ours, self._listener] if self._listener else [self._ours]
        for opened in waited_on:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)  # wakes who waits on it, as closing doesn't
        if self._server.ident is not None:
            self._server.join()
        for opened in (*waited_on, self._theirs):
            opened.close()


def receive_descriptors(channel: socket.socket) -> list[int]:
    """Return what a helper sends, nothing if it ended first."""
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
