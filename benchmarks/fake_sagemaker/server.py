"""JSON 1.1 over HTTP/1.1 with just enough of both for botocore and aiobotocore."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from benchmarks.fake_sagemaker.service import Service

if TYPE_CHECKING:
    from benchmarks.fake_sagemaker.plan import Plan


class Connection(asyncio.Protocol):
    """Answer one client's requests, each `latency` seconds after it came."""

    def __init__(self, service: Service, latency: float) -> None:
        self._service = service
        self._latency = latency
        self._buffer = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._step():
            pass

    def _step(self) -> bool:
        """Answer a request if it came whole."""
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return False
        first, headers = _parsed(head)
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return False
        self._buffer = rest[length:]
        target = headers.get("x-amz-target") or first.split(" ")[1]
        answer = self._answered(target, rest[:length])
        self._loop.call_later(self._latency, self._depart, answer)
        return bool(self._buffer)

    def _answered(self, target: str, body: bytes) -> bytes:
        status, answer = self._service.answer(target, json.loads(body or b"{}"))
        return _response(status, answer)

    def _depart(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


def _parsed(head: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.split(":", 1) for line in lines)
    return first, {name.lower(): value.strip() for name, value in pairs}


def _response(status: int, answer: dict[str, Any]) -> bytes:
    body = json.dumps(answer).encode()
    head = (
        f"HTTP/1.1 {status} {'OK' if status == 200 else 'Bad Request'}\r\n"
        f"x-amzn-RequestId: {uuid.UUID(int=time.time_ns())}\r\n"
        "Content-Type: application/x-amz-json-1.1\r\n"
        f"Date: {formatdate(usegmt=True)}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def serve(plan: Plan) -> None:
    """Serve on a free port of 127.0.0.1, and print it, until standard input ends."""
    loop = asyncio.get_running_loop()
    service = Service(plan)
    server = await loop.create_server(lambda: Connection(service, plan.latency), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()
