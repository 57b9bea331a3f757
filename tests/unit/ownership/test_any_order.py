"""Random sequences of faults and user actions, through the rule and through the code: they agree after every step."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from airflow_sm_processing.exceptions import ProcessingError
from airflow_sm_processing.ownership.claim import JobClaim, Try
from airflow_sm_processing.ownership.owner import Generation, number_of

from .model import ENDED, Due, Rule
from .processes import POINTS, Fate, Process, SteppedNotes, SteppedSageMaker
from .task import DEFINITION, OWNER

if TYPE_CHECKING:
    from airflow_sm_processing.ownership.claim import Claimed

RETRIES = 2
APART = 100.0  # seconds between two things that happen: more than clocks differ
FATES = st.one_of(st.just(Fate.ANSWERED), st.sampled_from(Fate))


class TaskInstance(RuleBasedStateMachine):
    """One task instance: Airflow, its user, its processes and its jobs."""

    keeps_notes = True
    may_tag = True
    is_clear_told_from_retry = True
    notes_can_fail = True

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_767_225_600.0
        self.clock = patch("time.time", lambda: self.now)
        self.clock.start()
        logging.disable(logging.CRITICAL)
        self.rule = Rule()
        self.account = SteppedSageMaker(lambda: self.now)
        self.account.forbids_tags = not self.may_tag
        self.account.on_made = self._made
        self.account.on_stopped = self._stopped
        self.kept: dict[str, Any] = {}
        self.run_started = self.now
        self.generation = Generation(RETRIES, 0, self._trace(0))
        self.number = 1
        self.processes: list[Process] = []
        self.current: Process | None = None
        self.is_handed_on = False

    def teardown(self) -> None:
        for process in self.processes:
            process.die()
        self.clock.stop()
        logging.disable(logging.NOTSET)

    # Airflow

    def _begin(self) -> Process:
        self.current = Process(self.rule.generation, self.account, self._claim)
        self.processes.append(self.current)
        return self.current

    def _claim(self, process: Process) -> Claimed:
        def check_supervisor() -> None:
            if process.is_orphan:
                raise ProcessingError("no supervisor")

        asking = Try(owner=OWNER, generation=self.generation, number=self.number, run_started=self.run_started)
        return JobClaim(
            DEFINITION,
            self.account.session(),
            asking,
            intents=SteppedNotes(self.keeps_notes, self.kept),
            max_transient_seconds=10 * APART,
            may_create=check_supervisor,
            sleep=lambda _: self._pass_time(process),
        ).job()

    def _pass_time(self, process: Process) -> None:
        process.asks("sleep")
        for job in self.account.jobs.values():
            if job["ProcessingJobStatus"] == "Stopping":
                job["ProcessingJobStatus"] = "Stopped"
        self._observe()

    def _trace(self, clears: int) -> str:
        return f"00-a-{clears}-01" if self.keeps_notes else ""

    def _made(self, process: Process, name: str) -> None:
        number = number_of(name, OWNER.digest)
        assert number is not None
        self._observe()
        self.rule.make(number, process.generation)

    def _stopped(self, process: Process, name: str) -> None:
        self.rule.stop(number_of(name, OWNER.digest) or 0, process.generation)

    def _observe(self) -> None:
        """Let the rule know how its jobs are."""
        for job, made in zip(self.rule.jobs, self.account.jobs.values(), strict=False):
            job.status = made["ProcessingJobStatus"]

    def _settle(self, process: Process) -> None:
        """Take in what a process has come to; what an orphan says, nobody hears."""
        if process.claimed is not None and not process.is_dead and not process.is_orphan:
            self.rule.take(number_of(process.claimed.job.job_name, OWNER.digest) or 0, process.generation)

    @property
    def running(self) -> list[Process]:
        return [process for process in self.processes if process.is_running]

    @property
    def _is_over(self) -> bool:
        """Whether the present try has ended, or died."""
        return self.current is None or self.current.is_dead or self.current.error is not None

    # What happens

    @precondition(lambda self: self.current is None and not self.is_handed_on)
    @rule(point=st.sampled_from(POINTS))
    def a_try_begins_and_comes_as_far_as(self, point: str) -> None:
        self.now += APART
        process = self._begin()
        process.come_as_far_as(point)
        self._settle(process)

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 9), fate=FATES)
    def a_call_comes_to(self, which: int, fate: Fate) -> None:
        self.now += 1
        process = self.running[which % len(self.running)]
        is_note = process.point in {"read", "write"}
        process.step(fate if fate.is_deadly or self.notes_can_fail or not is_note else Fate.ANSWERED)
        self._settle(process)

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 9), point=st.sampled_from([*POINTS, "its end"]))
    def a_process_goes_on_as_far_as(self, which: int, point: str) -> None:
        self.now += 1
        process = self.running[which % len(self.running)]
        process.come_as_far_as(point)
        self._settle(process)

    @precondition(lambda self: self.current is not None)
    @rule()
    def its_process_dies(self) -> None:
        assert self.current is not None
        self.current.die()

    @precondition(lambda self: self.current is not None and self._is_over)
    @rule()
    def a_retry_is_due(self) -> None:
        self.current = None
        self.number += 1

    @precondition(lambda self: self.current is not None and self.current.is_running)
    @rule(supervised=st.booleans())
    def airflow_takes_it_for_dead(self, supervised: bool) -> None:
        """The machine hangs, or the supervisor alone has died: the process may go on beside the next try."""
        assert self.current is not None
        if supervised and not self.may_tag and self.rule.generation > 1:
            self.current.die()  # without tags nothing tells its job, made late, from one of before the clear
        self.current.is_orphan = not supervised
        self.current = None
        self.number += 1

    @precondition(lambda self: self.rule.jobs)
    @rule(status=st.sampled_from(["Completed", "Failed", "Stopping", "Stopped"]))
    def the_job_becomes(self, status: str) -> None:
        self.now += APART
        job = list(self.account.jobs.values())[-1]
        if job["ProcessingJobStatus"] in {"InProgress", "Stopping"}:
            job["ProcessingJobStatus"] = status
        self._observe()

    @precondition(lambda self: self.current is not None and self.current.claimed is not None)
    @rule()
    def the_task_ends_with_its_job(self) -> None:
        """The process sees the job's end: the result is handed on, or the try fails."""
        assert self.current is not None
        assert self.current.claimed is not None
        status = self.account.jobs[self.current.claimed.job.job_name]["ProcessingJobStatus"]
        if self.current.is_dead or status not in ENDED:
            return
        self.current = None
        if status == "Completed":
            self.is_handed_on = True
        else:
            self.number += 1

    @precondition(lambda self: not (self.current is not None and self.current.is_running))
    @rule(is_run_over=st.booleans())
    def the_user_clears_it(self, is_run_over: bool) -> None:
        """It isn't running in a worker: it has ended, waits for a retry, or is deferred."""
        self.now += APART
        clears = (self.generation.clear_number or 0) + 1
        self.generation = Generation(self.number + RETRIES, clears, self._trace(clears))
        self._is_cleared()
        if is_run_over or not self.is_clear_told_from_retry:
            self.run_started = self.now

    @precondition(lambda self: self.is_clear_told_from_retry and self.current is not None and self.current.is_running)
    @rule()
    def the_user_clears_it_while_it_runs(self) -> None:
        """Airflow ends its process first."""
        assert self.current is not None
        self.now += APART
        clears = (self.generation.clear_number or 0) + 1
        self.generation = Generation(self.generation.max_tries, clears, self._trace(clears))
        self.current.die()
        self._is_cleared()

    def _is_cleared(self) -> None:
        self.rule.clear()
        self.current, self.is_handed_on = None, False
        self.number += 1
        for process in self.processes:
            process.is_orphan = True  # Airflow has ended what ran for the last life, or its supervisor was dead
            if not self.is_clear_told_from_retry:
                process.die()

    @precondition(lambda self: self.keeps_notes)
    @rule()
    def the_user_clears_another_task_of_the_run(self) -> None:
        self.generation = Generation(
            self.generation.max_tries, (self.generation.clear_number or 0) + 1, self.generation.trace
        )

    @precondition(lambda self: not self.running and self.current is None and not self.is_handed_on)
    @rule()
    def a_try_goes_undisturbed(self) -> None:
        """It comes to what the rule says, whatever happened before."""
        self.now += APART
        self._observe()
        due = self.rule.due()
        process = self._begin()
        process.finish()
        self._settle(process)
        assert process.claimed is not None, process.error
        number = number_of(process.claimed.job.job_name, OWNER.digest)
        assert Due(number or 0, process.claimed.found is None) == due

    @invariant()
    def what_there_is_is_what_the_rule_made(self) -> None:
        names = [number_of(name, OWNER.digest) for name in self.account.made]
        assert names == list(range(1, len(self.rule.jobs) + 1))
        assert len(self.account.running) <= 1


