"""A task whose `execution_timeout` strikes in the middle of a question, with Airflow's own runner and protocol."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import structlog
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow.sdk.execution_time import comms, task_runner
from pydantic import TypeAdapter

from airflow_sm_processing import xcoms
from tests.integration.triggers.test_kill import SLEEPS, statuses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_sm_processing.local import LocalSageMaker
    from tests.integration.triggers.test_kill import TaskFactory
    from tests.task_runner import Runner, Supervisor


@contextmanager
def over_a_socket(supervisor: Supervisor) -> Iterator[comms.CommsDecoder[Any, Any]]:
    """Let the supervisor answer from another thread, in the order and the form that Airflow has."""
    mine, theirs = socket.socketpair()
    questions: TypeAdapter[Any] = TypeAdapter(comms.ToSupervisor)

    def answer_all() -> None:
        frames = theirs.makefile("rb")
        while head := frames.read(4):
            frame = msgspec.msgpack.decode(frames.read(int.from_bytes(head, "big")))
            answer = supervisor.send(questions.validate_python(frame[1]))
            body = None if answer is None else answer.model_dump()
            theirs.sendall(comms._ResponseFrame(id=frame[0], body=body).as_bytes())

    with mine, theirs:
        threading.Thread(target=answer_all, daemon=True).start()
        yield comms.CommsDecoder(socket=mine)


@contextmanager
def own_handlers() -> Iterator[None]:
    """Take back the handlers that Airflow installs for the rest of a task's process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def alarm_at(wanted: str) -> Callable[[str], None]:
    """Let the task's time be over while the supervisor answers the first question about an XCom."""
    left = [wanted]

    def alarm(key: str) -> None:
        if key in left:
            left.remove(key)
            os.kill(os.getpid(), signal.SIGALRM)

    return alarm


@pytest.mark.parametrize("key", ["job_name", "_job"])
def test_a_failure_callback_gets_the_answers_to_its_own_questions(
    runner: Runner,
    task_factory: TaskFactory,
    sagemaker: LocalSageMaker,
    monkeypatch: pytest.MonkeyPatch,
    key: str,
):
    seen: list[Any] = []
    base = f"interrupted-at-{key.replace('_', '-')}-question".replace("--", "-")

    def call_back(context: Any) -> None:
        seen.extend(context["ti"].xcom_pull(task_ids="task", key=name, map_indexes=-1) for name in ("mine", "other"))

    runner.supervisor.xcoms["task", -1] = {"mine": 1, "other": 2}
    runner.supervisor.on_xcom = alarm_at(key)
    task = task_factory(
        SLEEPS, base_job_name=base, execution_timeout=timedelta(minutes=5), on_failure_callback=call_back
    )
    with over_a_socket(runner.supervisor) as decoder:
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", decoder)
        instance = runner.instance(task, retries_left=False)
        context = instance.get_template_context()
        with own_handlers():
            state, _, error = task_runner.run(instance, context, structlog.get_logger())
            task_runner.finalize(instance, state, context, structlog.get_logger(), error)
    assert isinstance(error, AirflowTaskTimeout)
    assert seen == [1, 2]
    assert xcoms.JOB_NAME_KEY in runner.supervisor.xcoms["task", -1]
    assert statuses(sagemaker, base) in (["Stopping"], ["Stopped"])
