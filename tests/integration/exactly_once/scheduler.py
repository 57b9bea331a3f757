"""Airflow's side of a crowd of task instances: starts processes for them, answers them, kills some, retries."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from tests.integration.exactly_once.triggerer import watch
from tests.integration.exactly_once.workers import work

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from airflow.sdk import DAG

    from tests.integration.exactly_once.instances import Instance

_fork = multiprocessing.get_context("fork")
TRIGGERERS = 2
_LONGEST_LIFE = 0.6  # seconds: within a stay's submission, and the beginning of a longer wait
_MOST_MESSAGES = 12  # as many as a stay sends, give or take a few
_MOST_TRIES = 15  # when one in ten is cut off, it isn't chance any more


@dataclass
class Doom:
    """When a process is to be killed: at a moment, or at one of its messages, before or after it counts."""

    at: float = float("inf")
    messages: float = float("inf")
    before: bool = False

    @classmethod
    def choose(cls, chance: random.Random) -> Doom:
        if chance.random() < 0.5:
            return cls(at=time.monotonic() + chance.uniform(0, _LONGEST_LIFE))
        return cls(messages=chance.randrange(_MOST_MESSAGES), before=chance.random() < 0.5)


@dataclass
class Worker:
    """A worker's process, and what it works on."""

    process: BaseProcess
    instance: Instance
    doom: Doom
    messages: int = 0


@dataclass
class Triggerer:
    """A triggerer's process, and the task instances whose triggers it runs."""

    process: BaseProcess
    doom: Doom
    instances: dict[int, Instance] = field(default_factory=dict)


