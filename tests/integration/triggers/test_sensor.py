"""A sensor waits for a job that was started elsewhere, in a worker or deferred, and never stops it."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout

from airflow_sm_processing import ProcessingJobSensor, ProcessingOutput
from airflow_sm_processing.exceptions import DefinitionError, JobFailedError, JobStoppedError
from airflow_sm_processing.local import Fault
from airflow_sm_processing.processing import WaitSettings
from airflow_sm_processing.triggers.processing import JobSensorTrigger
from airflow_sm_processing.xcoms import ended_result

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import DAG

    from airflow_sm_processing.hooks.processing import ProcessingHook
    from airflow_sm_processing.local import LocalSageMaker
    from airflow_sm_processing.processing import ProcessingJob
    from tests.task_runner import Ended, Runner

    Elsewhere = Callable[..., ProcessingJob]

WRITES = "open('/opt/ml/processing/out/a', 'w').write('a')"
SLEEPS = "import time; time.sleep(600)"
KINDS = ("job_name", "job_arn", "job_name_prefix")
QUICK = WaitSettings(poll_interval=0.1)
MODES: dict[str, dict[str, Any]] = {"poke": {"mode": "poke"}, "deferrable": {"deferrable": True}}


@pytest.fixture
def name() -> str:
    """A name that no other job of the server begins with."""
    return f"elsewhere-{uuid.uuid4().hex}"


@pytest.fixture
def elsewhere(hook: ProcessingHook, common: dict[str, Any], name: str) -> Elsewhere:
    """Starts jobs as somebody else does, under names that begin with `name`."""
    fields = {key: value for key, value in common.items() if key != "poll_interval"}

    def start(line: str, *, suffix: str = "") -> ProcessingJob:
        outputs = [ProcessingOutput("/opt/ml/processing/out", output_name="out")]
        processor = hook.processor(**fields)
        return processor.run(arguments=[line], outputs=outputs, job_name=name + suffix, wait=False, logs=False)

    return start


@pytest.fixture
def sensor_factory(dag: DAG, name: str) -> Callable[..., ProcessingJobSensor]:
    """Makes sensors for the job `name`, sought in one of the ways."""
    sought = {
        "job_name": name,
        "job_arn": f"arn:aws:sagemaker:us-east-1:123456789012:processing-job/{name}",
        "job_name_prefix": name[:-3],
    }

    def make(kind: str = "job_name", **parameters: Any) -> ProcessingJobSensor:
        return ProcessingJobSensor(
            **{"task_id": "sensor", kind: sought[kind], "poll_interval": 0.1, "timeout": 3600, **parameters}
        )

    return make


def trigger_of(ended: Ended) -> JobSensorTrigger:
    """Make the trigger of a deferral as a triggerer does."""
    assert ended.deferred.classpath == f"{JobSensorTrigger.__module__}.{JobSensorTrigger.__name__}"
    return JobSensorTrigger(**ended.deferred.trigger_kwargs)


async def fired(trigger: JobSensorTrigger) -> dict[str, Any]:
    (event,) = [event.payload async for event in trigger.run()]
    return event


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_completed_job_gives_what_an_operator_gives(
    elsewhere: Elsewhere, sensor_factory: Callable[..., ProcessingJobSensor], runner: Runner, kind: str, mode: str
):
    job = elsewhere(WRITES)
    job.wait(logs=False, settings=QUICK)
    ended = runner.run(sensor_factory(kind, **MODES[mode]))
    assert (ended.state, ended.error) == ("success", None)
    assert runner.supervisor.xcoms["sensor", -1] == {
        "job_name": job.job_name,
        "job_arn": job.job_arn,
        "out": job.output_uris["out"],
        "return_value": ended_result(job.description()),
    }


def test_in_a_worker_it_waits_for_a_running_job(
    elsewhere: Elsewhere, sensor_factory: Callable[..., ProcessingJobSensor], runner: Runner
):
    job = elsewhere("import time; time.sleep(1)")
    assert runner.run(sensor_factory()).state == "success"
    assert job.description().status.value == "Completed"


def test_rescheduled_it_leaves_the_worker_between_two_looks(
    elsewhere: Elsewhere, sensor_factory: Callable[..., ProcessingJobSensor], runner: Runner
):
    sensor = sensor_factory(mode="reschedule")
    assert runner.run(sensor).state == "up_for_reschedule"
    elsewhere("pass").wait(logs=False, settings=QUICK)
    assert runner.run(sensor).state == "success"


@pytest.mark.parametrize("kind", KINDS)
def test_deferred_it_waits_for_a_job_that_is_not_there_yet(
    elsewhere: Elsewhere, sensor_factory: Callable[..., ProcessingJobSensor], runner: Runner, kind: str
):
    sensor = sensor_factory(kind, deferrable=True)
    trigger = trigger_of(runner.run(sensor))

    async def made_meanwhile() -> tuple[dict[str, Any], ProcessingJob]:
        waiting = asyncio.ensure_future(fired(trigger))
        await asyncio.sleep(1)
        assert not waiting.done()
        job = await asyncio.to_thread(elsewhere, "pass")
        return await waiting, job

    event, job = asyncio.run(made_meanwhile())
    assert event == {"outcome": "ended", "message": None, "deadline": trigger.deadline}
    resumed = runner.run(sensor, resume=("execute_complete", {"event": event}))
    assert (resumed.state, resumed.error) == ("success", None)
    assert runner.supervisor.xcoms["sensor", -1]["return_value"] == ended_result(job.description())


def test_of_a_prefix_the_newest_job_since_the_given_moment_is_meant(
    elsewhere: Elsewhere, sensor_factory: Callable[..., ProcessingJobSensor], runner: Runner
):
    for suffix in ("-1", "-2"):
        elsewhere("pass", suffix=suffix).wait(logs=False, settings=QUICK)
    assert runner.run(sensor_factory("job_name_prefix")).state == "success"
    assert runner.supervisor.xcoms["sensor", -1]["job_name"].endswith("-2")
    late = sensor_factory("job_name_prefix", task_id="late", since="2999-01-01T00:00:00Z", mode="reschedule")
    assert runner.run(late).state == "up_for_reschedule"
    assert ("late", -1) not in runner.supervisor.xcoms


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("line", "stops", "kind"), [("raise SystemExit(3)", False, JobFailedError), (SLEEPS, True, JobStoppedError)]
)
def test_a_job_that_did_not_complete_fails_it_without_a_retry_or_skips_it(
    elsewhere: Elsewhere,
    sensor_factory: Callable[..., ProcessingJobSensor],
    runner: Runner,
    mode: str,
    line: str,
    stops: bool,
    kind: type[Exception],
):
    job = elsewhere(line)
    if stops:
        job.stop()
    job.wait_for_end(logs=False, settings=QUICK)
    failed = runner.run(sensor_factory(**MODES[mode]))
    assert (failed.state, type(failed.error)) == ("failed", AirflowFailException)
    assert type(failed.error.__context__) is kind
    assert runner.run(sensor_factory(task_id="soft", soft_fail=True, **MODES[mode])).state == "skipped"


@pytest.mark.parametrize(("soft_fail", "state"), [(False, "failed"), (True, "skipped")])
def test_deferred_it_times_out_and_the_job_goes_on(
    elsewhere: Elsewhere,
    sensor_factory: Callable[..., ProcessingJobSensor],
    runner: Runner,
    soft_fail: bool,
    state: str,
):
    job = elsewhere(SLEEPS)
    sensor = sensor_factory(deferrable=True, soft_fail=soft_fail)
    deferred = runner.run(sensor)
    trigger = trigger_of(deferred)
    assert trigger.deadline == pytest.approx(time.time() + 3600, abs=300)
    trigger.deadline = time.time() + 0.5
    event = asyncio.run(fired(trigger))
    assert (event["outcome"], event["deadline"]) == ("deadline", trigger.deadline)
    assert event["deadline"] <= time.time()
    resumed = runner.run(sensor, resume=("execute_complete", {"event": event}))
    assert (resumed.state, isinstance(resumed.error, AirflowSensorTimeout)) == (state, not soft_fail)
    assert job.description().status.value == "InProgress"


def test_a_trigger_that_is_cancelled_leaves_the_job_alone(elsewhere: Elsewhere, name: str):
    job = elsewhere(SLEEPS)

    async def cancelled() -> None:
        waiting = asyncio.ensure_future(fired(JobSensorTrigger({"job_name": name}, poll_interval=0.1)))
        await asyncio.sleep(1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(cancelled())
    assert job.description().status.value == "InProgress"


@pytest.mark.parametrize("kind", ["job_name", "job_name_prefix"])
def test_what_may_pass_is_borne(
    sagemaker: LocalSageMaker,
    elsewhere: Elsewhere,
    sensor_factory: Callable[..., ProcessingJobSensor],
    runner: Runner,
    kind: str,
):
    elsewhere("pass").wait(logs=False, settings=QUICK)
    operation = "DescribeProcessingJob" if kind == "job_name" else "ListProcessingJobs"
    sagemaker.set_faults(Fault(operation=operation, error="InternalFailure", status=500, times=3))
    once = {"retries": {"total_max_attempts": 1}}
    ended = runner.run(sensor_factory(kind, botocore_config=once))
    assert (ended.state, ended.error) == ("success", None)


def test_a_worker_waits_where_the_triggerer_can_not(
    sagemaker: LocalSageMaker,
    elsewhere: Elsewhere,
    sensor_factory: Callable[..., ProcessingJobSensor],
    runner: Runner,
):
    sensor = sensor_factory("job_name_prefix", deferrable=True)
    trigger = trigger_of(runner.run(sensor))
    denied = Fault(operation="ListProcessingJobs", error="AccessDeniedException", status=400)
    sagemaker.set_faults(denied)
    event = asyncio.run(fired(trigger))
    assert (event["outcome"], "AccessDeniedException" in event["message"]) == ("trouble", True)
    sagemaker.set_faults()
    elsewhere("pass")
    assert runner.run(sensor, resume=("execute_complete", {"event": event})).state == "success"


def test_a_trigger_is_made_again_as_it_was(name: str):
    sought = {"job_name": None, "name_is_exact": True, "job_name_prefix": name, "created_after": 1_800_000_000.5}
    trigger = JobSensorTrigger(sought, poll_interval=12.5, deadline=1_800_000_900.5)
    again = JobSensorTrigger(**trigger.serialize()[1])
    assert again.serialize() == trigger.serialize()
    assert (
        trigger.serialize()[1] | {"lookup": sought, "poll_interval": 12.5, "deadline": 1_800_000_900.5}
        == (trigger.serialize()[1])
    )


@pytest.mark.parametrize(
    ("which", "found"),
    [({}, "none is"), ({"job_name": "a", "job_arn": "b"}, "job_name and job_arn are")],
    ids=["none", "two"],
)
def test_exactly_one_way_to_seek_is_asked_for_when_the_dag_is_parsed(dag: DAG, which: dict[str, str], found: str):
    with pytest.raises(DefinitionError, match=f"exactly one of .* is required, and {found}"):
        ProcessingJobSensor(task_id="sensor", **which)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"job_name_prefix": "a", "since": "yesterday"}, "since='yesterday': must be a moment in ISO 8601"),
        ({"job_name": "a", "deferrable": "yes"}, "deferrable='yes': must be true or false"),
        ({"job_arn": "arn:aws:s3:::a"}, "job_arn='arn:aws:s3:::a': must be arn:"),
        ({"job_name": "{{ '' }}"}, "exactly one of job_name, job_arn, job_name_prefix is required, and none is"),
    ],
)
def test_what_can_not_be_right_fails_without_a_retry(dag: DAG, runner: Runner, parameters: dict[str, Any], says: str):
    ended = runner.run(ProcessingJobSensor(task_id="sensor", **parameters))
    assert (ended.state, says in str(ended.error)) == ("failed", True)