class WithoutNotes(TaskInstance):
    """On Airflow 3.1, which keeps nothing between tries."""

    keeps_notes = False


class WithoutTags(TaskInstance):
    """In an account whose policy forbids tags."""

    may_tag = False
    notes_can_fail = False  # or nothing tells whose a job is


class WithNeither(TaskInstance):
    """On Airflow 3.1, where a policy forbids tags: a clear is told by the time alone, if the run begins anew."""

    keeps_notes = False
    may_tag = False
    is_clear_told_from_retry = False


OFTEN = settings(
    max_examples=int(os.environ.get("ANY_ORDER_EXAMPLES", "100")),  # `make soak` plays more
    stateful_step_count=30,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestWithNotes = TaskInstance.TestCase
TestWithNotes.settings = OFTEN
TestWithoutNotes = WithoutNotes.TestCase
TestWithoutNotes.settings = OFTEN
TestWithoutTags = WithoutTags.TestCase
TestWithoutTags.settings = OFTEN
TestWithNeither = WithNeither.TestCase
TestWithNeither.settings = OFTEN


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_processes_that_note_at_once_one_makes_the_job(first: int) -> None:
    """Airflow takes a frozen process for dead and starts another; chance hardly finds the moment."""
    task = TaskInstance()
    for _ in range(2):
        task.a_try_begins_and_comes_as_far_as("write")
        task.airflow_takes_it_for_dead(supervised=True)
    for process in task.processes:
        process.step()
    task.processes[first].finish()
    task.processes[1 - first].finish()
    names = [process.claimed and process.claimed.job.job_name for process in task.processes]
    assert names == task.account.made * 2
    task.teardown()


@pytest.mark.parametrize("clears", [1, 2])
def test_a_job_whose_call_left_in_a_life_before_does_not_run_on(clears: int) -> None:
    """The first process was past its last question when Airflow took it for dead, and the next died before its call."""
    task = TaskInstance()
    task.a_try_begins_and_comes_as_far_as("CreateProcessingJob")
    task.airflow_takes_it_for_dead(supervised=False)
    for _ in range(clears):
        task.the_user_clears_it(is_run_over=False)
        task.a_try_begins_and_comes_as_far_as("CreateProcessingJob")
        task.its_process_dies()
        task.a_retry_is_due()
    task.processes[0].finish()
    task.a_try_goes_undisturbed()
    assert task.account.running == task.account.made[1:]
    task.teardown()


def test_an_orphan_does_not_stop_the_job_of_the_next_life() -> None:
    task = WithoutNotes()
    task.the_user_clears_it(is_run_over=False)
    task.a_try_begins_and_comes_as_far_as("ListProcessingJobs")
    task.airflow_takes_it_for_dead(supervised=False)
    task.the_user_clears_it(is_run_over=False)
    task.a_try_goes_undisturbed()
    task.processes[0].finish()
    assert task.account.running == task.account.made
    task.teardown()


def test_a_job_that_failed_unnoted_is_not_taken_by_the_retry() -> None:
    """Airflow could not say at the first try what was noted."""
    task = TaskInstance()
    task.a_try_begins_and_comes_as_far_as("read")
    task.a_call_comes_to(which=0, fate=Fate.LOST)
    task.processes[0].finish()
    task.the_job_becomes("Failed")
    task.the_task_ends_with_its_job()
    task.a_try_goes_undisturbed()
    task.teardown()
