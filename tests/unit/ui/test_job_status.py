"""Which recorded statuses are current, and how a job can be stopped."""

from __future__ import annotations

import pytest

from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.ui.models import CurrentStatus, Job, JobRow, StopOption, TaskState, reconcile, stop_option

OPEN = {"status": JobStatus.IN_PROGRESS}
RUNNING = TaskState("running", 1)
HINT = "Stop the job in the AWS console, or set [sm_processing] ask_sagemaker = True to let the API server stop it."


@pytest.mark.parametrize("task", [None, RUNNING, TaskState("failed", 3)])
@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.STOPPED])
def test_a_recorded_end_holds_whatever_the_task_does(row_factory, status: JobStatus, task: TaskState | None):
    row = row_factory(status=status)
    assert reconcile(row, task) == row


@pytest.mark.parametrize("status", [JobStatus.IN_PROGRESS, JobStatus.STOPPING])
@pytest.mark.parametrize("state", ["running", "deferred", "queued", "scheduled", "restarting", "up_for_reschedule"])
def test_a_running_job_is_what_its_task_waits_for(row_factory, state: str, status: JobStatus):
    row = row_factory(status=status)
    assert reconcile(row, TaskState(state, 1)) == row


@pytest.mark.parametrize(
    ("task", "superseded", "note"),
    [
        (None, False, "The task instance was deleted before the job's end was recorded."),
        (TaskState("success", 1), False, "The task ended before the job's end was recorded (task state: success)."),
        (TaskState("failed", 1), False, "The task ended before the job's end was recorded (task state: failed)."),
        (
            TaskState("up_for_retry", 1),
            False,
            "The task ended before the job's end was recorded (task state: up_for_retry).",
        ),
        (TaskState(None, 1), False, "The task ended before the job's end was recorded (task state: cleared)."),
        (
            TaskState("running", 2),
            False,
            "The task moved on to another try or job before this job's end was recorded.",
        ),
        (RUNNING, True, "The task moved on to another try or job before this job's end was recorded."),
    ],
)
def test_a_job_that_its_task_left_is_unknown(row_factory, task: TaskState | None, superseded: bool, note: str):
    row = reconcile(row_factory(**OPEN, superseded=superseded), task)
    assert (row.current_status, row.status_note) == ("Unknown", note)


@pytest.mark.parametrize("task", [None, TaskState("failed", 1)])
def test_a_job_that_was_stopped_when_its_task_ended_is_still_stopping(row_factory, task: TaskState | None):
    row = reconcile(row_factory(status=JobStatus.STOPPING), task)
    assert row.reconciled == CurrentStatus(
        "Stopping", "A stop was requested and the task has ended, so the job's own end may not be recorded."
    )


@pytest.mark.parametrize("task", [None, RUNNING, TaskState("success", 1)])
def test_a_job_that_nobody_waits_for_stays_as_it_was_submitted(row_factory, task: TaskState | None):
    note = "Status at submission: the task doesn't wait for this job, so its end isn't recorded."
    row = reconcile(row_factory(**OPEN, awaited=False), task)
    assert row.reconciled == CurrentStatus("InProgress", note)


def option(row: JobRow, task: TaskState | None, *, live_status: bool = False, stop_on_kill: bool = True) -> StopOption:
    row = reconcile(row, task)
    job = Job.model_construct(status=row.current_status, stop_on_kill=stop_on_kill)
    return stop_option(row, job, task, live_status=live_status)


@pytest.mark.parametrize("state", ["running", "deferred"])
def test_a_task_stops_the_job_that_it_waits_for(row_factory, state: str):
    assert option(row_factory(**OPEN), TaskState(state, 1)) == StopOption(how="task")


def test_a_task_that_leaves_its_job_running_does_not(row_factory):
    why = f"The task is set to leave its job running when it is stopped (stop_on_kill=False). {HINT}"
    assert option(row_factory(**OPEN), RUNNING, stop_on_kill=False) == StopOption(why_not=why)


def test_a_task_that_waits_for_no_job_does_not(row_factory):
    why = f"The task doesn't wait for this job (wait_for_completion=False), so it can't stop it. {HINT}"
    assert option(row_factory(**OPEN, awaited=False), RUNNING) == StopOption(why_not=why)


def test_a_task_that_has_ended_does_not(row_factory):
    why = f"The task ended before the job's end was recorded (task state: failed). {HINT}"
    assert option(row_factory(**OPEN), TaskState("failed", 1)) == StopOption(why_not=why)


def test_a_deferred_task_that_no_triggerer_has_yet_does_not(row_factory):
    why = "No worker or triggerer is running the task now, so nothing would stop its job. Try again soon."
    assert option(row_factory(**OPEN), TaskState("deferred", 1, has_process=False)) == StopOption(why_not=why)


@pytest.mark.parametrize("task", [None, RUNNING, TaskState("failed", 1)])
@pytest.mark.parametrize("awaited", [True, False])
def test_a_web_server_that_asks_sagemaker_stops_any_job(row_factory, task: TaskState | None, awaited: bool):
    stop = option(row_factory(**OPEN, awaited=awaited), task, live_status=True, stop_on_kill=False)
    assert stop == StopOption(how="sagemaker")


@pytest.mark.parametrize("live_status", [True, False])
@pytest.mark.parametrize(
    ("status", "why"),
    [
        (JobStatus.COMPLETED, "The job is already completed."),
        (JobStatus.FAILED, "The job is already failed."),
        (JobStatus.STOPPED, "The job is already stopped."),
        (JobStatus.STOPPING, "The job is already stopping."),
    ],
)
def test_a_job_that_has_ended_or_is_stopping_is_left_alone(row_factory, status: JobStatus, why: str, live_status: bool):
    assert option(row_factory(status=status), RUNNING, live_status=live_status) == StopOption(why_not=why)
