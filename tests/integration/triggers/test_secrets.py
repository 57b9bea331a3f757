"""What a job's script tells of its environment is hidden in the task's log, result and error, whoever shows them.

No masker of Airflow's is at work here: what is hidden is hidden by us.
"""

from __future__ import annotations

import asyncio
import re
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.serde import deserialize

from airflow_sm_processing import JobFailedError
from airflow_sm_processing.local import Fault
from airflow_sm_processing.processing.log_events import LogPosition, StreamPosition
from airflow_sm_processing.triggers import log_positions
from airflow_sm_processing.triggers.processing import ProcessingJobTrigger

from .airflow_stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing import ProcessingOperator
    from airflow_sm_processing.local import LocalSageMaker
    from tests.task_runner import Runner

    TaskFactory = Callable[..., ProcessingOperator]

WORD, OTHER = "correct-horse", "battery-staple"
ENV = {"LOGIN": WORD, "REGION": OTHER}
TELLS = (
    "import os, sys, time; e = os.environ; told = e['LOGIN'] + ', ' + e['REGION']; print('told:', told, flush=True); "
    "time.sleep(3); os.makedirs('/opt/ml/output', exist_ok=True); open('/opt/ml/output/message', 'w').write(told); "
    "sys.exit({})"
)  # arguments have one line of 256 characters
# The question for the environment is among the first calls; the watcher needs more patience, and has it.
DENIED = Fault(operation="DescribeProcessingJob", error="AccessDeniedException", times=8)


def count(log: str, words: str) -> int:
    """Return how many lines of the log end with what the job told, before the name of their logger."""
    return len(re.findall(rf"told: {re.escape(words)} +\[", log))


def tells(code: int = 0) -> str:
    return TELLS.format(code)


async def first_event(trigger: ProcessingJobTrigger) -> Any:
    (event,) = [event async for event in trigger.run()]
    return event


@pytest.fixture
def task_factory(task_factory: TaskFactory) -> TaskFactory:
    """Makes tasks of which none takes another's job for its own."""
    return lambda line, **parameters: task_factory(line, **{"task_id": f"task_{token_hex(4)}", **parameters})


@pytest.fixture
def submitted(runner: Runner, task_factory: TaskFactory) -> Callable[..., tuple[Any, dict[str, Any]]]:
    """Returns a deferred task with such an environment, and its trigger's arguments."""

    def submit(code: int = 0, **parameters: Any) -> tuple[Any, dict[str, Any]]:
        task = task_factory(tells(code), env=ENV, deferrable=True, **parameters)
        return task, deserialize(runner.run(task).deferred.trigger_kwargs)

    return submit


@pytest.mark.parametrize(
    ("parameters", "mask", "shown"),
    [
        ({}, True, "***, ***"),
        ({"mask_env": ["LOGIN"]}, ["LOGIN"], f"***, {OTHER}"),
        ({"mask_env": False}, False, f"{WORD}, {OTHER}"),
    ],
)
def test_a_trigger_hides_what_it_is_told_by_name(
    runner: Runner, submitted: Any, capfd: pytest.CaptureFixture[str], parameters: Any, mask: Any, shown: str
):
    task, arguments = submitted(**parameters)
    assert arguments["mask_env"] == mask
    assert {word for word in (WORD, OTHER) if word in str(arguments)} == set()
    capfd.readouterr()
    event = asyncio.run(first_event(ProcessingJobTrigger(**arguments)))
    assert event.payload["outcome"] == "ended"
    ended = runner.run(task, resume=("execute_complete", {"event": event.payload}))  # shows it if the trigger was late
    assert (ended.state, count(capfd.readouterr().out, shown)) == ("success", 1)


def test_a_trigger_hides_a_variable_that_goes_in_pieces(
    runner: Runner, task_factory: TaskFactory, capfd: pytest.CaptureFixture[str]
):
    secret = "".join(f"{number}-" for number in range(500))
    line = "import os; s = os.environ['LONG']; print('told:', len(s), s, flush=True)"
    task = task_factory(line, env={"LONG": secret, **ENV}, deferrable=True)
    arguments = deserialize(runner.run(task).deferred.trigger_kwargs)
    event = asyncio.run(first_event(ProcessingJobTrigger(**arguments)))
    ended = runner.run(task, resume=("execute_complete", {"event": event.payload}))
    log = capfd.readouterr().out
    assert (ended.state, count(log, f"{len(secret)} ***")) == ("success", 1)
    assert secret[:100] not in log