class Scheduler:
    """Drives task instances to their ends.

    Args:
        dag: Has the tasks.
        instances: The task instances, in the order of their numbers.
        logs: The folder of their logs.
        at_once: How many workers' processes there may be.
        doomed: The share of processes that are killed.
        seed: Of what is left to chance.
    """

    def __init__(
        self, dag: DAG, instances: list[Instance], *, logs: Path, at_once: int, doomed: float = 0.0, seed: int = 0
    ) -> None:
        self._dag = dag
        self._instances = instances
        self._logs = logs
        self._at_once = at_once
        self._doomed = doomed
        self._chance = random.Random(seed)
        self._ready = deque(instances)
        self._workers: dict[Connection, Worker] = {}
        self._triggerers: dict[Connection, Triggerer] = {}
        self.counts: Counter[str] = Counter()

    def run(self) -> None:
        """Go on until each task instance has succeeded or failed."""
        try:
            for _ in range(TRIGGERERS):
                self._start_triggerer()
            while self._ready or self._workers or any(watching.instances for watching in self._triggerers.values()):
                self._round()
        finally:
            self._end()

    def _round(self) -> None:
        while self._ready and len(self._workers) < self._at_once:
            self._start_worker(self._ready.popleft())
        for connection in wait([*self._workers, *self._triggerers], timeout=self._patience()):
            if connection in self._workers:
                self._hear_worker(connection)  # type: ignore[arg-type]  # only connections are waited for
            elif connection in self._triggerers:
                self._hear_triggerer(connection)  # type: ignore[arg-type]  # the same
        self._kill_the_doomed()

    def _patience(self) -> float:
        moments = [worker.doom.at for worker in [*self._workers.values(), *self._triggerers.values()]]
        return min(1.0, max(0.0, min(moments) - time.monotonic()))

    # Workers

    def _start_worker(self, instance: Instance) -> None:
        log = self._logs / f"{instance.task_id}-{instance.number}.log"
        connection, process = self._start(work, self._dag, instance.stay(), log)
        self.counts["workers"] += 1
        is_owed = self.counts["workers"] * self._doomed >= self.counts["workers killed"] + self._doomed_now() + 1
        self._workers[connection] = Worker(process, instance, Doom.choose(self._chance) if is_owed else Doom())

    def _doomed_now(self) -> int:
        return sum(worker.doom != Doom() for worker in self._workers.values())

    def _hear_worker(self, connection: Connection) -> None:
        worker = self._workers[connection]
        try:
            message = connection.recv()
        except (EOFError, ConnectionResetError):
            self._worker_ended(connection)
            return
        worker.messages += 1
        dies = worker.messages > worker.doom.messages
        if not (dies and worker.doom.before):
            answer = worker.instance.answer(message)
            with suppress(BrokenPipeError):  # it was killed meanwhile
                connection.send(answer)
        if dies:
            self._kill_worker(connection)

    def _kill_worker(self, connection: Connection) -> None:
        self._workers[connection].process.kill()
        self.counts["workers killed"] += 1
        self._worker_ended(connection)

    def _worker_ended(self, connection: Connection) -> None:
        worker = self._workers.pop(connection)
        connection.close()
        worker.process.join()
        instance = worker.instance
        if instance.state == "deferred":
            self._give_trigger(instance)
        elif instance.state in {"running", "up_for_retry"}:
            self.counts["tries cut off" if instance.state == "running" else "tries failed"] += 1
            instance.retry()
            assert instance.try_number < _MOST_TRIES, f"See the log of {instance.task_id}-{instance.number}"
            self._ready.append(instance)

    # Triggerers

    def _start_triggerer(self) -> None:
        log = self._logs / f"triggerer-{self.counts['triggerers']}.log"
        connection, process = self._start(watch, self._dag.dag_id, log)
        self.counts["triggerers"] += 1
        is_doomed = bool(self._doomed) and self.counts["triggerers"] > TRIGGERERS - 1  # one of the first is spared
        moment = time.monotonic() + self._chance.uniform(5, 20)
        self._triggerers[connection] = Triggerer(process, Doom(at=moment) if is_doomed else Doom())

    def _give_trigger(self, instance: Instance) -> None:
        connection = min(self._triggerers, key=lambda one: len(self._triggerers[one].instances))
        self._triggerers[connection].instances[instance.number] = instance
        assert instance.deferral is not None
        place = (instance.task_id, instance.run_id, instance.map_index)
        with suppress(BrokenPipeError):
            connection.send(
                ("trigger", instance.number, place, instance.deferral.classpath, instance.deferral.trigger_kwargs)
            )

    def _hear_triggerer(self, connection: Connection) -> None:
        kind, number, *rest = connection.recv()
        if kind == "ask":
            question, message = rest
            connection.send(("answer", question, self._instances[number].answer(message)))
            return
        instance = self._triggerers[connection].instances.pop(number)
        if kind == "end":
            (instance.state,) = rest
        else:
            self.counts[f"triggers' {kind}s"] += 1
            self._wake(instance, kind, rest[0])
            self._ready.append(instance)

    def _wake(self, instance: Instance, kind: str, payload: Any) -> None:
        if kind == "event":
            instance.wake(payload)
        else:
            instance.fail_deferral(payload)

    def _kill_triggerer(self, connection: Connection) -> None:
        """Kill a triggerer; others take its triggers over."""
        dead = self._triggerers.pop(connection)
        dead.process.kill()
        dead.process.join()
        connection.close()
        self.counts["triggerers killed"] += 1
        self._start_triggerer()
        for instance in dead.instances.values():
            self._give_trigger(instance)

    # Processes

    def _start(self, target: Callable[..., None], *arguments: Any) -> tuple[Connection, BaseProcess]:
        ours, theirs = _fork.Pipe()
        others = [*self._workers, *self._triggerers, ours]
        process = _fork.Process(target=_alone, args=(others, target, theirs, *arguments), daemon=True)
        process.start()
        theirs.close()
        return ours, process

    def _kill_the_doomed(self) -> None:
        now = time.monotonic()
        for connection, worker in list(self._workers.items()):
            if worker.doom.at <= now:
                self._kill_worker(connection)
        for connection, watching in list(self._triggerers.items()):
            if watching.doom.at <= now:
                self._kill_triggerer(connection)

    def _end(self) -> None:
        for connection, ending in [*self._workers.items(), *self._triggerers.items()]:
            ending.process.kill()
            ending.process.join()
            connection.close()


def _alone(others: list[Connection], target: Callable[..., None], *arguments: Any) -> None:
    """Run in a new process without the scheduler's connections, so that it notices the scheduler's end."""
    for connection in others:
        connection.close()
    target(*arguments)
