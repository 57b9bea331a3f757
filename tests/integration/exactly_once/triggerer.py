"""A triggerer's process: an event loop with the triggers that the scheduler gives it."""

from __future__ import annotations

import asyncio
import itertools
import traceback
from contextvars import copy_context
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import airflow.jobs.triggerer_job_runner  # noqa: F401  # what a triggerer has loaded before its first trigger
from airflow.sdk.execution_time import task_runner
from airflow.sdk.serde import deserialize
from airflow.triggers.base import BaseTaskEndEvent

from tests.integration.exactly_once.workers import said_to

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

    from airflow.triggers.base import BaseTrigger

_asking_for: dict[tuple[str, str, int], int] = {}


class Supervisor:
    """Asks the scheduler's process, many questions at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._questions = itertools.count()
        self._open: dict[int, asyncio.Future[Any]] = {}

    async def asend(self, message: Any) -> Any:
        question = next(self._questions)
        self._open[question] = asyncio.get_running_loop().create_future()
        self._connection.send(("ask", _place(message), question, message))
        return await self._open[question]

    def answered(self, question: int, answer: Any) -> None:
        """Pass an answer to the caller that is waiting for it."""
        future = self._open.pop(question)
        if not future.done():
            future.set_result(answer)


class Triggerer:
    """Runs triggers, and reports their outcomes."""

    def __init__(self, connection: Connection, dag_id: str) -> None:
        self._connection = connection
        self._dag_id = dag_id
        self._supervisor = Supervisor(connection)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Go on until the scheduler hangs up."""
        task_runner.SUPERVISOR_COMMS = self._supervisor  # type: ignore[assignment]  # as much of one as is needed
        asyncio.get_running_loop().add_reader(self._connection.fileno(), self._read)
        await self._ended

    def _read(self) -> None:
        try:
            kind, *rest = self._connection.recv()
        except EOFError:
            asyncio.get_running_loop().remove_reader(self._connection.fileno())
            self._ended.set_result(None)
            return
        if kind == "answer":
            self._supervisor.answered(*rest)
            return
        task = asyncio.get_running_loop().create_task(self._trigger(*rest), context=copy_context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _trigger(self, number: int, place: tuple[str, str, int], classpath: str, arguments: Any) -> None:
        module, _, name = classpath.rpartition(".")
        task_id, run_id, map_index = place
        _asking_for[place] = number
        trigger: BaseTrigger = getattr(import_module(module), name)(**deserialize(arguments))
        trigger._task_instance = SimpleNamespace(  # type: ignore[assignment]  # what of one it asks for
            dag_id=self._dag_id, run_id=run_id, task_id=task_id, map_index=map_index
        )
        try:
            async for event in trigger.run():
                if isinstance(event, BaseTaskEndEvent):
                    self._connection.send(("end", number, str(event.task_instance_state.value)))
                else:
                    self._connection.send(("event", number, event.payload))
        except Exception:  # noqa: BLE001  # as Airflow's: the task is resumed to fail
            self._connection.send(("failure", number, traceback.format_exc()))


def _place(message: Any) -> int:
    run_id = message.run_ids[0] if hasattr(message, "run_ids") else message.run_id
    task_id = message.task_ids[0] if hasattr(message, "task_ids") else message.task_id
    return _asking_for[task_id, run_id, message.map_index]


def watch(connection: Connection, dag_id: str, log: Path) -> None:
    """Run triggers until the scheduler hangs up."""

    async def main() -> None:
        await Triggerer(connection, dag_id).run()

    with said_to(log):
        asyncio.run(main())
