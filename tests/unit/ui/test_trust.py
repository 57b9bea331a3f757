"""Which recorded statuses hold, and how a job can be stopped."""

from __future__ import annotations

import pytest

from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.ui.rows import JobRow, Standing
from airflow_sm_processing.ui.stopping import StopOffer, offer
from airflow_sm_processing.ui.trust import TaskState, judged

OPEN = {"status": JobStatus.IN_PROGRESS}
RUNNING = TaskState("running", 1)
HINT = "Stop it in the AWS console, or let the web server ask SageMaker: [sm_processing] ask_sagemaker = True."


@pytest.mark.parametrize("task", [None, RUNNING, TaskState("failed", 3)])
@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.STOPPED])
def test_a_recorded_end_holds_whatever_the_task_does(row_factory, status: JobStatus, task: TaskState | None):
    row = row_factory(status=status)
    assert judged(row, task) == row


@pytest.mark.parametrize("status", [JobStatus.IN_PROGRESS, JobStatus.STOPPING])
@pytest.mark.parametrize("state", ["running", "deferred", "queued", "scheduled", "restarting", "up_for_reschedule"])
def test_a_running_job_is_what_its_task_waits_for(row_factory, state: str, status: JobStatus):
    row = row_factory(status=status)
    assert judged(row, TaskState(state, 1)) == row


@pytest.mark.parametrize(
    ("task", "earlier", "note"),
    [
        (None, False, "The task instance is gone; nobody recorded the job's end."),
        (TaskState("success", 1), False, "The task is success; it ended before it could record the job's end."),
        (TaskState("failed", 1), False, "The task is failed; it ended before it could record the job's end."),
        (
            TaskState("up_for_retry", 1),
            False,
            "The task is up_for_retry; it ended before it could record the job's end.",
        ),
        (TaskState(None, 1), False, "The task is cleared; it ended before it could record the job's end."),
        (
            TaskState("running", 2),
            False,
            "The task went on to another try or job before this one's end was recorded.",
        ),
        (RUNNING, True, "The task went on to another try or job before this one's end was recorded."),
    ],
)
def test_a_job_that_its_task_left_is_unknown(row_factory, task: TaskState | None, earlier: bool, note: str):
    row = judged(row_factory(**OPEN, earlier=earlier), task)
    assert (row.status_now, row.status_note) == ("Unknown", note)


@pytest.mark.parametrize("task", [None, TaskState("failed", 1)])
def test_a_job_that_was_stopped_when_its_task_ended_is_still_stopping(row_factory, task: TaskState | None):
    row = judged(row_factory(status=JobStatus.STOPPING), task)
    assert row.standing == Standing("Stopping", "It was stopped when its task ended; nobody recorded its end.")


@pytest.mark.parametrize("task", [None, RUNNING, TaskState("success", 1)])
def test_a_job_that_nobody_waits_for_stays_as_it_was_submitted(row_factory, task: TaskState | None):
    note = "As it was submitted: its task doesn't wait for it, so nobody records its end."
    row = judged(row_factory(**OPEN, awaited=False), task)
    assert row.standing == Standing("InProgress", note)


def offered(
    row: JobRow, task: TaskState | None, *, asks_sagemaker: bool = False, stop_on_kill: bool = True
) -> StopOffer:
    row = judged(row, task)
    record = {"status": row.status_now, "stop_on_kill": stop_on_kill}
    return offer(row, record, task, asks_sagemaker=asks_sagemaker)


@pytest.mark.parametrize("state", ["running", "deferred"])
def test_a_task_stops_the_job_that_it_waits_for(row_factory, state: str):
    assert offered(row_factory(**OPEN), TaskState(state, 1)) == StopOffer(how="task")


def test_a_task_that_leaves_its_job_running_does_not(row_factory):
    why = f"The task leaves its job running when it is ended (stop_on_kill=False). {HINT}"
    assert offered(row_factory(**OPEN), RUNNING, stop_on_kill=False) == StopOffer(why_not=why)


def test_a_task_that_waits_for_no_job_does_not(row_factory):
    why = f"The task doesn't wait for its job (wait_for_completion=False). {HINT}"
    assert offered(row_factory(**OPEN, awaited=False), RUNNING) == StopOffer(why_not=why)


def test_a_task_that_has_ended_does_not(row_factory):
    why = f"The task is failed; it ended before it could record the job's end. {HINT}"
    assert offered(row_factory(**OPEN), TaskState("failed", 1)) == StopOffer(why_not=why)


def test_a_deferred_task_that_no_triggerer_has_yet_does_not(row_factory):
    why = "The task is between two processes: none would stop its job. Try again soon."
    assert offered(row_factory(**OPEN), TaskState("deferred", 1, is_held=False)) == StopOffer(why_not=why)


@pytest.mark.parametrize("task", [None, RUNNING, TaskState("failed", 1)])
@pytest.mark.parametrize("awaited", [True, False])
def test_a_web_server_that_asks_sagemaker_stops_any_job(row_factory, task: TaskState | None, awaited: bool):
    stop = offered(row_factory(**OPEN, awaited=awaited), task, asks_sagemaker=True, stop_on_kill=False)
    assert stop == StopOffer(how="sagemaker")


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize(
    ("status", "why"),
    [
        (JobStatus.COMPLETED, "The job is Completed."),
        (JobStatus.FAILED, "The job is Failed."),
        (JobStatus.STOPPED, "The job is Stopped."),
        (JobStatus.STOPPING, "The job is Stopping."),
    ],
)
def test_a_job_that_has_ended_or_is_stopping_is_left_alone(row_factory, status: JobStatus, why: str, asks: bool):
    assert offered(row_factory(status=status), RUNNING, asks_sagemaker=asks) == StopOffer(why_not=why)
