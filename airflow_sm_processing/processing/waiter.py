"""Wait for a job's end in the calling thread."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_sm_processing.exceptions import ServiceError, TransientError, WaitTimeoutError
from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.processing.retry import RetryBudget, jittered
from airflow_sm_processing.processing.values import DEFAULT_MAX_TRANSIENT_SECONDS, DEFAULT_POLL_INTERVAL

if TYPE_CHECKING:
    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.logs import JobLogs, LogLine


__all__ = ["ChangeSink", "LineSink", "WaitSettings", "Waiter"]


log = logging.getLogger(__name__)

LineSink = Callable[["LogLine"], None]
"""Takes each log line as it is read."""
ChangeSink = Callable[["JobDescription"], None]
"""Takes a job when it is first seen to run, or to be stopping; not at its end, unless this process ends before."""

_SLICE_SECONDS = 0.5  # of a pause in which something may be urgent: a signal's handler can't end a sleep
_PASSES_IN_TROUBLE = 10  # over the logs of an ended job; botocore has tried each call several times already


@dataclass(frozen=True, kw_only=True)
class WaitSettings:
    """How to wait for a job; times in seconds."""

    poll_interval: float = DEFAULT_POLL_INTERVAL
    """Between two looks at the job; each is moved by up to a tenth, so that many waiters don't call at once."""
    max_wait: float | None = None
    """The longest to wait; None waits as long as the job runs."""
    max_transient_seconds: float = DEFAULT_MAX_TRANSIENT_SECONDS
    """How long throttling, 5xx and lost connections are waited out before they fail the wait."""
    log_settle_seconds: float = 2.0
    """After the job's end, lines are read until none has come for that long: CloudWatch takes a moment to show them."""


class Waiter:
    """Waits for one job's end and hands out its log lines on the way."""

    def __init__(
        self,
        job_name: str,
        *,
        describe: Callable[[], JobDescription],
        logs: JobLogs | None,
        sink: LineSink,
        settings: WaitSettings,
        tail_only: bool = False,
        on_change: ChangeSink | None = None,
        is_ending: Callable[[], bool] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._job_name = job_name
        self._describe = describe
        self._logs = logs
        self._sink = sink
        self._settings = settings
        self._tail_only = tail_only
        self._on_change = on_change
        self._is_ending = is_ending
        self._told_at_the_end = False
        self._seen = (JobStatus.IN_PROGRESS, False)
        self._sleep = sleep
        self._clock = clock
        self._budget = RetryBudget(settings.max_transient_seconds, clock=clock)
        self._log_warning_given = False
        self._unknown_statuses: set[JobStatus] = set()

    def wait(self) -> JobDescription:
        """Return the job's description at its end, whatever the end is.

        Raises:
            WaitTimeoutError: `max_wait` is over; the job goes on.
            ServiceError: The job can't be described, for longer than is borne.
        """
        started = self._clock()
        while True:
            description = self._look()
            if not self._tail_only:
                self._hand_out_lines()
            if description is not None and description.status.is_terminal:
                self._settle()
                return description
            if description is not None:
                self._tell_change(description)
            self._pause(started)

    def _look(self) -> JobDescription | None:
        try:
            description = self._describe()
        except TransientError as error:
            self._budget.spend(error)
            return None
        self._budget.reset()
        return description

    def _tell_change(self, description: JobDescription) -> None:
        self._name_unknown(description.status)
        seen = (description.status, description.started_at is not None)
        if seen != self._seen and self._on_change is not None:
            self._on_change(description)
        self._seen = seen

    def _name_unknown(self, status: JobStatus) -> None:
        """Log once that a status isn't known; the job is waited for, as with every status that isn't its last."""
        if not status.is_known and status not in self._unknown_statuses:
            self._unknown_statuses.add(status)
            log.warning(
                "Processing job %s is %s, a status that this version doesn't know: still waiting for its end.",
                self._job_name,
                status,
            )

    def _pause(self, started: float) -> None:
        pause = jittered(self._settings.poll_interval)
        if self._settings.max_wait is not None:
            left = started + self._settings.max_wait - self._clock()
            if left <= 0:
                raise WaitTimeoutError(self._job_name, waited_seconds=self._clock() - started)
            pause = min(pause, left)
        self._rest(pause)

    def _rest(self, seconds: float) -> None:
        """Sleep; if this process is about to be killed meanwhile, tell how the job is while that can be done."""
        if self._is_ending is None:
            self._sleep(seconds)
            return
        until = self._clock() + seconds
        while (left := until - self._clock()) > 0:
            self._sleep(min(left, _SLICE_SECONDS))
            if self._is_ending() and not self._told_at_the_end:
                self._tell_at_the_end()

    def _tell_at_the_end(self) -> None:
        try:
            description = self._describe()
        except ServiceError as error:
            log.info("Could not read the job's status: %s", error)
        else:
            self._told_at_the_end = description.status is not JobStatus.IN_PROGRESS  # which SageMaker may still say
            self._tell_change(description)

    def _settle(self) -> None:
        """Read what is left: until a pass, made log_settle_seconds after the last line, finds nothing."""
        if self._logs is None:
            return
        passes_in_trouble = 0
        while passes_in_trouble < _PASSES_IN_TROUBLE:
            self._sleep(self._settings.log_settle_seconds)
            self._logs.look_back()
            count, trouble = self._hand_out_lines()
            if isinstance(trouble, TransientError):
                passes_in_trouble += 1
            elif trouble is not None or not count or self._tail_only:
                return
        log.warning("The job's last log lines couldn't be read in %d passes and may be missing.", _PASSES_IN_TROUBLE)

    def _hand_out_lines(self) -> tuple[int, ServiceError | None]:
        """Emit the new lines; an error of the logs never fails the wait, for the job's end is what counts."""
        if self._logs is None:
            return 0, None
        count = 0
        try:
            for line in self._logs.last_lines() if self._tail_only else self._logs.new_lines():
                self._sink(line)
                count += 1
        except ServiceError as error:
            if not self._log_warning_given:
                log.warning("Can't read the job's log for now: %s", error)
            self._log_warning_given = True
            return count, error
        return count, None
