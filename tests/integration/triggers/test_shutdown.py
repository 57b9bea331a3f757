"""A worker that is shut down leaves its job to the task's next try, as one that was killed does; a user's act stops it.

Both are SIGTERM. Airflow's state of the task tells them apart: on a shutdown it is still `running`.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow.sdk.execution_time.comms import GetTaskStates

from airflow_sm_processing import JobStoppedError
from airflow_sm_processing.local import Fault
from airflow_sm_processing.operators import release
from airflow_sm_processing.operators.attempt import WorkerShutdownError
from tests.integration.triggers.test_kill import ONCE, SLEEPS, at_lost_answer, sigterm, statuses, time_is_over

if TYPE_CHECKING:
    from airflow_sm_processing.local import LocalSageMaker
    from tests.integration.triggers.test_kill import TaskFactory
    from tests.task_runner import Ended, Runner

STOPPED = (["Stopping"], ["Stopped"])


def at_xcom(runner: Runner, wanted: str = "job_arn") -> None:
    """Send SIGTERM when the task pushes an XCom."""
    runner.supervisor.on_xcom = lambda key: sigterm(key) if key == wanted else None


def shut_down(runner: Runner, task: Any, *, retries_left: bool = True, state: str | None = "running") -> Ended:
    runner.supervisor.state = state
    at_xcom(runner)
    return runner.run(task, retries_left=retries_left)


@pytest.mark.parametrize("stop_on_kill", [True, False])
def test_the_next_try_goes_on_with_the_job(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker, stop_on_kill: bool
):
    base = f"shut-down-{stop_on_kill}".lower()
    ended = shut_down(runner, task_factory(SLEEPS, base_job_name=base, stop_on_kill=stop_on_kill))
    assert (ended.state, type(ended.error)) == ("up_for_retry", WorkerShutdownError)
    assert "is shutting down. Processing job shut-down-" in str(ended.error)
    assert statuses(sagemaker, base) == ["InProgress"]


@pytest.mark.parametrize("state", ["failed", "restarting"])
def test_a_task_that_somebody_ended_stops_its_job(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker, state: str
):
    base = f"ended-as-{state}"
    ended = shut_down(runner, task_factory(SLEEPS, base_job_name=base), state=state)
    assert isinstance(ended.error, JobStoppedError)
    assert statuses(sagemaker, base) == ["Stopped"]


POLICY = ExceptionRetryPolicy(rules=[RetryRule(exception=WorkerShutdownError, action=RetryAction.FAIL)])


@pytest.mark.parametrize(
    ("name", "parameters", "retries_left"),
    [
        ("no-retries", {}, False),
        ("on-existing-job", {"on_existing_job": "new"}, True),
        ("retry-policy", {"retry_policy": POLICY}, True),
    ],
)
def test_a_job_that_no_next_try_would_wait_for_is_stopped(
    runner: Runner,
    task_factory: TaskFactory,
    sagemaker: LocalSageMaker,
    caplog: pytest.LogCaptureFixture,
    name: str,
    parameters: dict[str, Any],
    retries_left: bool,
):
    task = task_factory(SLEEPS, base_job_name=f"alone-{name}", **parameters)
    assert isinstance(shut_down(runner, task, retries_left=retries_left).error, JobStoppedError)
    assert statuses(sagemaker, f"alone-{name}") == ["Stopped"]
    assert "no next try of the task would wait for processing job alone-" in caplog.text


@pytest.mark.parametrize(("retries_left", "left"), [(True, (["InProgress"],)), (False, STOPPED)])
def test_an_airflow_that_cannot_be_asked_is_taken_for_a_host_that_is_cut_off(
    runner: Runner,
    task_factory: TaskFactory,
    sagemaker: LocalSageMaker,
    monkeypatch: pytest.MonkeyPatch,
    retries_left: bool,
    left: tuple[list[str], ...],
):
    answer = runner.supervisor.send

    def refuse(msg: Any) -> Any:
        if isinstance(msg, GetTaskStates):
            raise ConnectionError("the API server is away")
        return answer(msg)

    monkeypatch.setattr(release, "_ANSWER_SECONDS", 4.0)  # longer than the signal's handler waits
    monkeypatch.setattr(runner.supervisor, "send", refuse)
    base = f"cut-off-{retries_left}".lower()
    ended = shut_down(runner, task_factory(SLEEPS, base_job_name=base), retries_left=retries_left)
    assert isinstance(ended.error, WorkerShutdownError if retries_left else JobStoppedError)
    assert statuses(sagemaker, base) in left


def test_a_late_word_that_a_user_ended_the_task_still_stops_the_job(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker, monkeypatch: pytest.MonkeyPatch
):
    answer, waited = runner.supervisor.send, threading.Event()

    def answer_late(msg: Any) -> Any:
        if isinstance(msg, GetTaskStates):
            waited.wait(2 * release._HANDLER_SECONDS)
        return answer(msg)

    monkeypatch.setattr(runner.supervisor, "send", answer_late)
    ended = shut_down(runner, task_factory(SLEEPS, base_job_name="told-late"), state="failed")
    assert isinstance(ended.error, JobStoppedError)
    assert statuses(sagemaker, "told-late") == ["Stopped"]


@pytest.mark.parametrize("retries_left", [True, False])
@pytest.mark.parametrize(
    ("parameters", "state"), [({"deferrable": True}, "deferred"), ({"wait_for_completion": False}, "success")]
)
def test_a_job_that_this_worker_would_not_have_waited_for_goes_on(
    runner: Runner,
    task_factory: TaskFactory,
    sagemaker: LocalSageMaker,
    parameters: dict[str, Any],
    state: str,
    retries_left: bool,
):
    base = f"handed-on-{state}-{retries_left}".lower()
    runner.supervisor.state = "running"
    at_xcom(runner, "_job")
    ended = runner.run(task_factory(SLEEPS, base_job_name=base, **parameters), retries_left=retries_left)
    assert (ended.state, statuses(sagemaker, base)) == (state, ["InProgress"])


def test_a_shutdown_while_the_job_is_submitted_leaves_it_to_the_next_try(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker
):
    runner.supervisor.state = "running"
    task = task_factory(SLEEPS, base_job_name="submitting")

    def arm(context: Any) -> None:
        events = context["task"].hook.session.sagemaker_client.meta.events
        events.register("before-send.sagemaker.CreateProcessingJob", lambda **_: sigterm(None))

    task.pre_execute = arm
    ended = runner.run(task)
    assert isinstance(ended.error, WorkerShutdownError)
    assert statuses(sagemaker, "submitting") == ["InProgress"]


@pytest.mark.parametrize(("retries_left", "left"), [(True, (["InProgress"],)), (False, STOPPED)])
def test_a_job_that_was_made_unseen_is_left_to_the_next_try(
    runner: Runner,
    task_factory: TaskFactory,
    sagemaker: LocalSageMaker,
    retries_left: bool,
    left: tuple[list[str], ...],
):
    runner.supervisor.state = "running"
    sagemaker.set_faults(Fault(operation="CreateProcessingJob", drop="after"))
    base = f"unseen-left-{retries_left}".lower()
    with at_lost_answer(lambda: sigterm(None)):
        ended = runner.run(task_factory(SLEEPS, base_job_name=base, botocore_config=ONCE), retries_left=retries_left)
    assert "ended from outside" in str(ended.error)
    assert statuses(sagemaker, base) in left


def test_two_signals_are_one(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker, caplog: pytest.LogCaptureFixture
):
    """A container's init may send the signal to the supervisor, which passes it on, and to the task as well."""
    runner.supervisor.state = "failed"
    runner.supervisor.on_xcom = lambda key: (sigterm(key), sigterm(key)) if key == "job_arn" else None
    ended = runner.run(task_factory(SLEEPS, base_job_name="twice"))
    assert isinstance(ended.error, JobStoppedError)
    assert caplog.text.count("Asked SageMaker to stop processing job") == 1
    assert statuses(sagemaker, "twice") == ["Stopped"]


# The time-out may strike in a callback of the garbage collector, which Python passes over.
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
def test_an_execution_timeout_is_no_shutdown(runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker):
    runner.supervisor.state = "running"
    runner.supervisor.on_xcom = lambda key: time_is_over(key) if key == "job_arn" else None
    task = task_factory(SLEEPS, base_job_name="time-is-over", execution_timeout=timedelta(hours=1))
    assert isinstance(runner.run(task).error, AirflowTaskTimeout)
    assert statuses(sagemaker, "time-is-over") in STOPPED
