"""Airflow's own components, as production runs them: API server, scheduler, triggerer, DAG processor."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from demo.airflow_api import AirflowApi
from demo.processes import ProcessError, Processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from demo.airflow_home import AirflowHome
    from demo.processes import Child

# Without --skip-serve-logs two more servers would listen, on every interface.
_COMPONENTS = {
    "api-server": ["airflow", "api-server"],
    "scheduler": ["airflow", "scheduler", "--skip-serve-logs"],
    "triggerer": ["airflow", "triggerer", "--skip-serve-logs"],
    "dag-processor": ["airflow", "dag-processor"],
}
_HEALTHY_WITHIN_SECONDS = 600.0
_LOADED_WITHIN_SECONDS = 600.0
_CHECKED = ("metadatabase", "scheduler", "triggerer", "dag_processor")


class RunningAirflow:
    """An Airflow that answers."""

    def __init__(self, home: AirflowHome, processes: Processes, api: AirflowApi) -> None:
        self.home = home
        self.processes = processes
        self.api = api
        self.components: dict[str, Child] = {}
        """The processes that were started, by name."""

    @property
    def url(self) -> str:
        """Where people and programs reach it."""
        return self.home.url

    def start(self, component: str, *, name: str | None = None) -> Child:
        """Start a component until the block's end, under a name of its own if there is one of its kind already."""
        name = name or component
        self.components[name] = self.processes.start(name, _COMPONENTS[component], self.home.environment())
        return self.components[name]

    def is_healthy(self) -> bool:
        """Say whether every component has reported itself."""
        health = self.api.health()
        return all(health.get(name) == "healthy" for name in _CHECKED)

    def wait_for_dags(self, *dag_ids: str) -> None:
        """Wait until the DAG processor has loaded these DAGs.

        Raises:
            ProcessError: It couldn't.
        """
        self.processes.wait_until(lambda: self._has_dags(dag_ids), within=_LOADED_WITHIN_SECONDS, what="A DAG")

    def _has_dags(self, dag_ids: Sequence[str]) -> bool:
        if errors := self.api.import_errors():
            raise ProcessError("\n".join(f"{file} can't be loaded:\n{error}" for file, error in errors.items()))
        return self.api.dag_ids() >= set(dag_ids)


@contextmanager
def running_airflow(home: AirflowHome, *, say: Callable[[str], None]) -> Iterator[RunningAirflow]:
    """Make the home anew, start all components in it, wait until they are healthy; stop them at the block's end."""
    with home.created(), AirflowApi(home.url) as api, Processes(logs=home.path / "logs") as processes:
        say("Creating Airflow's database")
        processes.run("db-migrate", ["airflow", "db", "migrate"], home.environment())
        home.use_write_ahead_log()
        say(f"Starting Airflow's {', '.join(_COMPONENTS)}")
        airflow = RunningAirflow(home, processes, api)
        for component in _COMPONENTS:
            airflow.start(component)
        processes.wait_until(airflow.is_healthy, within=_HEALTHY_WITHIN_SECONDS, what="Airflow", say=say)
        try:
            yield airflow
        finally:
            say("Stopping Airflow")
