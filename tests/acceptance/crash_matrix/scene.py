"""One row while it is played: its task, its jobs, and what is done to them from outside."""

from __future__ import annotations

import os
import re
import secrets
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tests.acceptance.processes import task_processes, works_on
from tests.acceptance.runs import ENDS, Run

from .calls import At, Hold, Request
from .seen import ENDED, Seen
from .stage import connection_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from demo.airflow_api import TaskInstance

    from .calls import Passed
    from .rows import Row
    from .stage import Stage

TASK = "job"
_LOOKS = frozenset({"DescribeProcessingJob", "ListProcessingJobs"})
_OK = 200
# An operator may look once or twice before it makes a job; and no deferral is short, see `until_noticed`.
_LOOKED_AT_LEAST = {"in_worker": 3, "deferred": 12}
# A worker that was shut down while it deferred its task reports nothing.
_NOTICED_WITHIN_SECONDS = 60.0
_SETTLED_WITHIN_SECONDS = 45.0
_LOST_AFTER_SECONDS = 20.0  # nothing more is to be hoped for of a task that failed so long ago
_LOOK_EVERY_SECONDS = 1.0
_LOOK_WHETHER_LOST_EVERY_SECONDS = 5.0


class Scene:
    """A row that is being played."""

    hold: Hold | None = None
    """What holds the task at the row's point."""
    run: Run | None = None
    _finished: float
    _ending: Mapping[str, int]
    _ending_try: str

    def __init__(self, stage: Stage, row: Row) -> None:
        self.stage = stage
        self.row = row
        self.line = stage.lines[row.name]
        self.line.forget()
        self._noticed: set[int] = set()

    def begin(self) -> None:
        """Arm the row's point and trigger the row's DAG."""
        self.row.point.arm(self)
        # An operator whose users name the jobs shall not meet those of an earlier playing.
        conf = {
            "name": f"{self.row.name}-{secrets.token_hex(3)}",
            "connection": connection_id(self.row.name),
            "gates": str(self.stage.gates),
        }
        with self.stage.changing:
            self.run = Run(self.stage.airflow, self.row.dag_id, conf=conf)

    # ----- what holds the task

    def hold_aws(self, operation: str, at: At, *, first_job_made: bool = False) -> None:
        """Hold the row's next call of an AWS operation, or the next one after its first job was made."""

        def matches(request: Request) -> bool:
            return request.operation == operation and (bool(self.jobs()) or not first_job_made)

        self.hold = self.line.hold(matches, at=at)

    def hold_first_call(self) -> None:
        """Hold the row's first call to AWS, whichever it is."""
        self.hold = self.line.hold(lambda _: True, at=At.REQUEST)

    def hold_airflow(self, matches: Callable[[Request], bool]) -> None:
        """Hold the next request of the row's supervisor to Airflow, before Airflow has it."""
        self.hold = self.stage.execution_api.hold(matches, at=At.REQUEST)

    def pushes(self, key: str) -> Callable[[Request], bool]:
        """Recognise the request that records an XCom of the row's task."""
        return lambda request: (
            request.method == "POST"
            and self.run is not None
            and unquote(urlsplit(request.path).path).endswith(f"/{self.run.dag_id}/{self.run.run_id}/{TASK}/{key}")
        )

    def defers(self, request: Request) -> bool:
        """Recognise the request that records the deferral of the row's task."""
        return request.value("state") == "deferred" and self._is_of_task(request, "state")

    def starts(self, request: Request) -> bool:
        """Recognise the request by which a worker takes the row's task on."""
        return request.method == "PATCH" and self._is_of_task(request, "run")

    def _is_of_task(self, request: Request, what: str) -> bool:
        return (
            self.run is not None
            and request.path.endswith(f"/{what}")  # asking Airflow for the task's id at each request costs too much
            and request.path.endswith(f"/task-instances/{self.task().id}/{what}")
        )

    def until_held(self) -> None:
        """Wait until the task is at the row's point."""
        assert self.hold is not None
        self.until(lambda: self.hold.is_reached, "be held")

    def let_go(self) -> None:
        """Pass on what is held, if something is."""
        if self.hold is not None:
            self.hold.let_go()

    def drop_held(self) -> None:
        """Close the connection of what is held, if something is."""
        if self.hold is not None:
            self.hold.drop()

    # ----- the task and its processes

    def clear(self) -> None:
        """Clear the task as a user does."""
        assert self.run is not None
        with self.stage.changing:
            self.run.clear(TASK)

    def mark(self, state: str) -> None:
        """Mark the task as a user does."""
        assert self.run is not None
        with self.stage.changing:
            self.run.mark(TASK, state)

    def task(self) -> TaskInstance:
        """Return the task as it is now."""
        assert self.run is not None
        return self.run.task(TASK)

    def until_task_is(self, *states: str) -> None:
        """Wait until the task is in one of the states."""
        self.until(lambda: self.task().state in states, f"be {' or '.join(states)}")

    def until_run_is(self, state: str) -> None:
        """Wait until the DAG run is in the state, which the scheduler gives it a moment after its task's."""
        run = self.run
        assert run is not None
        self.until(lambda: run.state() == state, f"see its run become {state}")

    def until_try(self, number: int) -> None:
        """Wait until the task's try of that number waits for a job in a worker."""
        self.until(lambda: self.task().try_number == number and self._log_says_it_waits(), f"wait in try {number}")

    def _log_says_it_waits(self) -> bool:
        assert self.run is not None
        return bool(re.search(self.stage.operator.waits, self.run.log(TASK), re.MULTILINE))

    def kill(self, *which: str) -> None:
        """SIGKILL the task's process, its `supervisor`, or both, the supervisor first."""
        pids = task_processes(self.task().id)
        for name in which:
            os.kill(pids[name], signal.SIGKILL)

    def shut_down(self) -> None:
        """SIGTERM to the supervisor, as when a pod is evicted, a machine or a Celery worker stops; it passes it on."""
        self._ending_try = self.task().id
        self._ending = task_processes(self._ending_try)
        os.kill(self._ending["supervisor"], signal.SIGTERM)

    def kill_what_is_left(self, *, after: float) -> None:
        """SIGKILL the worker's processes that still work on the try so many seconds after it was to shut down."""
        deadline = time.monotonic() + after
        while (left := self._at_work()) and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY_SECONDS)
        for pid in left:
            os.kill(pid, signal.SIGKILL)

    def _at_work(self) -> list[int]:
        return [pid for pid in self._ending.values() if works_on(pid, self._ending_try)]

    # ----- the jobs

    def jobs(self) -> list[str]:
        """Return the names of the jobs that were made, in order."""
        return [str(call.job_name) for call in self._creates() if call.status == _OK]

    def _creates(self) -> list[Passed]:
        return [call for call in self.line.passed() if call.operation == "CreateProcessingJob"]

    def until_jobs(self, count: int) -> None:
        """Wait until so many jobs were made."""
        self.until(lambda: len(self.jobs()) >= count, f"make {count} jobs")

    def status(self, job: str) -> str:
        """Return a job's status as it is now."""
        found = self.stage.sagemaker.client("sagemaker").describe_processing_job(ProcessingJobName=job)
        return str(found["ProcessingJobStatus"])

    def until_noticed(self) -> None:
        """Wait until Airflow's scheduler knows that a worker has deferred the task.

        Airflow 3.3.2 fails a task whose trigger fires before, and a busy scheduler may need half a minute. This
        package's triggers wait for a while (see `settled`); others' fire right away.
        """
        if self.row.mode != "deferred":
            return
        deadline = time.monotonic() + _NOTICED_WITHIN_SECONDS
        while time.monotonic() < deadline and not self._is_noticed():
            self.stage.airflow.processes.check()
            time.sleep(_LOOK_EVERY_SECONDS)

    def _is_noticed(self) -> bool:
        assert self.run is not None
        number = self.task().try_number
        event = f"run_id='{self.run.run_id}', try_number={number},"
        log = self.stage.airflow.components["scheduler"].log.read_text(errors="replace")
        if any("executor event with state success" in line and event in line for line in log.splitlines()):
            self._noticed.add(number)  # the log of a scheduler that was killed is gone
        return number in self._noticed

    def open_gate(self, *, text: str = "") -> None:
        """Let the latest job end; as failed, if the text is `fail`."""
        self.until_noticed()
        (self.stage.gates / self.jobs()[-1]).write_text(text)

    def until_job_has_ended(self) -> None:
        """Wait for the latest job's end."""
        self.until(lambda: self.status(self.jobs()[-1]) in ENDED, "have its job ended")

    def until_looked_at(self, *, since: float) -> None:
        """Wait until somebody waits for the latest job."""
        self.until(lambda: self.is_looked_at(since=since), "wait for its job")

    def is_looked_at(self, *, since: float) -> bool:
        """Return whether somebody has asked for the latest job's status again and again since a moment."""
        passed = self.line.passed()
        made = [call for call in passed if call.operation == "CreateProcessingJob" and call.status == _OK]
        if not made:
            return False
        looks = [
            call
            for call in passed
            if call.operation in _LOOKS
            and call.status == _OK
            and call.time > max(since, made[-1].time)
            and call.job_name in {None, made[-1].job_name}
        ]
        return len(looks) >= _LOOKED_AT_LEAST[self.row.mode]

    # ----- the end

    def finish(self, *, since: float) -> None:
        """Let the job end that somebody waits for, if the row says so, until the task has ended."""
        opened: str | None = None
        deadline = time.monotonic() + self.row.within
        while self.task().state not in ENDS:
            if self.row.finishes and self.is_looked_at(since=since) and self.jobs()[-1] != opened:
                self.open_gate()
                opened = self.jobs()[-1]
            self._check(deadline, "end")
        self._finished = time.monotonic()

    def settle(self) -> None:
        """Wait until no job changes any more: all have ended, or nobody has stopped them in the time that it takes."""
        deadline = self._finished + _SETTLED_WITHIN_SECONDS
        while time.monotonic() < deadline and not {self.status(job) for job in self.jobs()} <= ENDED:
            time.sleep(_LOOK_EVERY_SECONDS)

    def seen(self) -> Seen:
        """Look at what became of the row."""
        assert self.run is not None
        task, jobs, xcoms = self.task(), self.jobs(), self.run.xcoms(TASK)
        named = {self._number(job) for job in self.stage.operator.job_names(xcoms)}
        uri = self.stage.operator.result_uri(xcoms)
        return Seen(
            calls=len(self._creates()),
            jobs=tuple(self.status(job) for job in jobs),
            state=task.state,
            tries=task.try_number,
            names=" and ".join(sorted(named)),
            result="" if uri is None else self._number(self._content(f"{uri}/result.txt")),
        )

    def _number(self, job: str) -> str:
        jobs = self.jobs()
        return str(jobs.index(job) + 1) if job in jobs else "none"

    def _content(self, uri: str) -> str:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        found = self.stage.sagemaker.client("s3").get_object(Bucket=bucket, Key=key)
        return str(found["Body"].read().decode())

    def log(self) -> str:
        """Return the log of the task's last try."""
        return "" if self.run is None else self.run.log(TASK)

    def clean_up(self) -> None:
        """Stop what still runs, so that it disturbs no other row."""
        self.drop_held()
        sagemaker = self.stage.sagemaker.client("sagemaker")
        for job in self.jobs():
            with suppress(sagemaker.exceptions.ClientError):  # it has ended
                sagemaker.stop_processing_job(ProcessingJobName=job)
        self.line.forget()

    def until(self, ready: Callable[[], bool], what: str) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + self.row.within
        lost, next_look = deadline, 0.0
        while not ready():
            if self.run is not None and time.monotonic() > next_look:
                next_look = time.monotonic() + _LOOK_WHETHER_LOST_EVERY_SECONDS
                if self.task().state != "failed":
                    lost = time.monotonic() + _LOST_AFTER_SECONDS
            self._check(min(deadline, lost), what)

    def _check(self, deadline: float, what: str) -> None:
        self.stage.airflow.processes.check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{self.row.name}: the task didn't {what} in time")
        time.sleep(_LOOK_EVERY_SECONDS)
