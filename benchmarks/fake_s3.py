"""An S3 that answers uploads at once and keeps nothing, behind a link with a chosen latency.

moto takes about 300 small PUTs a second: it, not the client, would be measured. This one speaks just enough HTTP/1.1
(keep-alive, `Expect: 100-continue`, Content-Length and chunked bodies) and S3 (PutObject, the multipart calls, the
Heads) for boto3 and the AWS CRT client. Run as `python -m benchmarks.fake_s3 SECONDS_EACH_WAY`, it prints its port,
and ends when its standard input closes.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

ETAG = b'ETag: "00000000000000000000000000000000"\r\n'
CREATED = b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
COMPLETED = b'<CompleteMultipartUploadResult><ETag>"0-1"</ETag></CompleteMultipartUploadResult>'


class Head(NamedTuple):
    method: bytes
    target: bytes
    headers: dict[bytes, bytes]


class Link:
    """One direction of a connection: bytes come out `delay` seconds after they went in, in order."""

    def __init__(self, out: Callable[[bytes], None], delay: float) -> None:
        self._out = out
        self._delay = delay
        self._loop = asyncio.get_running_loop()
        self._queue: deque[bytes] = deque()

    def send(self, data: bytes, *, extra: float = 0.0) -> None:
        if not self._delay:
            self._out(data)
            return
        self._queue.append(data)
        self._loop.call_later(self._delay + extra, lambda: self._out(self._queue.popleft()))


class Connection(asyncio.Protocol):
    """Answer one client's requests."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._buffer = bytearray()
        self._head: Head | None = None
        self._left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._up = Link(self._arrived, self._delay)
        self._down = Link(self._depart, self._delay)
        # The kernel shakes hands on loopback without our latency: a new connection's round trip is paid here.
        self._open_at = self._up._loop.time() + 2 * self._delay

    def data_received(self, data: bytes) -> None:
        self._up.send(data, extra=max(0.0, self._open_at - self._up._loop.time()))

    def _depart(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def _arrived(self, data: bytes) -> None:
        if self._head is not None and self._left >= len(data):
            self._left -= len(data)  # the body of a big part: counted, never stored
        else:
            self._buffer += data
        while self._step():
            pass

    def _step(self) -> bool:
        if self._head is None:
            return self._read_head()
        if self._left:
            taken = min(self._left, len(self._buffer))
            del self._buffer[:taken]
            self._left -= taken
        if self._left or (_is_chunked(self._head) and not self._skip_chunks()):
            return False
        self._down.send(_answer(self._head))
        self._head = None
        return bool(self._buffer)

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        self._head = _parsed(bytes(self._buffer[:end]))
        del self._buffer[: end + 4]
        self._left = int(self._head.headers.get(b"content-length", b"0"))
        if self._head.headers.get(b"expect", b"").lower() == b"100-continue":
            self._down.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def _skip_chunks(self) -> bool:
        while (end := self._buffer.find(b"\r\n")) >= 0:
            size = int(bytes(self._buffer[:end]).split(b";")[0], 16)
            if len(self._buffer) < end + 2 + size + 2:
                return False
            del self._buffer[: end + 2 + size + 2]
            if not size:
                return True
        return False


def _is_chunked(head: Head) -> bool:
    return head.headers.get(b"transfer-encoding") == b"chunked"


def _parsed(text: bytes) -> Head:
    first, *lines = text.split(b"\r\n")
    method, target, _ = first.split(b" ", 2)
    pairs = (line.split(b":", 1) for line in lines)
    return Head(method, target, {name.lower(): value.strip() for name, value in pairs})


def _answer(head: Head) -> bytes:
    if head.method == b"POST":
        body = CREATED if b"uploads" in head.target.partition(b"?")[2] else COMPLETED
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    return b"HTTP/1.1 200 OK\r\n" + ETAG + b"Content-Length: 0\r\n\r\n"


async def serve(delay: float) -> None:
    """Serve on a free port of 127.0.0.1, and print it, until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(delay), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
