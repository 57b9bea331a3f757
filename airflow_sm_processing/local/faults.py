"""Faults on demand: what fails, how often and in which order; the same seed gives the same faults.

A fault is written `OPERATION:KEY=VALUE,KEY=VALUE,…`:

    DescribeProcessingJob:throttle=2                    at most 2 a second, else ThrottlingException
    CreateProcessingJob:error=InternalFailure,status=500,rate=0.3
    CreateProcessingJob:error=ResourceLimitExceeded,times=2
    CreateProcessingJob:drop=after,times=1              the job is made, and the answer is lost
    s3:PutObject:latency=0.2                            seconds before the answer
    RunProcessingJob:error=CapacityError                the job fails before it starts
    RunProcessingJob:latency=5,job=slow-*               the job starts 5 s late

OPERATION is a glob over `Operation` and `service:Operation`. `RunProcessingJob` and `RunTrainingJob` mean the start of
a job on its instances, which isn't an API call.
"""

from __future__ import annotations

import random
import re
import threading
import time
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_KEYS: Mapping[str, Callable[[str], Any]] = {
    "error": str,
    "message": str,
    "status": int,
    "throttle": float,
    "latency": float,
    "drop": str,
    "rate": float,
    "times": int,
    "job": str,
    "role": str,
}
# The ranges of the numbers; they are checked because a fault may come as JSON, with anything in it.
_BOUNDS: Mapping[str, tuple[type, float, float]] = {
    "status": (int, 400, 599),
    "throttle": (float, 0, 1_000_000),
    "latency": (float, 0, 86_400),
    "rate": (float, 0, 1),
    "times": (int, 0, 1_000_000_000),
}
_OPTIONAL = frozenset({"error", "message", "throttle", "times"})


def _is_within(value: object, kind: type, low: float, high: float) -> bool:
    kinds = (int, float) if kind is float else int
    return isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault in the operations that it matches."""

    operation: str = "*"
    """A glob over the operation's name, or over `service:operation`."""
    error: str | None = None
    """The error code to answer with."""
    message: str | None = None
    status: int = 400
    """The HTTP status of `error`."""
    throttle: float | None = None
    """The number of calls per second that succeed; the others get ThrottlingException."""
    latency: float = 0.0
    """The delay before the call is handled, in seconds."""
    drop: str | None = None
    """`before` or `after`: close the connection without an answer, before or after the call is carried out."""
    rate: float = 1.0
    """The share of matching calls that it applies to."""
    times: int | None = None
    """The number of calls that the fault applies to; None for all."""
    job: str = "*"
    """A glob over the job's name in the call; calls without one match `*` only."""
    role: str = "*"
    """A glob over the call's RoleArn; calls without one match `*` only."""

    def __post_init__(self) -> None:
        for name in ("operation", "job", "role", "error", "message"):
            value = getattr(self, name)
            if not isinstance(value, str) and (value is not None or name not in _OPTIONAL):
                raise ValueError(f"Fault {self.operation!r}: {name} is {value!r}, and must be text.")
        for name, (kind, low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if not _is_within(value, kind, low, high) and (value is not None or name not in _OPTIONAL):
                must = f"a number from {low} to {high}" if kind is float else f"a whole number from {low} to {high}"
                raise ValueError(f"Fault {self.operation!r}: {name} is {value!r}, and must be {must}.")
        if self.error and not re.fullmatch(r"[\w.:-]+", self.error, re.ASCII):
            raise ValueError(f"Fault {self.operation!r}: error is {self.error!r}, and must be a code, without spaces.")
        if self.drop not in {None, "before", "after"}:
            raise ValueError(f"Fault {self.operation!r}: drop is {self.drop!r}, and must be before or after.")
        if not (self.error or self.throttle or self.latency or self.drop):
            raise ValueError(f"Fault {self.operation!r} does nothing: set error, throttle, latency or drop.")

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Parse a fault in the command line's form.

        Raises:
            ValueError: It isn't valid; the message says what is wrong, and the right form.
        """
        form = "OPERATION:KEY=VALUE,… with the keys " + ", ".join(sorted(_KEYS))
        # Both the operation and values may contain colons: the settings begin with the first key.
        found = re.fullmatch(r"(.+?):(\w+=.*)", text)
        if found is None:
            raise ValueError(f"Fault {text!r} isn't understood. The form is {form}.")
        operation, settings = found.groups()
        values: dict[str, Any] = {}
        for setting in settings.split(","):
            key, _, value = setting.partition("=")
            if key not in _KEYS:
                raise ValueError(f"Fault {text!r}: {setting!r} isn't understood. The form is {form}.")
            try:
                values[key] = _KEYS[key](value)
            except ValueError as error:
                raise ValueError(f"Fault {text!r}: {setting!r} isn't understood: {error}.") from error
        return cls(operation=operation, **values)

    @classmethod
    def denied_role(cls, pattern: str) -> Fault:
        """Return a fault that refuses jobs with a role whose ARN or name matches, as if it couldn't be assumed."""
        return cls(
            operation="Create*Job",
            error="ValidationException",
            message="Could not assume role {role}. Please ensure that the role exists and allows principal "
            "'sagemaker.amazonaws.com' to assume the role.",
            role=pattern if pattern.startswith("arn:") else f"*role/{pattern}",
        )

    def matches(self, call: Call) -> bool:
        """Return whether the fault matches this call, regardless of its rate and count."""
        names = (call.operation, f"{call.service}:{call.operation}")
        return (
            any(fnmatchcase(name, self.operation) for name in names)
            and fnmatchcase(call.job or "", self.job)
            and fnmatchcase(call.role or "", self.role)
        )


@dataclass(frozen=True, kw_only=True)
class Call:
    """The properties of a call that a fault is matched against."""

    service: str
    operation: str
    job: str | None = None
    role: str | None = None


class _Armed:
    """A fault with its count and its bucket of permitted calls."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._left = fault.times
        # The first call always passes, even where less than one per second is permitted.
        self._capacity = max(1.0, fault.throttle or 0.0)
        self._tokens = self._capacity
        self._filled = time.monotonic()

    def applies(self, chance: float) -> bool:
        if self._left == 0 or chance >= self.fault.rate or not self._exceeds():
            return False
        if self._left is not None:
            self._left -= 1
        return True

    def _exceeds(self) -> bool:
        if self.fault.throttle is None:
            return True
        now = time.monotonic()
        self._tokens = min(self._capacity, self._tokens + (now - self._filled) * self.fault.throttle)
        self._filled = now
        if self._tokens < 1:
            return True
        self._tokens -= 1
        return False


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []
        self._random = random.Random(0)  # noqa: S311  # repeatable on purpose; nothing secret

    def set(self, faults: Iterable[Fault | str], *, seed: int = 0) -> None:
        """Replace all faults, and reset counts and random numbers."""
        armed = [_Armed(fault if isinstance(fault, Fault) else Fault.parse(fault)) for fault in faults]
        with self._lock:
            self._armed = armed
            self._random = random.Random(seed)  # noqa: S311  # repeatable on purpose; nothing secret

    def current(self) -> list[Mapping[str, Any]]:
        """Return the faults in force, as plain values."""
        with self._lock:
            return [asdict(armed.fault) for armed in self._armed]

    def for_call(self, call: Call) -> list[Fault]:
        """Return the faults that apply to this call, and count it."""
        with self._lock:
            return [
                armed.fault
                for armed in self._armed
                if armed.fault.matches(call) and armed.applies(self._random.random())
            ]
