"""One HTTP server on loopback that plays AWS for every side of every case at once."""

from __future__ import annotations

import threading
import traceback
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING

from .request import Reply, Request
from .services import answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .account import Account


class RecordingEndpoint(ThreadingMixIn, HTTPServer):
    """Answers each signed call in the account that its access key names."""

    daemon_threads = False  # `server_close` waits for every connection's thread

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_call(self, request: Request) -> Reply:
        """Answer a call; a call that the endpoint can't answer is a 501 that says why."""
        try:
            with self.lock:
                return answer(request, self.accounts[request.scope["key"]])
        except Exception:  # noqa: BLE001 - the caller's traceback shows it, and no retry hides it
            return Reply(traceback.format_exc().encode(), 501, "text/plain")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each reply waits 40 ms for the acknowledgement of its head
    server: RecordingEndpoint

    def handle_one_call(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        reply = self.server.handle_call(Request(self.command, self.path, self.headers, body))
        self.send_response(reply.status)
        for name, value in {"Content-Type": reply.content_type, **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_one_call  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Stay silent: the accounts are the record."""


@contextmanager
def recording_endpoint() -> Iterator[RecordingEndpoint]:
    """Serve on a free port until the block ends; close every client before that."""
    server = RecordingEndpoint()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
