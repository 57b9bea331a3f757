"""TCP ports on loopback."""

from __future__ import annotations

import random
import socket

HOST = "127.0.0.1"
_UNASSIGNED = range(15_000, 32_000)
"""Ports that Linux and macOS don't assign to outgoing connections by themselves."""


def free_port() -> int:
    """Return a port of loopback that nobody listens on now.

    The system assigns it to nobody before a server listens on it: Airflow takes ten seconds and more until it does.
    """
    for port in random.SystemRandom().sample(_UNASSIGNED, len(_UNASSIGNED)):
        if is_free(port):
            return port
    raise OSError(f"Each port of {HOST} from {_UNASSIGNED[0]} to {_UNASSIGNED[-1]} is in use.")


def is_free(port: int) -> bool:
    """Say whether one can listen on a port of loopback."""
    try:
        # create_server reuses addresses, as uvicorn does: a port that was left a moment ago is free.
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True