def test_a_trigger_of_a_task_with_nothing_to_hide_asks_for_nothing(runner: Runner, task_factory: TaskFactory):
    task = task_factory("pass", env={"EPOCHS": "100000"}, deferrable=True)
    assert deserialize(runner.run(task).deferred.trigger_kwargs)["mask_env"] is False


def test_a_task_that_its_trigger_ends_has_a_result_without_the_values(submitted: Any, monkeypatch: pytest.MonkeyPatch):
    _, arguments = submitted(end_from_trigger=True)
    airflow = StandIn(["deferred"], {"job_name": arguments["job_name"]})
    airflow.install(monkeypatch)
    asyncio.run(first_event(airflow.adopt(ProcessingJobTrigger(**arguments | {"end_task": True}))))
    assert airflow.xcoms["return_value"]["exit_message"] == "***, ***"


def test_where_the_environment_cannot_be_read_the_worker_shows_the_lines(
    submitted: Any, runner: Runner, sagemaker: LocalSageMaker, capfd: pytest.CaptureFixture[str]
):
    task, arguments = submitted()
    capfd.readouterr()
    sagemaker.set_faults(DENIED)
    event = asyncio.run(first_event(ProcessingJobTrigger(**arguments)))
    sagemaker.set_faults()
    by_trigger = capfd.readouterr().out
    assert by_trigger.count("what to hide in them can't be known here") == 1
    assert "told:" not in by_trigger
    assert event.payload["log_position"] is None
    ended = runner.run(task, resume=("execute_complete", {"event": event.payload}))
    assert ended.state == "success", ended.error
    assert count(capfd.readouterr().out, "***, ***") == 1


def test_a_position_that_an_earlier_trigger_kept_is_handed_on_where_no_line_is_shown(
    submitted: Any, sagemaker: LocalSageMaker, monkeypatch: pytest.MonkeyPatch
):
    _, arguments = submitted()
    stream = f"{arguments['job_name']}/algo-1-1700000000"
    kept = LogPosition({stream: StreamPosition(since=1, until=2)}).to_plain()
    airflow = StandIn(["deferred"], {"job_name": arguments["job_name"], "log_position": kept})
    airflow.install(monkeypatch)
    log_positions._spans.clear()
    sagemaker.set_faults(DENIED)
    event = asyncio.run(first_event(airflow.adopt(ProcessingJobTrigger(**arguments | {"since": 1.0}))))
    assert (event.payload["log_position"], event.payload["position_kept"]) == (kept, True)


def test_a_worker_hides_the_values_in_lines_result_and_error(
    runner: Runner, task_factory: TaskFactory, capfd: pytest.CaptureFixture[str]
):
    ended = runner.run(task := task_factory(tells(), env=ENV))
    assert ended.state == "success", ended.error
    assert runner.supervisor.xcoms[task.task_id, -1]["return_value"]["exit_message"] == "***, ***"
    failed = runner.run(task_factory(tells(code=3), env=ENV))
    assert isinstance(failed.error, JobFailedError)
    assert failed.error.exit_message == "***, ***"
    assert "told: ***, ***" in str(failed.error)
    shown = capfd.readouterr().out + str(failed.error) + repr(vars(failed.error))
    assert {word for word in (WORD, OTHER) if word in shown} == set()


def test_a_worker_hides_what_the_job_has_though_the_task_has_other_values_by_now(
    submitted: Any, runner: Runner, capfd: pytest.CaptureFixture[str]
):
    task, arguments = submitted()
    task.env = {"LOGIN": "tr0ub4dor"}  # a password that was changed meanwhile
    capfd.readouterr()
    event = {"job_name": arguments["job_name"], "outcome": "ended"}
    ended = runner.run(task, resume=("execute_complete", {"event": event}))
    assert ended.state == "success", ended.error
    assert count(capfd.readouterr().out, "***, ***") > 0
