"""An HTTP relay that holds a chosen call, cuts all connections, and notes what reached the other side.

It stands between a task and SageMaker as an HTTP proxy (requests pass unchanged, so that their signatures stay valid),
and between Airflow's supervisors and its execution API under that API's own address.
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from demo.ports import HOST

from .calls import Answer, At, Hold, Passed, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

_HOP_BY_HOP = frozenset({"connection", "expect", "keep-alive", "proxy-connection", "transfer-encoding"})
_ANSWERED_WITHIN_SECONDS = 120.0
_ENDS_WITHIN_SECONDS = 0.25


class Relay:
    """Forwards calls to a port on loopback while its `with` block lasts."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._holds: list[Hold] = []
        self._passed: list[Passed] = []
        self._server = _Server(self)
        self.port: int = self._server.server_address[1]
        self.is_cut = False
        """Whether all connections are closed, including new ones at once."""

    @property
    def url(self) -> str:
        """Where callers reach it."""
        return f"http://{HOST}:{self.port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=[_ENDS_WITHIN_SECONDS], name=f"relay {self.port}"
        )
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.forget()
        self._server.shutdown()
        self.cut()
        self._server.server_close()
        self._thread.join()

    def hold(self, matches: Callable[[Request], bool], *, at: At) -> Hold:
        """Hold the next call that matches."""
        hold = Hold(matches, at)
        with self._lock:
            self._holds.append(hold)
        return hold

    def forget(self) -> None:
        """Drop what is held, mend what is cut and forget what passed."""
        with self._lock:
            for hold in self._holds:
                hold.drop()
            self._holds, self._passed = [], []
        self.is_cut = False

    def cut(self) -> None:
        """Close every connection, and each new one at once, until mended; what is held is dropped."""
        self.is_cut = True
        with self._lock:
            for hold in self._holds:
                hold.drop()
        self._server.hang_up()

    def mend(self) -> None:
        """Serve again."""
        self.is_cut = False

    def passed(self) -> list[Passed]:
        """Return the calls that were answered, in order."""
        with self._lock:
            return list(self._passed)

    def passes(self, request: Request, at: At) -> bool:
        """Hold a call if it has to be held here; return whether it goes on."""
        with self._lock:
            held = [hold for hold in self._holds if hold.at is at and not hold.is_reached]
        for hold in held:
            if hold.matches(request):
                return hold.stop_here()
        return not self.is_cut

    def forward(self, request: Request) -> Answer:
        """Carry a call out."""
        connection = http.client.HTTPConnection(HOST, self._target, timeout=_ANSWERED_WITHIN_SECONDS)
        try:
            connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    connection.putheader(name, value)
            connection.endheaders(request.body)
            response = connection.getresponse()
            answer = Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()
        self._note(Passed(request.operation, request.value("ProcessingJobName"), answer.status, time.monotonic()))
        return answer

    def _note(self, passed: Passed) -> None:
        with self._lock:
            self._passed.append(passed)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        request = self._request()
        relay = self.server.relay
        try:
            if not relay.passes(request, At.REQUEST):
                return self._hang_up()
            answer = relay.forward(request)
            if not relay.passes(request, At.ANSWER):
                return self._hang_up()
            self._send(answer)
        except (OSError, http.client.HTTPException):  # either side has gone: so goes the other
            self._hang_up()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815  # http.server's own names

    def _request(self) -> Request:
        url = urlsplit(self.path)
        path = url.path + (f"?{url.query}" if url.query else "")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return Request(self.command, path, self.headers, body)

    def _send(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        length = dict(answer.headers).get("Content-Length", "0") if self.command == "HEAD" else str(len(answer.body))
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(answer.body)

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Log nothing: `Relay.passed` has the calls."""


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, relay: Relay) -> None:
        super().__init__((HOST, 0), _Handler)
        self.relay = relay
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()

    def hang_up(self) -> None:
        """Close every connection."""
        with self._connections_lock:
            connections = list(self._connections)
        for connection in connections:
            with suppress(OSError):  # it had ended already
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._connections_lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._connections_lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a caller that was killed in the middle of its call."""
