"""References to returned values that were too large for XCom, and stay in S3.

An XCom may hold any dict, also one that somebody else wrote. So a reference says which task instance made it, and is
followed only where that task, a function's task of the same DAG, says itself that its results are in that place.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_sm_processing.processing.s3_uris import below, is_s3_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["VALUE_FILE", "LargeResult", "Maker", "broken_reference"]

_KIND = "sm_processing_result"
VALUE_FILE = re.compile(r"value(-[1-9][0-9]{0,8})?\.json")
"""The names of the files that hold large values."""
_OUTPUT_NAME = "outcome"
"""Of the output that a function's result is in; its URI is an XCom of the task, from the job's submission on."""


class Maker(NamedTuple):
    """The task instance that ran a function."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int

    @classmethod
    def of(cls, ti: Any) -> Maker:
        """Return the one that Airflow's task instance is."""
        return cls(ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else ti.map_index)


class LargeResult(NamedTuple):
    """Where a returned value is, and which task instance made it."""

    s3_uri: str
    bytes: int
    dag_id: str
    run_id: str
    task_id: str
    map_index: int

    @classmethod
    def read(cls, value: object) -> LargeResult | None:
        """Return the reference that a dict of XCom is; None for every other value."""
        if not isinstance(value, dict) or value.get("kind") != _KIND or value.keys() != {"kind", *cls._fields}:
            return None
        found = cls(**{name: value[name] for name in cls._fields})
        texts = (found.s3_uri, found.dag_id, found.run_id, found.task_id)
        numbers = (found.bytes, found.map_index)
        is_one = all(type(item) is str for item in texts) and all(type(item) is int for item in numbers)
        return found if is_one and is_s3_uri(found.s3_uri) else None

    def to_plain(self) -> dict[str, Any]:
        """Return the reference as XCom has it."""
        return {"kind": _KIND, **self._asdict()}


def broken_reference(reference: LargeResult, context: Mapping[str, Any]) -> str | None:
    """Return why a reference must not be followed by the running task; None if the task that it names made it."""
    ti, dag = context["ti"], context["dag"]
    instead = "to read what is there all the same, give the task an input: ProcessingInput(value['s3_uri'])"
    if reference.dag_id != ti.dag_id:
        return f"refers to a large result of another DAG, {reference.dag_id!r}: {instead}"
    maker = dag.task_dict.get(reference.task_id)
    kind = getattr(maker, "operator_class", type(maker))
    if _OUTPUT_NAME not in getattr(kind, "own_outputs", ()):
        return (
            f"refers to a large result of {reference.task_id!r}, which is no @task.sm_processing of this DAG: {instead}"
        )
    made = ti.xcom_pull(
        task_ids=reference.task_id,
        key=_OUTPUT_NAME,
        map_indexes=reference.map_index if reference.map_index >= 0 else None,
        run_id=reference.run_id,
    )
    folder, _, name = reference.s3_uri.rpartition("/")
    if isinstance(made, str) and VALUE_FILE.fullmatch(name) and below(made, name) == f"{folder}/{name}":
        return None
    return f"refers to a large result that task {reference.task_id!r} did not make, or has made anew since: {instead}"
