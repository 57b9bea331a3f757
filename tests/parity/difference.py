"""An intentional difference from the SDK: what it does, what we do instead, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from .case import Case
    from .wire import Wire


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One case in which the two sides differ, told by what `see` finds in their wires."""

    case: Case
    reason: str
    see: Callable[[Wire], Any]
    sdk: Any
    ours: Any


def outcome(wire: Wire) -> str:
    """Name the error that was raised, or say that the job was created."""
    return wire.refusal[0] if wire.refusal else "created"


def left_behind(wire: Wire) -> tuple[str, int]:
    """Return the outcome, and how many objects were uploaded."""
    return outcome(wire), len(wire.account.objects)


def bucket_created(wire: Wire) -> tuple[str, bool]:
    return outcome(wire), bool(wire.account.created)


def base_name(wire: Wire) -> str:
    """Return the generated job name without its timestamp."""
    [request] = wire.effects["requests"]
    return str(request["ProcessingJobName"]).removesuffix("-<time>")


def specification(wire: Wire) -> tuple[str, Any]:
    """Return the outcome and what the container runs."""
    return outcome(wire), [
        {k: v for k, v in r["AppSpecification"].items() if k != "ImageUri"} for r in wire.account.jobs
    ]


def sent(field: str) -> Callable[[Wire], Any]:
    """Look at one field of the request."""
    return lambda wire: wire.request.get(field, "absent")
