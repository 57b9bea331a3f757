"""Nobody asks Airflow's supervisor for an XCom that isn't there: it logs an error each time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.execution_time.comms import GetXCom

from airflow_sm_processing.links import JOB_LINKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing import ProcessingOperator
    from airflow_sm_processing.local import LocalSageMaker
    from tests.task_runner import Runner

    TaskFactory = Callable[..., ProcessingOperator]


@pytest.fixture
def in_vain(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of XComs that weren't there when somebody asked for them."""
    send, found = runner.supervisor.send, list[str]()

    def noted(msg: Any) -> Any:
        answer = send(msg)
        if isinstance(msg, GetXCom) and answer.value is None:
            found.append(msg.key)
        return answer

    monkeypatch.setattr(runner.supervisor, "send", noted)
    return found


def test_a_trigger_finds_a_position_from_the_start(
    runner: Runner, task_factory: TaskFactory, in_vain: list[str]
) -> None:
    runner.run(task_factory("pass", deferrable=True))
    assert runner.supervisor.xcoms["task", -1]["log_position"] == {}
    assert in_vain == []


@pytest.mark.parametrize("logs", ["tail", False])
def test_where_no_trigger_shows_lines_there_is_no_position(
    runner: Runner, task_factory: TaskFactory, in_vain: list[str], logs: object
) -> None:
    task = task_factory("pass", deferrable=True, logs=logs)
    runner.run(task)
    assert "log_position" not in runner.supervisor.xcoms["task", -1]
    ended = runner.run(task, resume=("__fail__", {"error": "Trigger failure", "traceback": []}))
    assert (ended.state, in_vain) == ("success", [])


def test_after_a_lost_trigger(runner: Runner, task_factory: TaskFactory, in_vain: list[str]) -> None:
    task = task_factory("pass", deferrable=True)
    runner.run(task)
    ended = runner.run(task, resume=("__fail__", {"error": "Trigger failure", "traceback": []}))
    assert (ended.state, in_vain) == ("success", [])


def test_after_a_lost_wait_for_room(
    runner: Runner, task_factory: TaskFactory, in_vain: list[str], sagemaker: LocalSageMaker
) -> None:
    sagemaker.set_faults("CreateProcessingJob:error=ResourceLimitExceeded,times=1")
    task = task_factory("pass", deferrable=True)
    runner.run(task)
    runner.run(task, resume=("__fail__", {"error": "Trigger failure", "traceback": []}))
    assert in_vain == []


def test_what_airflow_asks_links_after_a_task_that_failed_early(
    runner: Runner, task_factory: TaskFactory, in_vain: list[str]
) -> None:
    """Before `pre_execute` takes the links away, as for a template that can't be rendered."""
    task = task_factory("pass")
    instance: Any = runner.instance(task)
    assert [link.get_link(task, ti_key=instance) for link in JOB_LINKS] == ["", "", ""]
    assert in_vain == []
