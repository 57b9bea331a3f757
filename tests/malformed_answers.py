"""Responses with status 200 that can't be read, as from proxies, half-dead servers and later versions of a service.

Each is made from the true response, so that it is wrong in only one respect.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CREATE", "DESCRIBE", "LIST", "LOGS", "ODD_DESCRIPTIONS", "S3", "STREAMS", "TAGS", "Malformed"]

Json = dict[str, Any]
_DEPTH = 100_000
_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><p>Proxy sign-in<br></body></html>"
_PLAIN_PAGE = b"<html><body><p>Sign in</p></body></html>"
_HTML = {"Content-Type": "text/html"}


@dataclass(frozen=True)
class Malformed:
    """One way to spoil an answer."""

    id: str
    spoil: Callable[[bytes], bytes]
    """Makes the spoilt body from the true one."""
    headers: dict[str, str] | None = None
    """In place of the true answer's; None keeps those."""
    status: int = 200
    length: str | None = None
    """What Content-Length says; None says the truth. The connection is closed after the answer."""
    pause: float = 0.0
    """Seconds before each byte of the body."""

    def __str__(self) -> str:
        return self.id


def _fixed(body: bytes) -> Callable[[bytes], bytes]:
    return lambda _: body


def _edited(edit: Callable[[Json], Any]) -> Callable[[bytes], bytes]:
    """Spoil the JSON; `edit` changes it in place, or returns what takes its place."""

    def spoil(body: bytes) -> bytes:
        answer = json.loads(body)
        edited = edit(answer)
        return json.dumps(answer if edited is None else edited).encode()

    return spoil


def _without(*path: Any) -> Callable[[bytes], bytes]:
    def edit(answer: Any) -> None:
        for step in path[:-1]:
            answer = answer[step]
        del answer[path[-1]]

    return _edited(edit)


def _with(value: Any, *path: Any) -> Callable[[bytes], bytes]:
    def edit(answer: Any) -> None:
        for step in path[:-1]:
            answer = answer[step]
        answer[path[-1]] = value

    return _edited(edit)


