"""HTTP in and out of the endpoint."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import Message

CREDENTIAL = re.compile(r"Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")


@dataclass(frozen=True)
class Request:
    """One signed call. The signature's access key names the side and the case that it belongs to."""

    method: str
    target: str
    headers: Message[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        """Return the query of the URL; a key without value, such as `uploads`, has an empty one."""
        pairs = parse_qs(urlsplit(self.target).query, keep_blank_values=True)
        return {name: values[0] for name, values in pairs.items()}

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}

    @property
    def scope(self) -> re.Match[str]:
        """Return the signature's access `key`, `region` and `service`."""
        found = CREDENTIAL.search(self.headers.get("Authorization", ""))
        if not found:
            raise ValueError(f"{self.method} {self.target} isn't signed: whose case is it?")
        return found


@dataclass(frozen=True)
class Reply:
    """What the endpoint answers."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/xml"
    headers: Mapping[str, str] = field(default_factory=dict)


def json_reply(content: Any, status: int = 200) -> Reply:
    """Answer as AWS's JSON services do."""
    return Reply(json.dumps(content).encode(), status, "application/x-amz-json-1.1")


def xml_reply(content: str, status: int = 200) -> Reply:
    """Answer as AWS's XML services do."""
    return Reply(f'<?xml version="1.0" encoding="UTF-8"?>{content}'.encode(), status)


def content_of(request: Request) -> bytes:
    """Return the body without the chunk framing and trailers of `aws-chunked`."""
    if "aws-chunked" not in request.headers.get("Content-Encoding", ""):
        return request.body
    content, rest = b"", request.body
    while True:
        head, _, rest = rest.partition(b"\r\n")
        size = int(head.split(b";")[0], 16)
        if not size:
            return content
        content, rest = content + rest[:size], rest[size + 2 :]
