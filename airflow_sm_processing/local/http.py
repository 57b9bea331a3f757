"""The HTTP server: werkzeug's, on loopback, which leaves no thread and no connection behind."""

from __future__ import annotations

import logging
import socket
import threading
from typing import TYPE_CHECKING, Any

from moto.core.request import PRESERVED_HEADER_NAMES_ENVIRON_KEY, environ_key_for_header
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

LOOPBACK = "127.0.0.1"
_log = logging.getLogger(__name__)


class _Handler(WSGIRequestHandler):
    # Header and body are written apart; without this the body waits for the header's acknowledgement.
    disable_nagle_algorithm = True

    def make_environ(self) -> dict[str, Any]:
        """Keep S3 metadata names with underscores, which werkzeug drops and moto wants spelled as sent."""
        environ = super().make_environ()
        names: dict[str, str] = {}
        for name, value in self.headers.items():
            if "_" in name and name.lower().startswith("x-amz-meta-"):
                key = environ_key_for_header(name)
                names[key] = name
                environ[key] = value
        environ[PRESERVED_HEADER_NAMES_ENVIRON_KEY] = names
        return environ

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  # werkzeug's own name
        """Log calls for who debugs; werkzeug would colour them on stderr."""
        level = logging.ERROR if type == "error" else logging.DEBUG
        _log.log(level, "%s", message % args if args else message)


class HttpServer(ThreadedWSGIServer):
    """Serves until it is closed; closing ends every open connection and waits for every thread."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, port: int, application: WSGIApplication) -> None:
        # werkzeug takes the protocol from the handler's class: 1.1 keeps connections open.
        handler = type("Handler", (_Handler,), {"protocol_version": "HTTP/1.1"})
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        # Made here, as werkzeug ends the whole process when a port is taken.
        with _listen(port) as listener:
            super().__init__(LOOPBACK, port, application, handler, fd=listener.fileno())
        self._thread = threading.Thread(target=self.serve_forever, args=[0.05], name="local-sagemaker", daemon=True)

    def start(self) -> None:
        """Serve in a thread of its own."""
        self._thread.start()

    def serve_also(self, listener: socket.socket) -> None:
        """Serve who connects to another socket, until it is shut down."""
        while True:
            try:
                connection, address = listener.accept()
            except OSError:
                return
            self.process_request(connection, address)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Note the connection, to be able to end it."""
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection that has ended."""
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def close(self) -> None:
        """Stop serving."""
        self.shutdown()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            _shut(connection)
        self._thread.join()  # serve_forever ends with server_close, which waits for the connections' threads


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((LOOPBACK, port), backlog=128)
    except OSError as error:
        raise ValueError(f"Port {port} is in use. Choose another, or 0 for any: {error.strerror}.") from error


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        _log.debug("A connection had ended already")