BODIES = [
    Malformed("empty", _fixed(b"")),
    Malformed("no content", _fixed(b""), status=204),
    Malformed("blank", _fixed(b" \n")),
    Malformed("half", lambda body: body[: len(body) // 2]),
    Malformed("first byte", lambda body: body[:1]),
    Malformed("last byte missing", lambda body: body[:-1]),
    Malformed("half, and the length of all", lambda body: body[: len(body) // 2], length="100000"),
    Malformed("length too short", lambda body: body, length="7"),
    Malformed("HTML", _fixed(_PAGE), headers=_HTML),
    Malformed("HTML, said to be JSON", _fixed(_PAGE)),
    Malformed("XML", _fixed(b"<Answer><Status>ok</Status></Answer>"), headers={"Content-Type": "text/xml"}),
    Malformed("text", _fixed(b"OK")),
    Malformed("empty object", _fixed(b"{}")),
    Malformed("null", _fixed(b"null")),
    Malformed("true", _fixed(b"true")),
    Malformed("number", _fixed(b"7")),
    Malformed("huge number", _fixed(b"1" * 5000)),
    Malformed("NaN", _fixed(b"NaN")),
    Malformed("string", _fixed(b'"ok"')),
    Malformed("empty list", _fixed(b"[]")),
    Malformed("list of it", _edited(lambda answer: [answer])),
    Malformed("wrapped", _edited(lambda answer: {"Answer": answer})),
    Malformed(
        "keys in lower case", _edited(lambda answer: {f"_{key.lower()}": value for key, value in answer.items()})
    ),
    Malformed("an error", _fixed(b'{"__type": "InternalFailure", "message": "oops"}')),
    Malformed("deep list", _fixed(b"[" * _DEPTH + b"]" * _DEPTH)),
    Malformed("deep object", _fixed(b'{"a":' * _DEPTH + b"1" + b"}" * _DEPTH)),
    Malformed("no UTF-8", lambda body: body.replace(b"a", b"\xff", 3)),
    Malformed("UTF-16", lambda body: body.decode().encode("utf-16")),
    Malformed("byte order mark", lambda body: b"\xef\xbb\xbf" + body),
    Malformed("zero bytes", lambda body: b"\0" * len(body)),
    Malformed("twice", lambda body: body + body),
    Malformed("trailing text", lambda body: body + b"<!-- served by proxy -->"),
    Malformed("single quotes", lambda body: body.replace(b'"', b"'")),
    Malformed("compressed, and not said", gzip.compress),
]
"""Of any operation that answers a JSON object with at least one field that is needed."""

_DATES = [{}, [], "soon", "2026-13-45T00:00:00Z", 1e300]


def _mistyped(field: str, *values: Any) -> list[Malformed]:
    return [Malformed(f"{field}={json.dumps(value)[:40]}", _with(value, field)) for value in values]


DESCRIBE = [
    *BODIES,
    *(
        Malformed(f"{kind} {field}", spoil)
        for field in ("ProcessingJobName", "ProcessingJobArn", "ProcessingJobStatus")
        for kind, spoil in (("no", _without(field)), ("null", _with(None, field)))
    ),
    *_mistyped(
        "ProcessingJobStatus", 7, 1.5, "", ["Completed"], {"Value": "Completed"}, "Comp\x1b[2Jleted", "A" * 10_000
    ),
    *_mistyped("ProcessingJobName", 7, "", "another-job", ["a"]),
    *_mistyped("ProcessingJobArn", 7, "", {}),
    *_mistyped("CreationTime", *_DATES),
    *_mistyped("ProcessingStartTime", *_DATES[:4]),
    *_mistyped("ProcessingEndTime", *_DATES[:4]),
    *_mistyped("ProcessingInputs", "none", 7, [7], {"a": "b"}, [{}], [None]),
    *_mistyped("ProcessingOutputConfig", "none", 7, [], {"Outputs": "none"}, {"Outputs": [{}]}, {"Outputs": [7]}),
    *_mistyped("ProcessingResources", "none", 7, [], {"ClusterConfig": 7}, {"ClusterConfig": {"InstanceCount": "two"}}),
    *_mistyped("Environment", "none", 7, [], {"A": 7}, {"A": ["b"]}),
    *_mistyped("FailureReason", 7, ["a"], {}),
    *_mistyped("ExitMessage", 7, ["a"], {}),
]
"""Of DescribeProcessingJob."""

ODD_DESCRIPTIONS = [
    *(
        Malformed(f"status {status}", _with(status, "ProcessingJobStatus"))
        for status in ("Deleting", "completed", "Queued")
    ),
    Malformed("naive date", _with("2026-01-02T03:04:05", "CreationTime")),
    Malformed("no date", _without("CreationTime")),
    Malformed("null for what need not be there", _with(None, "Environment")),
    Malformed("a field of later versions", _with({"A": [1]}, "ProcessingJobMood")),
]
"""Of DescribeProcessingJob: these can be read, and none says that the job has ended."""


def _summary(**fields: Any) -> Callable[[bytes], bytes]:
    return _edited(lambda answer: answer["ProcessingJobSummaries"][0].update(fields))


_BAD_SUMMARIES = [
    *(
        Malformed(f"a summary without {field}", _without("ProcessingJobSummaries", 0, field))
        for field in ("ProcessingJobName", "ProcessingJobStatus")
    ),
    *(
        Malformed(f"a summary with {field}={value!r}", _summary(**{field: value}))
        for field, values in {
            "ProcessingJobName": (None, 7, "", ["a"]),
            "ProcessingJobStatus": (None, 7, "", ["Completed"], {}),
            "CreationTime": ("soon", {}, 1e300),
            "LastModifiedTime": ("soon", [], 1e300),
            "ProcessingEndTime": ("soon", {}),
            "ProcessingJobArn": (7, {}),
        }.items()
        for value in values
    ),
    *(
        Malformed(f"a summary that is {value!r}", _with(value, "ProcessingJobSummaries", 0))
        for value in (None, 7, "job", [], {})
    ),
]
"""Wrong in the first of the listed jobs alone."""

LIST = [
    *BODIES,
    *_mistyped("ProcessingJobSummaries", None, "none", 7, {"a": 1}),
    *_mistyped("NextToken", 7, ["a"], {}),
    *_BAD_SUMMARIES,
]
"""Of ListProcessingJobs that lists at least one job."""

CREATE = [
    *BODIES,
    *_mistyped("ProcessingJobArn", None, 7, "", ["arn"], {}),
    Malformed("no ProcessingJobArn", _without("ProcessingJobArn")),
]
"""Of CreateProcessingJob; the job is made."""

TAGS = [
    *BODIES,
    *_mistyped("Tags", "none", 7, {"a": "b"}, [7], [{}], [{"Key": "a"}], [{"Key": 7, "Value": "b"}], [None]),
    *_mistyped("NextToken", 7, {}),
]
"""Of ListTags."""

STREAMS = [
    *BODIES,
    *_mistyped(
        "logStreams",
        "none",
        7,
        {"a": 1},
        [7],
        [{}],
        [None],
        [{"logStreamName": 7}],
        [{"logStreamName": "other/algo-1"}],
    ),
    *_mistyped("nextToken", 7, {}),
]
"""Of DescribeLogStreams."""

_EVENT = {"timestamp": 1_700_000_000_000, "message": "late", "ingestionTime": 1_700_000_000_000}
LOGS = [
    *BODIES,
    *_mistyped("events", None, "none", 7, {"a": 1}, [7], ["a"], [{}], [None]),
    *(
        Malformed(f"an event with {field}={str(value)[:20]!r}", _with([{**_EVENT, field: value}], "events"))
        for field, values in {
            "timestamp": (None, "soon", {}, -1, 1e300, 10**30, True),
            "message": (None, 7, ["a"], {}),
            "ingestionTime": ("soon", {}),
        }.items()
        for value in values
    ),
    *_mistyped("nextForwardToken", None, 7, {}, ""),
]
"""Of GetLogEvents; all but the last four of FilterLogEvents too."""

_XML = {"Content-Type": "application/xml"}
S3_BODIES = [
    Malformed("empty", _fixed(b"")),
    Malformed("half", lambda body: body[: len(body) // 2]),
    Malformed("half, and the length of all", lambda body: body[: len(body) // 2], length="100000"),
    Malformed("HTML", _fixed(_PAGE), headers=_HTML),
    Malformed("well-formed HTML", _fixed(_PLAIN_PAGE), headers=_HTML),
    Malformed("another answer", _fixed(b"<ListAllMyBucketsResult></ListAllMyBucketsResult>"), headers=_XML),
    Malformed("JSON", _fixed(b"{}"), headers={"Content-Type": "application/json"}),
    Malformed("text", _fixed(b"OK"), headers={"Content-Type": "text/plain"}),
    Malformed("no UTF-8", _fixed(b"<a>\xff\xfe</a>"), headers=_XML),
    Malformed("zero bytes", lambda body: b"\0" * len(body)),
    Malformed("size no number", lambda body: body.replace(b"<Size>", b"<Size>x")),
    Malformed("no size", lambda body: body.replace(b"<Size>", b"<Sise>").replace(b"</Size>", b"</Sise>")),
    Malformed("date no date", lambda body: body.replace(b"<LastModified>", b"<LastModified>x")),
]
S3 = S3_BODIES
"""Of ListObjectsV2 that lists at least one object."""
S3_OBJECTS = [
    Malformed("HTML", _fixed(_PAGE), headers=_HTML),
    Malformed("text", _fixed(b"OK"), headers={"Content-Type": "text/plain"}),
    Malformed("empty", _fixed(b""), headers={}),
    Malformed("half, and the length of all", lambda body: body[: len(body) // 2], length="100000"),
]
"""Of GetObject."""
