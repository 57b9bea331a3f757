"""Create a network namespace for an instance, connected to those of the job's other instances, with rtnetlink.

This is part of the helper `launch.py`, which loads it by its path when needed (standard library only). A switch is a
network namespace with a bridge. Each host's namespace has a loopback, which leads to the server, and `eth0`, one end of
a pair of virtual interfaces whose other end is in the bridge. So hosts reach each other and the server, nothing else.
"""

from __future__ import annotations

import array
import os
import socket
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
_BRIDGE, _INTERFACE, _LOOPBACK_INDEX = "hosts", "eth0", 1
_SUBNET_BITS = 24
_BACKLOG = 128
# linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, linux/veth.h
_NEWLINK, _NEWADDR = 16, 20
_REQUEST, _ACK, _EXCLUSIVE, _CREATE = 1, 4, 0x200, 0x400
_IFF_UP = 1
_IFNAME, _MASTER, _LINKINFO, _NET_NS_FD = 3, 10, 18, 28
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_ADDRESS, _LOCAL = 1, 2
_HEADER = struct.Struct("=IHHII")


def make_switch(channel: int, *, has_own_user: bool) -> None:
    """Make a bridge in the current network namespace, and send the descriptors of the current namespaces."""
    with _netlink() as sender:
        _request(sender, _NEWLINK, _link(name=_BRIDGE, kind="bridge"), flags=_CREATE | _EXCLUSIVE)
    kinds = ["net", "user"] if has_own_user else ["net"]
    opened = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds]
    _send(channel, opened)


class Host:
    """The place of an instance in its job's network."""

    def __init__(self, spec: dict[str, Any], libc: Callable[..., None]) -> None:
        """Join the switch's namespaces; the caller then unshares the network namespace."""
        self._spec = spec
        network, *user = spec["namespaces"]
        if user:
            libc("setns", user[0], CLONE_NEWUSER, about="the job's user namespace")
        libc("setns", network, CLONE_NEWNET, about="the job's network namespace")
        for descriptor in spec["namespaces"]:
            os.close(descriptor)  # else the command would inherit it
        self._switch = _netlink()
        self._bridge = socket.if_nametoindex(_BRIDGE)

    def attach(self) -> None:
        """Connect the current network namespace to the switch, and send the server a socket to serve."""
        own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        peer = (
            _link_header(flags=0)
            + _attribute(_IFNAME, _text(_INTERFACE))
            + _attribute(_NET_NS_FD, struct.pack("=I", own))
        )
        pair = _link(
            name=f"host{self._spec['number']}",
            kind="veth",
            data=_attribute(_VETH_PEER, peer),
            more=_attribute(_MASTER, struct.pack("=I", self._bridge)),
        )
        with self._switch as sender:
            _request(sender, _NEWLINK, pair, flags=_CREATE | _EXCLUSIVE)
        os.close(own)
        with _netlink() as sender:
            index = socket.if_nametoindex(_INTERFACE)
            for number in (_LOOPBACK_INDEX, index):
                _request(sender, _NEWLINK, _link_header(number))
            _request(sender, _NEWADDR, _address(index, self._spec["address"]), flags=_CREATE | _EXCLUSIVE)
        with socket.create_server(("127.0.0.1", self._spec["port"]), backlog=_BACKLOG) as listener:
            _send(self._spec["channel"], [listener.fileno()])


def _send(channel: int, descriptors: list[int]) -> None:
    with socket.socket(fileno=channel) as opened:
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
        opened.sendmsg([bytes([len(descriptors)])], [rights])


def _netlink() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)  # 0: NETLINK_ROUTE


def _request(sender: socket.socket, kind: int, body: bytes, *, flags: int = 0) -> None:
    """Send the kernel a request.

    Raises:
        OSError: The kernel's error.
    """
    header = _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | _ACK | flags, 1, 0)
    sender.send(header + body)
    answer = sender.recv(65536)
    (error,) = struct.unpack_from("=i", answer, _HEADER.size)
    if error:
        raise OSError(-error, os.strerror(-error), "the network of the job's hosts")


def _link_header(index: int = 0, *, flags: int = _IFF_UP) -> bytes:
    """Return an interface's header; `flags` bring it up. A pair's second end can't be up before the first exists."""
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, flags)


def _link(*, name: str, kind: str, data: bytes = b"", more: bytes = b"") -> bytes:
    info = _attribute(_INFO_KIND, _text(kind)) + (_attribute(_INFO_DATA, data) if data else b"")
    return _link_header() + _attribute(_IFNAME, _text(name)) + more + _attribute(_LINKINFO, info)


def _address(index: int, address: str) -> bytes:
    packed = socket.inet_aton(address)
    header = struct.pack("=BBBBI", socket.AF_INET, _SUBNET_BITS, 0, 0, index)
    return header + _attribute(_LOCAL, packed) + _attribute(_ADDRESS, packed)


def _attribute(kind: int, payload: bytes) -> bytes:
    size = struct.calcsize("=HH") + len(payload)
    return struct.pack("=HH", size, kind) + payload + b"\0" * (-size % 4)


def _text(text: str) -> bytes:
    return text.encode() + b"\0"
