"""Whether an answer is what the service's model says it is: botocore takes any JSON."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from botocore.model import Shape

__all__ = ["in_utc", "new_token", "readable", "summaries"]

_Answer = TypeVar("_Answer", bound="Mapping[str, Any]")

_TYPES: dict[str, type | tuple[type, ...]] = {
    "boolean": bool,
    "double": (int, float),
    "float": (int, float),
    "integer": int,
    "list": list,
    "long": int,
    "map": dict,
    "string": str,
    "structure": dict,
    "timestamp": datetime,
}
_MOST_PAGES = 1000


def readable(client: Any, operation: str, answer: _Answer, *required: str) -> _Answer:
    """Return the answer, if its fields have the types of the service's model; to be called within `answer_read`.

    Args:
        client: Which gave the answer.
        operation: The API's name for the call.
        answer: What the client's method returned.
        required: Fields without which nothing can be made of the answer.

    Raises:
        ValueError: It isn't that; the text says where, and quotes nothing of it.
    """
    if not isinstance(answer, dict):
        raise ValueError(f"it is {_kind(answer)}, not an object")  # noqa: TRY004  # read like the other faults
    missing = [name for name in required if answer.get(name) in (None, "")]
    if missing:
        raise ValueError(f"it has no {', '.join(missing)}{_media_type(answer)}")
    shape = _output_shape(client, operation)
    fault = None if shape is None else next(_faults(shape, answer, ""), None)
    if fault is not None:
        raise ValueError(fault)
    return answer


def summaries(client: Any, answer: Mapping[str, Any]) -> list[Any]:
    """Return the jobs that ListProcessingJobs answered; each has its name and its status.

    Raises:
        ValueError: What `readable` raises.
    """
    jobs: list[Any] = readable(client, "ListProcessingJobs", answer, "ProcessingJobSummaries")["ProcessingJobSummaries"]
    if not all(job.get("ProcessingJobName") and job.get("ProcessingJobStatus") for job in jobs):
        raise ValueError("one of its jobs has no ProcessingJobName or no ProcessingJobStatus")
    return jobs


def in_utc(moment: datetime | None) -> datetime | None:
    """Return a time with its zone; one that names none is UTC's, as all of the service's are."""
    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)


def new_token(token: str | None, seen: set[str]) -> str | None:
    """Return the token of a listing's next page, and note it; None where the listing ends.

    Raises:
        ValueError: It has been seen, so that the listing would never end.
    """
    if not token:
        return None
    if token in seen or len(seen) >= _MOST_PAGES:
        raise ValueError("its token for the next page leads back to a page that was read, or the pages don't end")
    seen.add(token)
    return token


def _output_shape(client: Any, operation: str) -> Shape | None:
    model = getattr(getattr(client, "meta", None), "service_model", None)  # a stand-in for a client may have none
    if model is None:
        return None
    shape: Shape | None = model.operation_model(operation).output_shape
    return shape


def _faults(shape: Shape, value: Any, where: str) -> Iterator[str]:
    expected = _TYPES.get(shape.type_name)
    if expected is None:
        return
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        yield f"{where or 'it'} is {_kind(value)}, not {_kind_of_shape(shape)}"
    elif isinstance(value, dict):
        for name, item in value.items():
            member = _member(shape, name)
            if member is not None:
                yield from _faults(member, item, f"{where}.{name}" if where else str(name))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _faults(shape.member, item, f"{where}[{position}]")  # type: ignore[attr-defined]  # a list's shape


def _member(shape: Any, name: str) -> Shape | None:
    member: Shape | None = shape.value if shape.type_name == "map" else shape.members.get(name)
    return member


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def _kind_of_shape(shape: Shape) -> str:
    return {"structure": "an object", "list": "a list", "map": "an object"}.get(shape.type_name, shape.type_name)


def _media_type(answer: Mapping[str, Any]) -> str:
    """Say what came instead, if its headers do: a proxy's page, say."""
    metadata = answer.get("ResponseMetadata")
    media_type = metadata.get("HTTPHeaders", {}).get("content-type", "") if isinstance(metadata, dict) else ""
    return f" (its content-type is {media_type})" if media_type and "json" not in media_type else ""
