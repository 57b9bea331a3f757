"""Calls that pass through a relay, and the object that holds one."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_HELD_AT_MOST_SECONDS = 900.0


class At(Enum):
    """Where on its way a call is held."""

    REQUEST = "request"
    """It left the caller, and didn't reach the other side."""
    ANSWER = "answer"
    """It was carried out, and the answer didn't reach the caller."""


@dataclass(frozen=True)
class Request:
    """A call as it came."""

    method: str
    path: str
    """With the query, without scheme and host."""
    headers: Mapping[str, str]
    body: bytes

    @property
    def operation(self) -> str:
        """Name it as AWS does; S3's are `PutObject` or the plain method."""
        if target := self.headers.get("X-Amz-Target"):
            return target.rpartition(".")[2]
        is_object = urlsplit(self.path).path.strip("/").count("/") > 0
        return "PutObject" if self.method == "PUT" and is_object else self.method

    def value(self, key: str) -> Any:
        """Return a value of the JSON body; None if there is none."""
        return json.loads(self.body).get(key) if self.body.startswith(b"{") else None


class Answer(NamedTuple):
    """The other side's."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True)
class Passed:
    """A call that the other side answered."""

    operation: str
    job_name: str | None
    status: int
    time: float
    """Monotonic, when the answer came."""


@dataclass
class Hold:
    """Holds the first call that matches until it is passed on or dropped, whichever is called first."""

    matches: Callable[[Request], bool]
    at: At
    _arrived: threading.Event = field(default_factory=threading.Event)
    _decided: threading.Event = field(default_factory=threading.Event)
    _passes: bool = False

    @property
    def is_reached(self) -> bool:
        """Whether a call is held, or was."""
        return self._arrived.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait until a call is held; return whether one is."""
        return self._arrived.wait(seconds)

    def let_go(self) -> None:
        """Pass it on, unless it was dropped."""
        if not self._decided.is_set():
            self._passes = True
            self._decided.set()

    def drop(self) -> None:
        """Close its connection instead."""
        self._decided.set()

    def stop_here(self) -> bool:
        """Block the caller's thread, and return whether the call finally passes."""
        self._arrived.set()
        self._decided.wait(_HELD_AT_MOST_SECONDS)
        return self._passes
