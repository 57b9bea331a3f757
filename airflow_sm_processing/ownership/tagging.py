"""A job's tags: the user's, and beside them its owner's as far as they fit."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from botocore.model import OperationModel

    from airflow_sm_processing.exceptions import ProcessingError

__all__ = ["forbids_tags", "with_owner_tags"]

log = logging.getLogger(__name__)


def with_owner_tags(
    tags: Sequence[Mapping[str, str]] | None, own: Mapping[str, str], operation: OperationModel
) -> list[Mapping[str, str]]:
    """Add an owner's tags to the user's, which stay as they are; what doesn't fit is left out, the last first.

    Args:
        tags: The user's, as the request has them.
        own: The owner's, the most telling first.
        operation: CreateProcessingJob's model, which has the limit.
    """
    given = list(tags or ())
    taken = {tag.get("Key") for tag in given}
    wanted = [{"Key": key, "Value": value} for key, value in own.items() if key not in taken]
    most: int = _tag_list(operation).metadata["max"]
    room = max(0, most - len(given))
    if len(wanted) > room:
        names = ", ".join(tag["Key"] for tag in wanted[room:])
        log.warning("A job has at most %d tags, and the task gives %d: left out are %s.", most, len(given), names)
    return [*given, *wanted[:room]]


def forbids_tags(error: ProcessingError) -> bool:
    """Tell whether CreateProcessingJob was refused for the tags in it."""
    text = str(error).lower()
    return "addtags" in text or "tag polic" in text or "requesttag" in text


def _tag_list(operation: OperationModel) -> Any:
    shape: Any = operation.input_shape
    return shape.members["Tags"]
