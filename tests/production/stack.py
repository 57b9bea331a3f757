"""Airflow as users run it: two schedulers, two triggerers, and two Celery workers, on PostgreSQL and Redis."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from demo.airflow_api import AirflowApi
from demo.airflow_services import RunningAirflow
from demo.guard import GRACE_SECONDS
from demo.ports import HOST
from demo.processes import Processes

from .servers import Server, folder_of_servers, postgresql, query, redis

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from demo.airflow_home import AirflowHome
    from demo.processes import Child

WORKERS = ("first", "second")
"""Each takes tasks of a queue of its name, and of the default queue."""
COMPONENTS: dict[str, list[str]] = {
    "api-server": ["airflow", "api-server"],
    "scheduler-1": ["airflow", "scheduler", "--skip-serve-logs"],
    "scheduler-2": ["airflow", "scheduler", "--skip-serve-logs"],
    "triggerer-1": ["airflow", "triggerer", "--skip-serve-logs"],
    "triggerer-2": ["airflow", "triggerer", "--skip-serve-logs"],
    "dag-processor": ["airflow", "dag-processor"],
    **{
        f"worker-{name}": [
            "airflow",
            "celery",
            "worker",
            "--skip-serve-logs",
            "--without-mingle",
            f"--queues=default,{name}",
            f"--celery-hostname={name}@%h",
            "--concurrency=4",
        ]
        for name in WORKERS
    },
}
HEALTHY_WITHIN_SECONDS = 240.0
TRANSACTION_SECONDS = 10.0
"""More than any transaction of Airflow's takes."""
OLDER_TRANSACTIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' "
    "AND pid <> pg_backend_pid() AND xact_start <"
)
SETTINGS = {
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW__CORE__PARALLELISM": "8",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
    # On a machine that does all of this at once, the broker's answer may take longer than the default second.
    "AIRFLOW__CELERY__OPERATION_TIMEOUT": "30",
    # What has died is noticed soon, and what is slow is not taken for dead.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "45",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "60",
    "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "2",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "20",
    "AIRFLOW__TRIGGERER__RUNNER_HEALTH_CHECK_THRESHOLD": "120",
    # Triggers are spread over the triggerers in small portions.
    "AIRFLOW__TRIGGERER__MAX_TRIGGER_TO_SELECT_PER_LOOP": "1",
}


class Restarting(Processes):
    """Processes that are started again when they end by themselves, as systemd and Kubernetes do it."""

    def __init__(self, *, logs: Path) -> None:
        super().__init__(logs=logs)
        self._starts: dict[str, tuple[list[str], Mapping[str, str]]] = {}
        self.restarted: list[str] = []
        """The names of what ended by itself, in order."""

    def keep(self, name: str, command: list[str], environment: Mapping[str, str]) -> Child:
        """Start a command, and start it again whenever it ends by itself."""
        self._starts[name] = (command, environment)
        return self.start(name, command, environment)

    def check(self) -> None:
        """Start again what has ended, and raise ProcessError for what isn't kept."""
        for child in [child for child in self._children if child.guard.poll() is not None]:
            if child.name in self._starts:
                self._children.remove(child)
                child.let_go()
                child.log.rename(child.log.with_suffix(f".{len(self.restarted)}.log"))
                self.restarted.append(child.name)
                self.keep(child.name, *self._starts[child.name])
        super().check()

    def end_gracefully(self, child: Child) -> None:
        """Send SIGTERM to the command's own process, as systemd and Kubernetes do, and let it end in its own time."""
        self._children.remove(child)
        os.kill(child.pid, signal.SIGTERM)

    def running(self, name: str) -> Child:
        """Return the process of this name."""
        return next(child for child in self._children if child.name == name)


class ProductionAirflow(RunningAirflow):
    """The processes of an Airflow in production; a component that ends by itself is started again."""

    processes: Restarting
    servers: Mapping[str, Server]

    def start(self, component: str, *, name: str | None = None) -> Child:
        """Start a component; workers have bundles at a path of their own, as if they were on another machine."""
        assert name is None
        environment = self.home.environment()
        if component.startswith("worker"):
            storage = self.home.path / f"bundles-of-{component}"
            environment |= {"AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(storage)}
        return self.processes.keep(component, COMPONENTS[component], environment)

    def kill(self, component: str) -> None:
        """End all processes of a component by SIGKILL, as a machine that is gone."""
        self.processes.kill_one(self.processes.running(component))

    @contextmanager
    def frozen(self, component: str) -> Iterator[None]:
        """Hold a component as a machine that is suspended does, until the block's end.

        Not in the middle of a transaction, for nobody else would get past its locks.
        """
        with self.processes.running(component).frozen(lambda: transactions_end(self.servers["postgresql"])):
            yield

    @contextmanager
    def ending_gracefully(self, component: str) -> Iterator[Child]:
        """Let a component end in its own time; what is left of it at the block's end is killed."""
        child = self.processes.running(component)
        self.processes.end_gracefully(child)
        try:
            yield child
        finally:
            child.let_go()
            child.guard.wait(GRACE_SECONDS * 2)

    def out_for(self, server: str, seconds: float) -> None:
        """Stop a server for so long; return when Airflow is healthy again."""
        self.servers[server].stop()
        time.sleep(seconds)  # it is the outage's length, no wait for anything
        self.servers[server].start()
        what = f"Airflow, after {server} was stopped,"
        self.processes.wait_until(self.is_healthy, within=HEALTHY_WITHIN_SECONDS, what=what, say=print)


def transactions_end(database: Server) -> bool:
    """Return whether all transactions that are open now end within some seconds."""
    moment = query(database, "SELECT clock_timestamp()")
    deadline = time.monotonic() + TRANSACTION_SECONDS
    while query(database, f"{OLDER_TRANSACTIONS} '{moment}'") != "0":
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@contextmanager
def production_airflow(home: AirflowHome) -> Iterator[ProductionAirflow]:
    """Make the home and the servers, and start all components; all is gone at the block's end."""
    with (
        home.created(),
        folder_of_servers() as folder,
        Restarting(logs=home.path / "logs") as processes,
    ):
        servers = {"postgresql": postgresql(folder, processes), "redis": redis(folder, processes)}
        database = f"postgresql+psycopg2://airflow@{HOST}:{servers['postgresql'].port}/airflow"
        connected = {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_MAX_OVERFLOW": "10",  # as by default; the home has no bound, for SQLite
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database}",
            "AIRFLOW__CELERY__BROKER_URL": f"redis://{HOST}:{servers['redis'].port}/0",
        }
        home = replace(home, extra={**SETTINGS, **connected, **home.extra})
        with AirflowApi(home.url) as api:
            processes.run("db-migrate", ["airflow", "db", "migrate"], home.environment())
            airflow = ProductionAirflow(home, processes, api)
            airflow.servers = servers
            for component in COMPONENTS:
                airflow.start(component)
            processes.wait_until(airflow.is_healthy, within=HEALTHY_WITHIN_SECONDS, what="Airflow", say=print)
            yield airflow
