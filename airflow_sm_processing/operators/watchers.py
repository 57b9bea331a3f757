"""Which completed jobs a DAG is scheduled by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset

from airflow_sm_processing.triggers.completions import CompletedJobsTrigger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import DAG

__all__ = ["job_watchers"]


def job_watchers(dag: DAG) -> Iterator[CompletedJobsTrigger]:
    """Yield the triggers of our kind that watch the assets of a DAG's schedule."""
    for asset in _assets(getattr(dag.timetable, "asset_condition", None)):  # only schedules by assets have it
        for watcher in asset.watchers:
            if isinstance(watcher.trigger, CompletedJobsTrigger):
                yield watcher.trigger


def _assets(condition: Any) -> Iterator[Asset]:
    if isinstance(condition, Asset):
        yield condition
    for part in getattr(condition, "objects", ()):  # of `|` and `&`
        yield from _assets(part)
