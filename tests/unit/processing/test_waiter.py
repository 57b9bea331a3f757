from __future__ import annotations

import logging
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, cast

import pytest

from airflow_sm_processing.exceptions import JobNotFoundError, ServiceError, TransientError, WaitTimeoutError
from airflow_sm_processing.processing import JobDescription, JobLogs, JobStatus, WaitSettings
from airflow_sm_processing.processing.aws_calls import RetryBudget
from airflow_sm_processing.processing.waiter import TAIL_LINES, Waiter

from .cloudwatch import CloudWatchLogs, refused
from .makers import response

if TYPE_CHECKING:
    from collections.abc import Callable

STREAM = "job/algo-1-17"
THROTTLED = TransientError("Throttled.", operation="DescribeProcessingJob", code="ThrottlingException")


def described(status: str, **more: Any) -> JobDescription:
    return JobDescription.from_response(response(ProcessingJobStatus=status, **more))


class World:
    """A clock that only sleeping moves, a job that goes through a script of statuses and errors, and its log."""

    def __init__(self, script: list[str | Exception | JobDescription], *, client: CloudWatchLogs | None = None) -> None:
        self.script = script
        self.client = client or CloudWatchLogs()
        self.now = 1000.0
        self.slept: list[float] = []
        self.lines: list[str] = []
        self.changes: list[tuple[float, JobDescription]] = []
        self.later: dict[int, tuple[Callable[[], None], ...]] = {}
        """What happens in the sleep of that number, from 0."""

    def describe(self) -> JobDescription:
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, JobDescription) else described(step)

    def sleep(self, seconds: float) -> None:
        for action in self.later.get(len(self.slept), ()):
            action()
        self.slept.append(seconds)
        self.now += seconds

    def wait(
        self,
        *,
        logs: bool = True,
        tail_only: bool = False,
        is_ending: Callable[[], bool] | None = None,
        **settings: Any,
    ) -> JobDescription:
        return Waiter(
            "job",
            describe=self.describe,
            logs=JobLogs(cast("Any", self.client), "job") if logs else None,
            tail_only=tail_only,
            on_change=lambda description: self.changes.append((self.now, description)),
            is_ending=is_ending,
            sink=lambda line: self.lines.append(line.message),
            settings=WaitSettings(**settings),
            sleep=self.sleep,
            clock=lambda: self.now,
        ).wait()


@pytest.mark.parametrize("status", ["Completed", "Failed", "Stopped"])
def test_the_wait_is_over_when_the_job_is(status: str) -> None:
    world = World(["InProgress", "Stopping", status])

    description = world.wait(logs=False)

    assert description.status is JobStatus(status)
    assert len(world.slept) == 2


def test_a_job_that_has_ended_already_is_not_waited_for() -> None:
    world = World(["Completed"])

    world.wait(logs=False)

    assert world.slept == []


def test_pauses_are_spread_around_the_interval_by_a_tenth() -> None:
    world = World([*["InProgress"] * 200, "Completed"])

    world.wait(logs=False, poll_interval=10)

    assert len(set(world.slept)) > 100
    assert 9 <= min(world.slept) < 9.5
    assert 10.5 < max(world.slept) <= 11


@pytest.mark.parametrize("max_wait", [0, 1, 25, 600])
def test_the_wait_ends_exactly_at_its_bound(max_wait: float) -> None:
    world = World(["InProgress"])

    with pytest.raises(WaitTimeoutError) as caught:
        world.wait(logs=False, poll_interval=10, max_wait=max_wait)

    assert world.now - 1000 == pytest.approx(max_wait)
    assert (caught.value.job_name, caught.value.waited_seconds) == ("job", pytest.approx(max_wait))


def test_a_job_that_ends_at_the_bound_has_ended() -> None:
    world = World(["InProgress", "Completed"])

    assert world.wait(logs=False, poll_interval=10, max_wait=5).status is JobStatus.COMPLETED


def test_the_bound_holds_while_the_service_is_in_trouble() -> None:
    with pytest.raises(WaitTimeoutError):
        World([THROTTLED]).wait(logs=False, max_wait=60)


def test_the_start_is_told_once_when_it_is_seen() -> None:
    since = {"ProcessingStartTime": datetime(2026, 1, 1, tzinfo=timezone.utc)}
    running = described("InProgress", **since)
    world = World(["InProgress", THROTTLED, running, running, described("Completed", **since)])
    world.wait(logs=False)
    ((seen_at, description),) = world.changes
    assert (seen_at, description) == (pytest.approx(1000.0 + sum(world.slept[:2])), running)


def test_a_job_that_is_being_stopped_is_told_of() -> None:
    stopping = described("Stopping")
    world = World(["InProgress", "InProgress", stopping, stopping, "Stopped"])
    world.wait(logs=False)
    ((seen_at, description),) = world.changes
    assert (seen_at, description) == (pytest.approx(1000.0 + sum(world.slept[:2])), stopping)


@pytest.mark.parametrize("then", ["Stopping", "Stopped"])
def test_who_is_about_to_be_killed_tells_at_once_how_the_job_is_and_waits_on(then: str) -> None:
    world = World(["InProgress", then, "Stopped"])
    assert world.wait(logs=False, is_ending=lambda: world.now > 1003.0, poll_interval=30.0).status is JobStatus.STOPPED
    ((seen_at, description),) = world.changes
    assert (1003.0 < seen_at <= 1003.5, description.status.value) == (True, then)
    assert world.now >= 1027.0


