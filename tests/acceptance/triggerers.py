"""The triggerers of an Airflow: started, stopped, frozen and killed while others go on."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.airflow_services import RunningAirflow
    from demo.processes import Child

_REPORTED_WITHIN_SECONDS = 300.0


class Triggerer(NamedTuple):
    """A triggerer, by the number of its job in Airflow's database."""

    number: int
    child: Child


class Triggerers:
    """The running triggerers; one at first."""

    def __init__(self, airflow: RunningAirflow) -> None:
        self._airflow = airflow
        self._newest = 0
        self._running = [self._reported(airflow.components["triggerer"])]
        self._names = (f"triggerer-{count}" for count in itertools.count(2))

    def at_least(self, count: int) -> list[Triggerer]:
        """Return those that run, when there are as many."""
        while len(self._running) < count:
            self.start()
        return list(self._running)

    def start(self) -> Triggerer:
        """Start one more, and return it when it has reported itself."""
        self._running.append(self._reported(self._airflow.start("triggerer", name=next(self._names))))
        return self._running[-1]

    def numbered(self, number: int | None) -> Triggerer:
        """Return the one that a task instance names as its own."""
        return next(triggerer for triggerer in self._running if triggerer.number == number)

    def stop(self, triggerer: Triggerer) -> None:
        """End one as an administrator does, by SIGINT; return when it is gone."""
        self._running.remove(triggerer)
        self._airflow.processes.stop_one(triggerer.child)

    def kill(self, triggerer: Triggerer) -> None:
        """End one by SIGKILL, without a chance to say goodbye; return when it is gone."""
        self._running.remove(triggerer)
        self._airflow.processes.kill_one(triggerer.child)

    @contextmanager
    def frozen(self, triggerer: Triggerer) -> Iterator[None]:
        """Hold one as a machine that is suspended does, until the block's end.

        Not while it holds SQLite's only write lock, or all of Airflow would stand still; other databases have many.
        """
        with triggerer.child.frozen(self._airflow.home.is_writable):
            yield

    def _reported(self, child: Child) -> Triggerer:
        """Return the triggerer that was started last, when Airflow lists it.

        It has the highest number. Which of the others are listed doesn't say anything: one that is busy reports itself
        late, and isn't listed for a while.
        """
        found: list[int] = []

        def is_listed() -> bool:
            found.extend(number for number in self._airflow.api.triggerers() if number > self._newest)
            return bool(found)

        self._airflow.processes.wait_until(is_listed, within=_REPORTED_WITHIN_SECONDS, what="A triggerer")
        self._newest = max(found)
        return Triggerer(self._newest, child)
