"""A question to Airflow's supervisor gets its own answer, though a time-out strikes in the middle of the one before."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow.sdk.execution_time import comms, task_runner
from airflow.sdk.execution_time.comms import CommsDecoder, GetXCom, VariableResult
from airflow.sdk.execution_time.timeout import timeout

from airflow_sm_processing import ProcessingJobSensor
from airflow_sm_processing.operators import attempt
from airflow_sm_processing.operators.attempt import SignalSafeComms, make_comms_signal_safe, supervisor_comms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONG = 60  # seconds until the time-out would come by itself: the tests' own alarm is quicker


class Answering:
    """A supervisor at the other end of a socket: each answer has the key that was asked for."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self.asked: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None
        """Done once, between a question and its answer."""
        threading.Thread(target=self._answer_all, daemon=True).start()

    def _answer_all(self) -> None:
        frames = self._end.makefile("rb")
        while head := frames.read(4):
            request = msgspec.msgpack.decode(frames.read(int.from_bytes(head, "big")))
            key = request[1]["key"]
            self.asked.append(key)
            meanwhile, self.meanwhile = self.meanwhile, lambda: None
            meanwhile()
            answer = VariableResult(key=key, value="its own").model_dump()
            self._end.sendall(comms._ResponseFrame(id=request[0], body=answer).as_bytes())


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    """The supervisor of this process; what Airflow asks it by has been made whole."""
    mine, theirs = socket.socketpair()
    with mine, theirs, alarms():
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", CommsDecoder(socket=mine), raising=False)
        make_comms_signal_safe()
        yield Answering(theirs)


@contextmanager
def alarms() -> Iterator[None]:
    """Take back the handler that Airflow's time-out leaves."""
    before = signal.getsignal(signal.SIGALRM)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)


def alarm() -> None:
    os.kill(os.getpid(), signal.SIGALRM)


def ask(key: str) -> Any:
    """Ask as Airflow's own code does."""
    question = GetXCom(key=key, dag_id="d", run_id="r", task_id="t", map_index=-1)
    return task_runner.SUPERVISOR_COMMS.send(msg=question).key  # type: ignore[union-attr,arg-type]


def test_the_question_after_a_time_out_gets_its_own_answer(answering: Answering) -> None:
    answering.meanwhile = alarm
    with pytest.raises(AirflowTaskTimeout), timeout(LONG):
        ask("first")
    assert [ask("second"), ask("third")] == ["second", "third"]
    assert answering.asked == ["first", "second", "third"]


def test_a_supervisor_that_hangs_does_not_keep_the_task_and_mixes_up_nothing(
    answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "_ANSWER_SECONDS", 0.1)
    answers_again = threading.Event()

    def hang() -> None:
        alarm()
        answers_again.wait(LONG)

    answering.meanwhile = hang
    with pytest.raises(AirflowTaskTimeout), timeout(LONG):
        ask("first")
    assert answering.asked == ["first"]  # the task goes on, long before there is an answer
    threading.Timer(0.2, answers_again.set).start()
    assert [ask("second"), ask("third")] == ["second", "third"]


def test_a_time_out_before_a_question_asks_nothing(answering: Answering) -> None:
    with pytest.raises(AirflowTaskTimeout), timeout(LONG):
        ask(f"never {alarm()}")
    assert (ask("next"), answering.asked) == ("next", ["next"])


def test_a_handler_of_sigterm_may_ask_in_the_middle_of_a_question(answering: Answering) -> None:
    """In a thread, as a task does that is told to end: its question comes after the one that was interrupted."""
    answers: list[str] = []

    def handle(*_: object) -> None:
        threading.Thread(target=lambda: answers.append(ask("why"))).start()

    before = signal.signal(signal.SIGTERM, handle)
    try:
        answering.meanwhile = lambda: os.kill(os.getpid(), signal.SIGTERM)
        assert ask("first") == "first"
        assert ask("second") == "second"
    finally:
        signal.signal(signal.SIGTERM, before)
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(LONG)
    assert (answers, sorted(answering.asked)) == (["why"], ["first", "second", "why"])


def test_an_error_is_raised_where_it_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def send(self, msg: Any) -> Any:
            raise ConnectionError(msg)

    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Refusing(), raising=False)
    make_comms_signal_safe()
    with pytest.raises(ConnectionError, match="why"):
        task_runner.SUPERVISOR_COMMS.send("why")  # type: ignore[arg-type]


def test_what_airflow_asks_by_is_wrapped_once_and_still_found(answering: Answering) -> None:
    make_comms_signal_safe()
    wrapped: Any = task_runner.SUPERVISOR_COMMS
    assert isinstance(wrapped, SignalSafeComms)
    assert isinstance(wrapped.comms, CommsDecoder)
    assert supervisor_comms() is wrapped.comms
    assert wrapped.socket is wrapped.comms.socket


def test_where_there_is_no_supervisor_nothing_is_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(task_runner, "SUPERVISOR_COMMS", raising=False)
    make_comms_signal_safe()
    assert supervisor_comms() is None


@pytest.mark.parametrize("arguments", [{}, {"event": {"outcome": "ended", "deadline": 0.0}}], ids=["first", "resumed"])
def test_a_sensor_asks_in_whole_too(monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any]) -> None:
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", object(), raising=False)
    found: list[Any] = []
    monkeypatch.setattr(BaseSensorOperator, "execute", lambda *_: found.append(task_runner.SUPERVISOR_COMMS))
    sensor = ProcessingJobSensor(task_id="s", job_name="j", deferrable=False)
    method = "execute_complete" if arguments else "execute"
    getattr(type(sensor), method)(sensor, {}, **arguments)
    assert isinstance(found[0], SignalSafeComms)
