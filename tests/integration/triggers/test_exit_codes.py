"""Exit codes that skip a task, whoever waits for its job."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.serde import deserialize, serialize
from airflow.triggers.base import TaskSuccessEvent

from airflow_sm_processing import ProcessingOperator
from airflow_sm_processing.triggers.processing import ProcessingJobTrigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing.local import LocalSageMaker
    from tests.task_runner import Ended, Runner

    TaskFactory = Callable[..., ProcessingOperator]

EXITS = "raise SystemExit({})"


def state_of(runner: Runner, task: Any, **instance: int) -> str:
    """Run a task to its end, its trigger included, and return its state."""
    stay = runner.run(task, **instance)
    if stay.state != "deferred":
        return stay.state
    event = fired_by(stay)
    if isinstance(event, TaskSuccessEvent):
        return "success"
    arguments = deserialize(stay.deferred.next_kwargs) | {"event": event.payload}
    return runner.run(task, resume=(stay.deferred.next_method, serialize(arguments)), **instance).state


def fired_by(stay: Ended) -> Any:
    trigger = ProcessingJobTrigger(**deserialize(stay.deferred.trigger_kwargs))

    async def run() -> list[Any]:
        return [event async for event in trigger.run()]

    (event,) = asyncio.run(run())
    return event


@pytest.mark.parametrize(
    "mode", [{"deferrable": False}, {"deferrable": True}, {"deferrable": True, "end_from_trigger": True}]
)
@pytest.mark.parametrize(
    ("codes", "code", "state"),
    [(99, 99, "skipped"), ({98, 99}, 99, "skipped"), (99, 98, "failed"), (None, 99, "failed"), (99, 0, "success")],
)
def test_the_exit_code_skips_the_task(runner, task_factory, mode, codes, code, state):
    task = task_factory(EXITS.format(code), skip_on_exit_code=codes, **mode)
    assert state_of(runner, task) == ("up_for_retry" if state == "failed" else state)


@pytest.mark.parametrize(
    "codes", ["{{ 90 + 9 }}", ["{{ 90 + 9 }}", 98], "{{ [98, 99] | tojson }}", "{{ none or '99' }}"]
)
def test_the_codes_may_be_templates(runner: Runner, task_factory: TaskFactory, codes: Any):
    assert state_of(runner, task_factory(EXITS.format(99), skip_on_exit_code=codes)) == "skipped"


def test_a_mapped_task_of_a_native_dag_is_skipped_too(runner: Runner, common: dict[str, Any]):
    with DAG(
        "a_dag", schedule=None, render_template_as_native_obj=True, default_args={"skip_on_exit_code": "{{ [99] }}"}
    ):
        task = ProcessingOperator.partial(task_id="mapped", **common).expand(arguments=[[EXITS.format(99)]])
    assert state_of(runner, task, map_index=0) == "skipped"


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_try_that_finds_such_a_job_ends_as_the_one_before_would_have(
    runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker, deferrable: bool
):
    task = task_factory(EXITS.format(99), skip_on_exit_code=99, deferrable=True)
    stay = runner.run(task)
    name = runner.supervisor.xcoms["task", -1]["job_name"]
    fired_by(stay)  # the job has ended, and no worker was there to see it
    runner.supervisor.xcoms.clear()
    task.deferrable = deferrable
    ended = runner.run(task)
    assert (ended.state, runner.supervisor.xcoms["task", -1]["job_name"]) == ("skipped", name)


def test_a_skipped_task_keeps_what_was_known_at_submission(runner: Runner, task_factory: TaskFactory):
    task = task_factory(
        EXITS.format(99),
        skip_on_exit_code=99,
        outputs=[{"source": "/opt/ml/processing/out", "output_name": "out"}],
        result_files={"metrics": "out/metrics.json"},
    )
    assert state_of(runner, task) == "skipped"
    left = {name for name in runner.supervisor.xcoms["task", -1] if not name.startswith("_")}
    assert left == {"job_name", "job_arn", "out"}


def test_without_an_exit_code_the_task_fails(runner: Runner, task_factory: TaskFactory, sagemaker: LocalSageMaker):
    missing = [{"source": "s3://sagemaker-us-east-1-123456789012/absent/", "destination": "/opt/ml/processing/in"}]
    assert state_of(runner, task_factory("pass", skip_on_exit_code=99, inputs=missing)) == "up_for_retry"
