"""A task's questions to Airflow's supervisor, each of which gets its own answer, whatever interrupts the task."""

from __future__ import annotations

import contextvars
import queue
import threading
from contextlib import suppress
from typing import Any

__all__ = ["WholeQuestions", "ask_in_whole", "supervisor"]

_ANSWER_SECONDS = 5.0  # in which a time-out waits for an answer; after that, the question goes on without the task


def ask_in_whole() -> None:
    """Make all questions of this process whole from now on: the package's, Airflow's own, and those of any code.

    Airflow matches an answer to a question by their order alone. Its `execution_timeout` is an exception that a signal
    raises anywhere, so also between the two: then each later question gets the answer to the one before.
    """
    from airflow.sdk.execution_time import task_runner

    runner: Any = task_runner
    comms = getattr(runner, "SUPERVISOR_COMMS", None)
    if comms is not None and not isinstance(comms, WholeQuestions):
        runner.SUPERVISOR_COMMS = WholeQuestions(comms)


def supervisor() -> Any:
    """Return what Airflow itself asks this process's supervisor by; None where there is none."""
    from airflow.sdk.execution_time import task_runner

    comms: Any = getattr(task_runner, "SUPERVISOR_COMMS", None)
    return comms.comms if isinstance(comms, WholeQuestions) else comms


class WholeQuestions:
    """Stands in for Airflow's `SUPERVISOR_COMMS`, and asks in threads, which no signal's handler interrupts."""

    def __init__(self, comms: Any) -> None:
        self.comms = comms
        self._turn = threading.RLock()  # Airflow 3.1 has none: two threads' answers could be swapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self.comms, name)

    def send(self, msg: Any) -> Any:
        """Ask, and return the answer. A question that was begun is finished, even if the caller is interrupted."""
        if threading.current_thread() is not threading.main_thread():  # the only one that handles signals
            return self._ask(msg)
        answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        ask = contextvars.copy_context().run
        asking = threading.Thread(target=lambda: answers.put(ask(self._outcome, msg)), daemon=True, name="question")
        try:
            asking.start()
            answer, error = answers.get()
        except BaseException:
            with suppress(queue.Empty):  # a supervisor that hangs doesn't keep the task
                answers.get(timeout=_ANSWER_SECONDS)
            raise
        if error is not None:
            raise error
        return answer

    def _outcome(self, msg: Any) -> tuple[Any, BaseException | None]:
        try:
            return self._ask(msg), None
        except BaseException as error:  # noqa: BLE001  # raised where it was asked; one of Airflow's is no Exception
            return None, error

    def _ask(self, msg: Any) -> Any:
        with self._turn:
            return self.comms.send(msg)
