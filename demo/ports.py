"""TCP ports on loopback."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Say whether one can listen on a port of loopback."""
    try:
        # create_server reuses addresses, as uvicorn does: a port that was left a moment ago is free.
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True
