"""JSON 1.1 over HTTP/1.1 with just enough of both for botocore and aiobotocore."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
import time
import uuid
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from benchmarks.fake_sagemaker.service import Service
from benchmarks.fake_sagemaker.trouble import Trouble

if TYPE_CHECKING:
    from benchmarks.fake_sagemaker.plan import Plan


class Connection(asyncio.Protocol):
    """Answer one client's requests, each `latency` seconds after it came; or, in trouble, not at all."""

    def __init__(self, service: Service, plan: Plan) -> None:
        self._service = service
        self._latency = plan.latency
        self._hold = plan.hold
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
        self._receive(headers.get("x-amz-target") or first.split(" ")[1], rest[:length])
        return bool(self._buffer)

    def _receive(self, target: str, body: bytes) -> None:
        trouble = self._service.trouble(target)
        if trouble in {Trouble.RESET, Trouble.SILENCE, Trouble.LATE}:
            seconds = self._latency if trouble is Trouble.RESET else self._hold
            self._loop.call_later(seconds, self._reset, target if trouble is Trouble.LATE else None, body)
            return
        answer = _response(*self._service.answer(target, json.loads(body or b"{}"), trouble))
        if trouble in {Trouble.LOST, Trouble.UNHEARD}:
            self._loop.call_later(self._latency if trouble is Trouble.LOST else self._hold, self._reset, None, b"")
        else:
            self._loop.call_later(self._latency, self._depart, answer)

    def _reset(self, target: str | None, body: bytes) -> None:
        """End the connection with a reset, after carrying out a call that nobody waits for any more."""
        if target is not None:
            self._service.answer(target, json.loads(body))
        if not self._transport.is_closing():
            connection = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()

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
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
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
    server = await loop.create_server(lambda: Connection(service, plan), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()
