"""The triggerers of an Airflow: started, stopped, frozen and killed while others go on."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from demo.airflow_services import RunningAirflow
    from demo.processes import Child

_STARTED_WITHIN_SECONDS = 90.0


class Triggerer(NamedTuple):
    """A triggerer, by the number of its job in Airflow's database."""

    number: int
    child: Child


class Triggerers:
    """The running triggerers; one at first."""

    def __init__(self, airflow: RunningAirflow) -> None:
        self._airflow = airflow
        (number,) = airflow.api.triggerers()
        self._running = [Triggerer(number, airflow.components["triggerer"])]
        self._names = (f"triggerer-{count}" for count in itertools.count(2))

    def at_least(self, count: int) -> list[Triggerer]:
        """Return those that run, when there are as many."""
        while len(self._running) < count:
            self.start()
        return list(self._running)

    def start(self) -> Triggerer:
        """Start one more, and return it when it has reported itself."""
        before = self._airflow.api.triggerers()
        child = self._airflow.start("triggerer", name=next(self._names))
        self._airflow.processes.wait_until(
            lambda: bool(self._airflow.api.triggerers() - before),
            within=_STARTED_WITHIN_SECONDS,
            what="One more triggerer",
        )
        self._running.append(Triggerer(max(self._airflow.api.triggerers()), child))
        return self._running[-1]

    def numbered(self, number: int | None) -> Triggerer:
        """Return the one that a task instance names as its own."""
        return next(triggerer for triggerer in self._running if triggerer.number == number)

    def stop(self, triggerer: Triggerer) -> None:
        """End one as an administrator does, by SIGINT; return when it is gone."""
        self._running.remove(triggerer)
        self._airflow.processes.stop_one(triggerer.child)

    def kill(self, triggerer: Triggerer) -> None:
        """End one by SIGKILL; return when it is gone."""
        self._running.remove(triggerer)
        self._airflow.processes.kill_one(triggerer.child)
