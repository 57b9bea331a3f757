"""Airflow's own components, as production runs them: API server, scheduler, triggerer, DAG processor."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from demo.airflow_api import AirflowApi
from demo.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from demo.airflow_home import AirflowHome

# Without --skip-serve-logs two more servers would listen, on every interface.
_COMPONENTS = {
    "api-server": ["airflow", "api-server"],
    "scheduler": ["airflow", "scheduler", "--skip-serve-logs"],
    "triggerer": ["airflow", "triggerer", "--skip-serve-logs"],
    "dag-processor": ["airflow", "dag-processor"],
}
_HEALTHY_WITHIN_SECONDS = 180.0
_CHECKED = ("metadatabase", "scheduler", "triggerer", "dag_processor")


class RunningAirflow:
    """An Airflow that answers."""

    def __init__(self, home: AirflowHome, processes: Processes, api: AirflowApi) -> None:
        self.home = home
        self.processes = processes
        self.api = api

    @property
    def url(self) -> str:
        """Where people and programs reach it."""
        return self.home.url

    def is_healthy(self) -> bool:
        """Say whether every component has reported itself."""
        health = self.api.health()
        return all(health.get(name) == "healthy" for name in _CHECKED)

    def wait_for_dags(self, *dag_ids: str) -> None:
        """Wait until the DAG processor has loaded these DAGs."""
        what = f"The DAG processor (import errors are in {self.home.path / 'logs'})"
        self.processes.wait_until(lambda: self.api.dag_ids() >= set(dag_ids), within=60, what=what)


@contextmanager
def running_airflow(home: AirflowHome, *, say: Callable[[str], None]) -> Iterator[RunningAirflow]:
    """Make the home anew, start all components in it, wait until they are healthy; stop them at the block's end."""
    home.create()
    environment = home.environment()
    api = AirflowApi(home.url)
    try:
        with Processes(logs=home.path / "logs") as processes:
            say("Creating Airflow's database")
            processes.run("db-migrate", ["airflow", "db", "migrate"], environment)
            say(f"Starting Airflow's {', '.join(_COMPONENTS)}")
            for name, command in _COMPONENTS.items():
                processes.start(name, command, environment)
            airflow = RunningAirflow(home, processes, api)
            processes.wait_until(airflow.is_healthy, within=_HEALTHY_WITHIN_SECONDS, what="Airflow")
            yield airflow
            say("Stopping Airflow")
    finally:
        api.close()
