"""Whether a task's process still speaks for its task instance."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import CommsDecoder

from airflow_sm_processing.exceptions import ProcessingError
from airflow_sm_processing.operators.attempt import Attempt, Termination
from airflow_sm_processing.ownership.owner import Generation, Intent, Owner

if TYPE_CHECKING:
    from collections.abc import Callable

INTENT = Intent(job_name="a-1", number=1, claim="c", generation=Generation(1, 0), noted=1.0)


class Store:
    """Airflow's `task_state_store`, which is empty for a task instance that isn't any more."""

    def __init__(self, kept: Any) -> None:
        self.kept = kept

    def get(self, key: str) -> Any:  # there is one
        return self.kept


def attempt(
    answer: Callable[[], Any], *, map_index: int = -1, number: int = 2, store: Store | None = None, **options: Any
) -> Attempt:
    ti = SimpleNamespace(
        dag_id="d", run_id="r", task_id="t", map_index=map_index, try_number=number, max_tries=3,
        context_carrier={"traceparent": "00-a-b-01"}, get_task_states=lambda **_: {"r": answer()}, **options,
    )  # fmt: skip
    run = SimpleNamespace(clear_number=1, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc))
    return Attempt({"ti": ti, "dag_run": run, "task_state_store": store} if store else {"ti": ti, "dag_run": run})  # type: ignore[typeddict-item]  # what is asked for


def test_it_says_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__SM_PROCESSING__DEPLOYMENT", "production")
    asking = attempt(dict, map_index=4).asking()
    assert asking.owner == Owner(deployment="production", dag_id="d", run_id="r", task_id="t", map_index=4)
    assert (asking.generation, asking.number, asking.run_started) == (Generation(3, 1, "00-a-b-01"), 2, 1_767_225_600.0)


def test_without_a_name_the_deployment_is_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example")
    assert attempt(dict).asking().owner.deployment == "https://airflow.example"


@pytest.mark.parametrize("state", ["up_for_retry", "scheduled", "queued", "deferred"])
@pytest.mark.parametrize("map_index", [-1, 3])
def test_a_try_between_tries_is_taken_over(state: str, map_index: int) -> None:
    key = "t" if map_index < 0 else f"t_{map_index}"
    assert attempt(lambda: {key: state}, map_index=map_index).termination(within=60) is Termination.SUPERSEDED


@pytest.mark.parametrize("state", ["restarting", "success", "failed", "skipped", "removed", None])
def test_a_task_that_a_user_ended_is_not(state: str | None) -> None:
    assert attempt(lambda: {"t": state}, store=Store(None)).termination(within=60) is Termination.ENDED


def test_a_task_instance_that_is_not_there_any_more_was_ended() -> None:
    assert attempt(dict).termination(within=60) is Termination.ENDED


@pytest.mark.parametrize(
    ("store", "why"),
    [
        (Store(INTENT.to_plain()), Termination.SHUTDOWN),
        (Store(None), Termination.SUPERSEDED),
        (None, Termination.SHUTDOWN),
    ],
)
def test_a_running_task_is_another_try_if_this_ones_notes_are_gone(store: Store | None, why: Termination) -> None:
    assert attempt(lambda: {"t": "running"}, store=store).termination(within=60) is why


def test_notes_that_cannot_be_read_are_not_gone() -> None:
    class Broken(Store):
        def get(self, key: str) -> Any:
            raise OSError(key)

    assert attempt(lambda: {"t": "running"}, store=Broken(None)).termination(within=60) is Termination.SHUTDOWN


def test_no_answer_is_waited_for_longer_than_asked(caplog: pytest.LogCaptureFixture) -> None:
    asked = threading.Event()
    assert attempt(lambda: asked.wait(60)).termination(within=0.1) is Termination.UNKNOWN
    asked.set()
    assert "Airflow didn't report why this task's process has to end" in caplog.text


def test_an_airflow_that_cannot_be_asked_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    answers = [{"t": "failed"}]

    def refuse_once() -> Any:
        if len(answers) < 2:
            answers.append({})
            raise OSError("gone")
        return answers[0]

    assert attempt(refuse_once).termination(within=60) is Termination.ENDED
    assert "Airflow didn't report why this task's process has to end: OSError('gone')" in caplog.text


class Policy:
    """A DAG author's `retry_policy`, which Airflow has since 3.3."""

    def __init__(self, action: str) -> None:
        self.action = action

    def evaluate(self, **_: Any) -> Any:
        if self.action == "broken":
            raise ValueError(self.action)
        return SimpleNamespace(action=SimpleNamespace(value=self.action))


@pytest.mark.parametrize(
    ("policy", "number", "is_retried"),
    [
        (None, 3, True),
        (None, 4, False),
        ("fail", 2, False),
        ("retry", 2, True),
        ("default", 2, True),
        ("broken", 2, True),
        ("retry", 4, False),
    ],
)
def test_a_try_is_retried_if_tries_are_left_and_the_policy_wants_it(
    policy: str | None, number: int, is_retried: bool
) -> None:
    task = SimpleNamespace(retry_policy=policy and Policy(policy))
    assert attempt(dict, number=number, task=task).is_retried_after(ProcessingError("x")) is is_retried


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # the children only wait
def test_a_process_that_lost_its_supervisor_makes_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real supervisor's end: the parent dies, and its child goes on."""
    mine, theirs = socket.socketpair()
    told, tells = os.pipe()
    with mine, theirs:
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", CommsDecoder(socket=mine), raising=False)
        supervisor = os.fork()
        if supervisor == 0:
            _supervise(tells)
        os.waitpid(supervisor, 0)
        os.close(tells)
        with os.fdopen(told) as words:
            assert words.read() == "has one, lost it: No job was created"


def _supervise(tells: int) -> None:
    """Start a task's process, and die when it runs; neither outlives the test, whatever happens."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    supervisor = os.getpid()
    ready, go = os.pipe()
    try:
        if os.fork() == 0:
            signal.alarm(60)
            os.write(tells, _told_by_an_orphan(supervisor, go).encode())
        else:
            signal.alarm(60)
            os.close(go)
            os.read(ready, 1)
    finally:
        os._exit(0)


def _told_by_an_orphan(supervisor: int, go: int) -> str:
    task = attempt(dict)
    text = "is an orphan" if task.is_orphaned else "has one"
    os.write(go, b"!")
    while os.getppid() == supervisor:  # asked for before it may die, and the alarm bounds it
        time.sleep(0.01)
    try:
        task.check_supervisor()
    except ProcessingError as error:
        text += f", lost it: {str(error).partition(':')[0]}"
    return text


def test_without_a_supervisor_of_its_own_a_process_speaks_for_its_task() -> None:
    task = attempt(dict)
    task.check_supervisor()
    assert (task.is_orphaned, task.is_followed) == (False, True)
