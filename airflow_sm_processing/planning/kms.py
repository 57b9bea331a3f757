"""Permissions on keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_sm_processing.planning.places import ANY
from airflow_sm_processing.planning.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_sm_processing.planning.places import Place

__all__ = ["key_statements"]


def key_statements(
    place: Place, key: object, sid: str, *actions: str, condition: dict[str, Any] | None = None
) -> Iterator[Statement]:
    """Yield what allows actions on a key, which the user has given as its id, its ARN, or an alias of it."""
    if not isinstance(key, str) or not key.strip(ANY):
        return
    alias = key.rpartition(":")[2]
    if alias.startswith("alias/"):
        by_alias = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}}
        resource, conditions = place.arn("kms", "key/*"), {**(condition or {}), **by_alias}
    else:
        resource = key if key.startswith("arn:") else place.arn("kms", f"key/{key}")
        conditions = condition or {}
    yield Statement(sid=sid, actions=actions, resources=(resource,), condition=conditions or None)
