"""How long a task stays deferred at least."""

from __future__ import annotations

import asyncio
import time

import pytest

from airflow_sm_processing.triggers.events import settled

SHORTEST_DEFERRAL = "AIRFLOW__SM_PROCESSING__SHORTEST_DEFERRAL"
MIN_HEARTBEAT_INTERVAL = "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL"


def is_settled(*, seconds_ago: float) -> bool:
    """Return whether a task that was deferred so long ago may resume at once."""
    try:
        asyncio.run(asyncio.wait_for(settled(time.monotonic() - seconds_ago), 0.05))
    except asyncio.TimeoutError:
        return False
    return True


@pytest.mark.parametrize(("heartbeats", "earliest"), [(None, 10), ("0", 5), ("20", 25)])
def test_the_scheduler_has_five_seconds_after_the_latest_news_of_a_process(
    monkeypatch: pytest.MonkeyPatch, heartbeats: str | None, earliest: float
) -> None:
    monkeypatch.setenv(SHORTEST_DEFERRAL, "")
    if heartbeats is not None:
        monkeypatch.setenv(MIN_HEARTBEAT_INTERVAL, heartbeats)
    assert [is_settled(seconds_ago=earliest - 1), is_settled(seconds_ago=earliest + 0.01)] == [False, True]


def test_the_configuration_may_say_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SHORTEST_DEFERRAL, "40.5")
    assert [is_settled(seconds_ago=39.5), is_settled(seconds_ago=40.51)] == [False, True]
