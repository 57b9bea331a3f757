"""A task that is ended from outside, or that breaks, leaves no job running that no other try takes over."""

from __future__ import annotations

import logging
import os
import signal
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout

from airflow_sm_processing import DefinitionError, JobStoppedError, ProcessingOperator
from airflow_sm_processing.exceptions import AccessDeniedError, TransientError
from airflow_sm_processing.local import Fault
from airflow_sm_processing.operators.attempt import TaskDefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_sm_processing.local import LocalSageMaker
    from tests.task_runner import Runner

    TaskFactory = Callable[..., ProcessingOperator]

SLEEPS = "import time; time.sleep(600)"
ONCE = {"retries": {"total_max_attempts": 1}}


def sigterm(_key: object) -> None:
    """Do what a supervisor does to end a task; Airflow's handler calls the task's on_kill."""
    os.kill(os.getpid(), signal.SIGTERM)


def time_is_over(_key: object) -> None:
    """Ring the alarm that Airflow has set for the task's `execution_timeout` of an hour."""
    assert signal.getitimer(signal.ITIMER_REAL)[0] > 3000  # which isn't the alarm of the test itself
    signal.setitimer(signal.ITIMER_REAL, 1.0)


@contextmanager
def at_lost_answer(do: Callable[[], object]) -> Iterator[None]:
    """Do something when the task has said that it waits for the service to answer again."""

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "Retrying for up to" in record.getMessage():
                do()

    logger, listener = logging.getLogger("airflow_sm_processing.processing.aws_calls"), Listener()
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)


def statuses(sagemaker: LocalSageMaker, base_job_name: str) -> list[str]:
    """Return the status of each job whose name begins so."""
    return [job["ProcessingJobStatus"] for job in jobs_of(sagemaker, base_job_name)]


def jobs_of(sagemaker: LocalSageMaker, base_job_name: str) -> list[dict[str, Any]]:
    """Return the jobs whose names begin so; in others', of other tests, it may stand elsewhere."""
    answer = sagemaker.client("sagemaker").list_processing_jobs(NameContains=base_job_name)
    return [job for job in answer["ProcessingJobSummaries"] if job["ProcessingJobName"].startswith(base_job_name)]


def test_a_task_that_is_killed_while_it_waits_stops_its_job(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker
):
    task = task_factory(SLEEPS, base_job_name="killed-waiting")

    def kill_once(key: str) -> None:
        if key == "job_arn":
            sigterm(key)

    runner.supervisor.on_xcom = kill_once
    ended = runner.run(task)
    assert isinstance(ended.error, JobStoppedError)
    assert statuses(sagemaker, "killed-waiting") == ["Stopped"]


def test_a_task_that_is_killed_before_it_submits_makes_no_job(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker
):
    """SIGTERM alone doesn't end a task, and its supervisor kills it 5 s later."""
    task = task_factory(SLEEPS, base_job_name="killed-before", role="{{ kill() }}")
    task.dag.user_defined_macros = {"kill": lambda: sigterm(None) or "SageMakerRole"}
    ended = runner.run(task)
    assert "ended from outside before its job was created" in str(ended.error)
    assert statuses(sagemaker, "killed-before") == []


def test_a_task_that_is_killed_while_it_submits_stops_the_job_that_it_made(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker
):
    task = task_factory(SLEEPS, base_job_name="killed-submitting")

    def kill_at_creation(context: Any) -> None:
        events = context["task"].hook.session.sagemaker_client.meta.events
        events.register("before-send.sagemaker.CreateProcessingJob", lambda **_: sigterm(None))

    task.pre_execute = kill_at_creation
    ended = runner.run(task)
    assert isinstance(ended.error, JobStoppedError)
    assert statuses(sagemaker, "killed-submitting") == ["Stopped"]


def nothing(_key: object) -> None:
    """Leave it to the task's own patience."""


@pytest.mark.parametrize(
    ("parameters", "then", "kind"),
    [
        ({"max_transient_seconds": 1}, nothing, TransientError),
        ({"execution_timeout": timedelta(hours=1)}, time_is_over, AirflowTaskTimeout),
    ],
    ids=["patience ends", "execution_timeout"],
)
@pytest.mark.parametrize(("retries_left", "left"), [(True, ["InProgress"]), (False, ["Stopping", "Stopped"])])
def test_a_job_that_was_made_unseen_is_left_to_the_next_try_or_stopped(
    runner: Runner,
    task_factory: TaskFactory,
    sagemaker: LocalSageMaker,
    parameters: dict[str, Any],
    then: Callable[[object], None],
    kind: type[BaseException],
    retries_left: bool,
    left: list[str],
):
    sagemaker.set_faults(Fault(operation="CreateProcessingJob", drop="after"))
    base = f"unseen-{kind.__name__}-{retries_left}"
    task = task_factory(SLEEPS, base_job_name=base, botocore_config=ONCE, **parameters)
    outage = Fault(operation="CreateProcessingJob", error="InternalFailure", status=500)
    with at_lost_answer(lambda: (sagemaker.set_faults(outage), then(None))):
        ended = runner.run(task, retries_left=retries_left)
    assert isinstance(ended.error, kind)
    (status,) = statuses(sagemaker, base)
    assert status in left


def test_a_job_that_was_made_unseen_is_stopped_when_its_task_is_killed(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker
):
    sagemaker.set_faults(Fault(operation="CreateProcessingJob", drop="after"))
    with at_lost_answer(lambda: sigterm(None)):
        ended = runner.run(task_factory(SLEEPS, base_job_name="unseen-killed", botocore_config=ONCE))
    assert "ended from outside" in str(ended.error)
    assert statuses(sagemaker, "unseen-killed") in (["Stopping"], ["Stopped"])


