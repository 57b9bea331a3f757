"""Tags as SageMaker takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["format_tags"]


def format_tags(
    tags: Mapping[str, object] | Sequence[Mapping[str, str]] | None,
) -> list[Mapping[str, str]] | None:
    """Give `[{"Key": …, "Value": …}]` for a dict; a list of such is copied."""
    if tags is None:
        return None
    if isinstance(tags, Mapping):
        return [{"Key": str(key), "Value": str(value)} for key, value in tags.items()]
    return list(tags)