def test_who_is_about_to_be_killed_looks_again_until_the_job_is_seen_to_stop() -> None:
    world = World(["InProgress", THROTTLED, "InProgress", "Stopping", "Stopped"])
    world.wait(logs=False, is_ending=lambda: world.now > 1003.0, poll_interval=30.0)
    ((seen_at, description),) = world.changes
    assert (1004.0 < seen_at <= 1004.5, description.status) == (True, JobStatus.STOPPING)


def test_the_start_of_a_job_that_has_ended_is_not_told() -> None:
    world = World(["InProgress", described("Failed", ProcessingStartTime=datetime(2026, 1, 1, tzinfo=timezone.utc))])
    world.wait(logs=False)
    assert world.changes == []


def test_transient_errors_are_borne_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = World([THROTTLED, THROTTLED, "InProgress", "Completed"])

    world.wait(logs=False, poll_interval=10, max_transient_seconds=100)

    assert caplog.messages[0] == "Throttled. Retrying for up to 100 s."
    assert caplog.messages[1].startswith("The service answers again after ")
    assert len(caplog.messages) == 2


def test_transient_errors_fail_the_wait_after_their_bound() -> None:
    world = World(["InProgress", THROTTLED])

    with pytest.raises(TransientError) as caught:
        world.wait(logs=False, poll_interval=10, max_transient_seconds=100)

    assert caught.value is THROTTLED
    assert 100 <= world.now - 1000 - world.slept[0] <= 111


def test_a_success_starts_the_bound_anew() -> None:
    world = World([*[THROTTLED, THROTTLED, "InProgress"] * 50, "Completed"])

    assert world.wait(logs=False, poll_interval=10, max_transient_seconds=30).status is JobStatus.COMPLETED


def test_other_errors_fail_the_wait_at_once() -> None:
    gone = JobNotFoundError("gone", operation="DescribeProcessingJob", code="ResourceNotFound")
    world = World(["InProgress", gone])

    with pytest.raises(JobNotFoundError) as caught:
        world.wait(logs=False)

    assert (caught.value, len(world.slept)) == (gone, 1)


def test_lines_are_handed_out_while_the_job_runs() -> None:
    world = World(["InProgress", "InProgress", "Completed"])
    seen: list[list[str]] = []
    world.later = {
        0: (lambda: world.client.write(STREAM, "a", "b"), lambda: seen.append([*world.lines])),
        1: (lambda: seen.append([*world.lines]),),
    }

    world.wait()

    assert (seen, world.lines) == ([[], ["a", "b"]], ["a", "b"])


def test_lines_that_come_after_the_end_are_read_until_none_comes() -> None:
    world = World(["Completed"])
    world.later = {
        0: (lambda: world.client.write(STREAM, "a"),),
        1: (lambda: world.client.write(STREAM, "b"),),
        3: (lambda: world.client.write(STREAM, "too late"),),
    }

    world.wait(log_settle_seconds=2)

    assert (world.lines, world.slept) == (["a", "b"], [2, 2, 2])


def test_lines_that_come_after_the_end_and_after_later_ones_are_read_too() -> None:
    world = World(["InProgress", "Completed"])
    world.client.write(STREAM, "b", at=5000)
    world.later = {1: (lambda: world.client.write(STREAM, "a", at=4000),)}

    world.wait(log_settle_seconds=2)

    assert world.lines == ["b", "a"]


def test_the_tail_is_handed_out_at_the_end_only_and_once() -> None:
    world = World(["InProgress", "Completed"], client=CloudWatchLogs(failing_calls=frozenset({0, 2})))
    for stream in ("job/algo-1-17", "job/algo-2-17"):
        world.client.write(stream, *map(str, range(TAIL_LINES + 5)))
    seen: list[list[str]] = []
    world.later = {0: (lambda: seen.append([*world.lines]),), 1: (lambda: seen.append([*world.lines]),)}

    world.wait(log_settle_seconds=2, tail_only=True)

    tail = [str(number) for number in range(5, TAIL_LINES + 5)]
    assert (seen, world.lines) == ([[], []], [*tail, *tail])


def test_a_throttle_after_the_end_costs_no_line() -> None:
    world = World(["Completed"], client=CloudWatchLogs(failing_calls=frozenset({1, 3, 4})))
    world.client.write(STREAM, "a")

    world.wait(log_settle_seconds=2)

    assert world.lines == ["a"]


def test_an_endless_trouble_with_the_logs_neither_fails_nor_holds_the_wait(caplog: pytest.LogCaptureFixture) -> None:
    world = World(["InProgress", "Completed"], client=CloudWatchLogs(failing_calls=frozenset(range(1000))))

    assert world.wait(log_settle_seconds=2).status is JobStatus.COMPLETED
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert caplog.messages[0] == (
        "Can't read the job's log for now: DescribeLogStreams for job failed: ThrottlingException: why. "
        "It may work later."
    )
    assert caplog.messages[1] == "The job's last log lines couldn't be read in 10 passes and may be missing."


def test_logs_that_may_not_be_read_are_not_tried_again_after_the_end() -> None:
    class Forbidden(CloudWatchLogs):
        def describe_log_streams(self, **_: Any) -> Any:
            raise refused("DescribeLogStreams", "AccessDeniedException")

    world = World(["Completed"], client=Forbidden())

    assert world.wait(log_settle_seconds=2).status is JobStatus.COMPLETED
    assert world.slept == [2]


def test_without_logs_nothing_is_read() -> None:
    world = World(["InProgress", "Completed"])
    world.client.write(STREAM, "a")

    world.wait(logs=False)

    assert (world.client.calls, world.lines) == (0, [])


def test_no_patience_raises_the_first_error() -> None:
    with pytest.raises(ServiceError) as caught:
        RetryBudget(0, clock=lambda: 0.0).spend(THROTTLED)

    assert caught.value is THROTTLED