def test_on_kill_before_anything_was_submitted_does_nothing(task_factory: TaskFactory):
    task_factory(SLEEPS).on_kill()


def test_on_kill_after_the_jobs_end_does_nothing(runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker):
    ended = runner.run(task_factory("pass", base_job_name="ended-first"))
    sagemaker.set_faults(Fault(operation="StopProcessingJob", error="InternalFailure", status=500))
    ended.task.on_kill()
    sagemaker.set_faults()
    assert statuses(sagemaker, "ended-first") == ["Completed"]


# Where the alarm meets a callback of the CRT's, Python reports it there too; the wait ends all the same.
@pytest.mark.filterwarnings("ignore:Exception ignored in.*AirflowTaskTimeout:pytest.PytestUnraisableExceptionWarning")
def test_an_execution_timeout_in_the_worker_stops_the_job(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker
):
    runner.supervisor.on_xcom = lambda key: time_is_over(key) if key == "job_arn" else None
    task = task_factory(SLEEPS, base_job_name="timed-out", execution_timeout=timedelta(hours=1))
    ended = runner.run(task)
    assert isinstance(ended.error, AirflowTaskTimeout)
    assert statuses(sagemaker, "timed-out") in (["Stopping"], ["Stopped"])


def test_a_stop_that_fails_does_not_hide_why_the_task_ended(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker, capfd: pytest.CaptureFixture[str]
):
    sagemaker.set_faults(
        Fault(operation="DescribeProcessingJob", error="AccessDeniedException", message="no describing"),
        Fault(operation="StopProcessingJob", error="AccessDeniedException", message="no stopping"),
    )
    ended = runner.run(task_factory("pass", base_job_name="not-stoppable"), retries_left=False)
    assert isinstance(ended.error, AccessDeniedError)
    assert "no describing" in str(ended.error)
    assert "could not be stopped and may still run: StopProcessingJob" in capfd.readouterr().out


RETRIES = pytest.mark.parametrize(
    ("retries_left", "on_existing_job", "state", "left"),
    [
        (True, "reattach", "up_for_retry", {"InProgress"}),
        (True, "new", "up_for_retry", {"Stopping", "Stopped"}),
        (False, "reattach", "failed", {"Stopping", "Stopped"}),
    ],
    ids=["the next try takes it over", "the next try wants another", "no try follows"],
)


@RETRIES
def test_a_wait_that_breaks_leaves_the_job_to_the_next_try_or_stops_it(
    runner: Runner,
    task_factory: TaskFactory,
    sagemaker: LocalSageMaker,
    retries_left: bool,
    on_existing_job: str,
    state: str,
    left: set[str],
):
    base = f"unwatched-{retries_left}-{on_existing_job}"
    sagemaker.set_faults(Fault(operation="DescribeProcessingJob", error="AccessDeniedException"))
    task = task_factory(SLEEPS, base_job_name=base, on_existing_job=on_existing_job)
    ended = runner.run(task, retries_left=retries_left)
    sagemaker.set_faults()
    assert (ended.state, type(ended.error)) == (state, AccessDeniedError)
    (status,) = statuses(sagemaker, base)
    assert status in left


@RETRIES
def test_an_xcom_that_cannot_be_pushed_leaves_the_job_to_the_next_try_or_stops_it(
    runner: Runner,
    task_factory: TaskFactory,
    sagemaker: LocalSageMaker,
    retries_left: bool,
    on_existing_job: str,
    state: str,
    left: set[str],
):
    base = f"unpublished-{retries_left}-{on_existing_job}"

    def refuse(_key: str) -> None:
        raise ConnectionError("the API server is away")

    runner.supervisor.on_xcom = refuse
    task = task_factory(SLEEPS, base_job_name=base, wait_for_completion=False, on_existing_job=on_existing_job)
    ended = runner.run(task, retries_left=retries_left)
    assert (ended.state, str(ended.error)) == (state, "the API server is away")
    (status,) = statuses(sagemaker, base)
    assert status in left


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"instance_count": "{{ 'many' }}"}, "instance_count='many': must be a whole number"),
        ({"role": "AbsentRole"}, "role='AbsentRole': IAM knows no role of that name"),
        (
            {"botocore_config": {"bogus": 1}},
            "botocore_config=(hidden, a dict): Got unexpected keyword argument 'bogus'",
        ),
        (
            {"botocore_config": "{{ 'no JSON' }}"},
            "botocore_config=(hidden, 7 characters): must be a dict, or the JSON of one",
        ),
    ],
    ids=["at rendering", "at submission", "at connecting", "at reading the connection"],
)
def test_a_definition_that_no_retry_mends_is_not_retried(
    runner: Runner, task_factory: TaskFactory, parameters: dict[str, Any], says: str
):
    ended = runner.run(task_factory("pass", **parameters), retries_left=True)
    assert (ended.state, type(ended.error)) == ("failed", TaskDefinitionError)
    assert isinstance(ended.error, DefinitionError)
    assert isinstance(ended.error, AirflowFailException)
    assert says in str(ended.error)


def test_on_kill_while_a_quota_is_waited_out_makes_no_job(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker
):
    sagemaker.set_faults("CreateProcessingJob:error=ResourceLimitExceeded")
    task = task_factory(SLEEPS, base_job_name="killed-for-quota", role="{{ kill() }}")
    task.dag.user_defined_macros = {"kill": lambda: sigterm(None) or "SageMakerRole"}
    ended = runner.run(task)
    sagemaker.set_faults()
    assert "ended from outside before its job was created" in str(ended.error)
    assert statuses(sagemaker, "killed-for-quota") == []
