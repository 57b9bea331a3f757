"""An HTTP proxy between a client and the local SageMaker that spoils chosen answers; requests pass unchanged."""

from __future__ import annotations

import http.client
import threading
import time
from collections import defaultdict, deque
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from malformed_answers import Malformed
    from typing_extensions import Self

_HOP_BY_HOP = frozenset({"connection", "expect", "keep-alive", "proxy-connection", "transfer-encoding"})
_HOST = "127.0.0.1"


class SpoilingRelay:
    """Spoils chosen responses, each once and in order, while its `with` block lasts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._to_spoil: dict[str, deque[Malformed | None]] = defaultdict(deque)
        self._calls: list[str] = []
        self._drips = 0
        self._dry = threading.Event()
        self._server = _Server(self)

    @property
    def url(self) -> str:
        return f"http://{_HOST}:{self._server.server_address[1]}"

    def environment(self) -> dict[str, str]:
        """The environment variables that make a client's calls go through it."""
        return {"HTTP_PROXY": self.url, "http_proxy": self.url, "NO_PROXY": "", "no_proxy": ""}

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.02], name="spoiling relay")
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.end_drips()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def spoil(self, operation: str, answers: Iterable[Malformed | None]) -> None:
        """Spoil the next answers of an operation with status 200; None lets one pass."""
        with self._lock:
            self._to_spoil[operation].extend(answers)

    def forget(self) -> None:
        """Pass everything on unchanged from now on."""
        with self._lock:
            self._to_spoil.clear()

    def left(self) -> dict[str, list[str]]:
        """Return what wasn't spoilt yet, by operation."""
        with self._lock:
            return {name: list(map(str, answers)) for name, answers in self._to_spoil.items() if answers}

    def wait_until_spoilt(self, seconds: float) -> bool:
        """Wait until nothing is left to spoil; return whether that came."""
        until = time.monotonic() + seconds
        while self.left() and time.monotonic() < until:
            time.sleep(0.02)
        return not self.left()

    def calls(self) -> list[str]:
        """Return the operations that were called, in order."""
        with self._lock:
            return list(self._calls)

    @property
    def drips(self) -> int:
        """The number of responses that are dripping at the moment."""
        return self._drips

    def pass_on(self, body: bytes, to: IO[bytes], pause: float) -> None:
        """Write a body; with a pause before each byte until `end_drips`, which cuts it off."""
        if not pause:
            to.write(body)
            return
        with self._lock:
            self._drips += 1
        try:
            for byte in body:
                if self._dry.wait(pause):
                    return
                to.write(bytes([byte]))
        finally:
            with self._lock:
                self._drips -= 1

    def end_drips(self) -> None:
        """Close the connections whose answers drip."""
        self._dry.set()

    def next_for(self, operation: str, status: int) -> Malformed | None:
        with self._lock:
            self._calls.append(operation)
            answers = self._to_spoil[operation]
            return answers.popleft() if answers and status == http.client.OK else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        self.close_connection = True
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with suppress(OSError):
            status, headers, answer = self._forward(body)
            spoilt = self.server.relay.next_for(_operation(self.command, self.path, self.headers, body), status)
            length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(answer))
            if spoilt is not None:
                answer = spoilt.spoil(answer)
                status, length = spoilt.status, spoilt.length or str(len(answer))
                headers = headers if spoilt.headers is None else spoilt.headers
            self._send(status, headers, length, answer, pause=0.0 if spoilt is None else spoilt.pause)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815  # http.server's own names

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        url = urlsplit(self.path)
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)
        try:
            path = url.path + (f"?{url.query}" if url.query else "")
            connection.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def _send(self, status: int, headers: Mapping[str, str], length: str, body: bytes, *, pause: float) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in _HOP_BY_HOP | {"content-length", "x-amz-crc32"}:
                self.send_header(name, value)
        if status != http.client.NO_CONTENT:
            self.send_header("Content-Length", length)
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.server.relay.pass_on(body, self.wfile, pause)

    def log_message(self, *_: object) -> None:
        """Log nothing: `SpoilingRelay.calls` has the calls."""


def _operation(method: str, url: str, headers: Mapping[str, str], body: bytes) -> str:
    """Name a call as AWS does."""
    if target := headers.get("X-Amz-Target"):
        return target.rpartition(".")[2]
    if method == "POST" and (action := parse_qs(body.decode(errors="replace")).get("Action")):
        return action[0]
    parts = urlsplit(url)
    if "list-type=2" in parts.query:
        return "ListObjectsV2"
    kind = "Object" if parts.path.strip("/").count("/") else "Bucket"
    return f"{method.capitalize()}{kind}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, relay: SpoilingRelay) -> None:
        super().__init__((_HOST, 0), _Handler)
        self.relay = relay

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a caller that hung up."""
