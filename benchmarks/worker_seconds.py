"""What a deferred job costs an Airflow, when a worker ends its task and when the trigger does (`end_from_trigger`).

Real Airflow processes, the local SageMaker, twenty small jobs a run. CPU seconds are the kernel's, from /proc, less
what the same processes take when idle; a worker's include its tasks' processes. A run whose tasks only submit tells the
submission from the rest. For tasks that a trigger ends, Airflow has the DAG processor parse their file, once for all
that it finds when it looks, and 3.3.2 then once more to store its DAGs, whatever `min_file_process_interval` says: with
a DAG file that takes long to parse, that costs more than it does here.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from demo.airflow_api import RUN_ENDED
from demo.airflow_home import AirflowHome
from demo.airflow_services import running_airflow
from demo.console import Progress, every_end_is_an_interrupt, make_console
from demo.isolation import forget_users_aws
from demo.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from typing_extensions import Self

    from demo.airflow_api import AirflowApi
    from demo.airflow_services import RunningAirflow

JOBS = 20
SUBMITS, WARM_UP = "stays_submits", "stays_warm_up"
PAIRS = {
    "logs=False": ("stays_deferred", "stays_from_trigger"),
    "logs=True": ("stays_deferred_logs", "stays_from_trigger_logs"),
}
DAG_IDS = (SUBMITS, *(dag_id for pair in PAIRS.values() for dag_id in pair))
SLOTS = 2
SETTINGS = {
    "AIRFLOW__CORE__PARALLELISM": str(SLOTS),
    # After the first parse, all parses are due to callbacks.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
}
IDLE_SECONDS = 6.0
QUIET_SECONDS = 3.0
"""The DAG processor looks for callbacks once a second, and sees to them in the second after."""
RUN_WITHIN_SECONDS = 240.0
TICKS_PER_SECOND = 100
"""The unit of /proc/<pid>/stat (USER_HZ)."""
WORKER_TITLE = "airflow worker -- LocalExecutor: "


def main() -> None:
    """Print the seconds of each part of Airflow, per job, and whether the XComs are the same."""
    # Loading moto takes a second: not when another benchmark is asked for.
    from airflow_sm_processing.local import LocalSageMaker

    forget_users_aws()
    console = make_console()
    say = Progress(console)
    with every_end_is_an_interrupt(), tempfile.TemporaryDirectory() as folder, LocalSageMaker(max_jobs=JOBS) as server:
        home = AirflowHome(
            path=Path(folder, "airflow"),
            port=free_port(),
            dags=Path(__file__).parent / "dags",
            extra={**server.environment(), **SETTINGS},
        )
        with running_airflow(home, say=say) as airflow:
            costs = measured(airflow, say)
            verdicts = {logs: xcom_verdict(airflow.api, costs, *pair) for logs, pair in PAIRS.items()}
    console.print(cost_table(costs))
    for logs, verdict in verdicts.items():
        console.print(f"{logs}: {verdict}", markup=False, soft_wrap=True)


@dataclass(frozen=True)
class Cost:
    """What a run's jobs took, in seconds of one job."""

    run_id: str
    cpu: Mapping[str, float]
    """By part of Airflow, above what it takes when idle."""
    held: float
    """Wall seconds in which a task had a worker's slot: unlike CPU, they grow with what else the machine does."""
    stays: float
    """How often a worker took the task."""
    parses: int
    """How often the DAG processor parsed a file, for all jobs."""


def measured(airflow: RunningAirflow, say: Progress) -> dict[str, Cost]:
    """Run every DAG, one after the other."""
    airflow.wait_for_dags(WARM_UP, *DAG_IDS)
    say("Warming up")
    warm_up, _ = run_to_its_end(airflow, WARM_UP)
    idle = idle_rates(airflow, warm_up)
    costs = {}
    for dag_id in DAG_IDS:
        say(f"Running {dag_id}")
        costs[dag_id] = cost_of(airflow, dag_id, idle)
    return costs


def cost_of(airflow: RunningAirflow, dag_id: str, idle: Mapping[str, float]) -> Cost:
    began, before = time.monotonic(), cpu_seconds(airflow)
    run_id, slots = run_to_its_end(airflow, dag_id)
    after, wall = cpu_seconds(airflow), time.monotonic() - began
    cpu = {part: (after[part] - before[part] - idle[part] * wall) / JOBS for part in after}
    return Cost(run_id, cpu, slots.held / JOBS, slots.stays / JOBS, len(slots.parses))


def run_to_its_end(airflow: RunningAirflow, dag_id: str) -> tuple[str, Slots]:
    """Run a DAG until nothing that it set going goes on; return the run's id, and what was seen of the slots."""
    with Slots(airflow) as slots:
        run_id = airflow.api.trigger(dag_id)
        airflow.processes.wait_until(
            lambda: airflow.api.run_state(dag_id, run_id) in RUN_ENDED and slots.are_quiet(),
            within=RUN_WITHIN_SECONDS,
            what=f"The end of {dag_id}",
        )
    for task in airflow.api.task_instances(dag_id, run_id):
        if task.state != "success":
            sys.exit(f"{dag_id}: {task.label} is {task.state}. Its log:\n{airflow.api.log(dag_id, run_id, task)}")
    return run_id, slots


def idle_rates(airflow: RunningAirflow, run_id: str) -> dict[str, float]:
    """Return the CPU seconds a second of each part while there is nothing to do, but to say how a run is."""
    began, before = time.monotonic(), cpu_seconds(airflow)
    airflow.processes.wait_until(
        lambda: bool(airflow.api.run_state(WARM_UP, run_id)) and time.monotonic() - began > IDLE_SECONDS,
        within=RUN_WITHIN_SECONDS,
        what="A quiet time",
    )
    after, wall = cpu_seconds(airflow), time.monotonic() - began
    return {part: (after[part] - before[part]) / wall for part in after}


class Slots:
    """Looks all the time at what the executor's workers have, and at what the DAG processor parses."""

    EVERY_SECONDS = 0.02

    def __init__(self, airflow: RunningAirflow) -> None:
        self._dag_processor = root_of(airflow, "dag-processor")
        workers = [pid for pid in children(root_of(airflow, "scheduler")) if title(pid).startswith(WORKER_TITLE)]
        assert len(workers) == SLOTS
        self._tasks = dict.fromkeys(workers, "")
        self.held = 0.0
        self.stays = 0
        self.parses: set[int] = set()
        self._busy_at = time.monotonic()
        self._end = threading.Event()
        self._looking = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._looking.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._end.set()
        self._looking.join()

    def are_quiet(self) -> bool:
        """Say whether no worker has had a task, and no file was parsed, for a while."""
        return self._looking.is_alive() and time.monotonic() - self._busy_at > QUIET_SECONDS

    def _look(self) -> None:
        last = time.monotonic()
        while not self._end.wait(self.EVERY_SECONDS):
            now = time.monotonic()
            busy = sum(self._has_task(worker) for worker in self._tasks)
            parses = children(self._dag_processor)
            self.held += busy * (now - last)
            self.parses.update(parses)
            if busy or parses:
                self._busy_at = now
            last = now

    def _has_task(self, worker: int) -> bool:
        """Go by the worker's title, which names its task."""
        task = title(worker).removeprefix(WORKER_TITLE).replace("<idle>", "")
        self.stays += task not in {"", self._tasks[worker]}
        self._tasks[worker] = task
        return task != ""


def cpu_seconds(airflow: RunningAirflow) -> dict[str, float]:
    """Return what each part of Airflow has taken until now."""
    scheduler, workers = ticks(root_of(airflow, "scheduler"))
    others = {part: sum(ticks(root_of(airflow, part))) for part in ("triggerer", "dag-processor", "api-server")}
    taken = {"workers": workers, "scheduler": scheduler, **others}
    return {part: count / TICKS_PER_SECOND for part, count in taken.items()}


def ticks(pid: int) -> tuple[int, int]:
    """Return a process's own CPU ticks, and those of all that descend from it, ended or not."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system, *of_ended = map(int, stat[11:15])
    return user + system, sum(of_ended) + sum(sum(ticks(child)) for child in children(pid))


def root_of(airflow: RunningAirflow, component: str) -> int:
    """Return the process of a component: its guard's only child."""
    (root,) = children(airflow.components[component].guard.pid)
    return root


def children(pid: int) -> list[int]:
    return [int(child) for thread in Path(f"/proc/{pid}/task").iterdir() for child in started_by(thread)]


def started_by(thread: Path) -> list[str]:
    try:
        return (thread / "children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):  # the thread has ended since it was listed
        return []


def title(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0 ")


def xcom_verdict(api: AirflowApi, costs: Mapping[str, Cost], *dag_ids: str) -> str:
    """Compare the XComs of two DAGs' tasks, but for what every job has of its own; show the first that differ."""
    one, other = (
        [xcoms_without_own(api.xcoms(dag_id, costs[dag_id].run_id, "job", map_index=index)) for index in range(JOBS)]
        for dag_id in dag_ids
    )
    different = [pair for pair in zip(one, other, strict=True) if pair[0] != pair[1]]
    return "\n  ".join(
        [f"{JOBS - len(different)} of {JOBS} tasks have the same XComs both ways", *sum(different[:1], ())]
    )


def xcoms_without_own(xcoms: dict[str, object]) -> str:
    """Return XComs as JSON, with marks in place of the job's name, times and durations."""
    text = json.dumps(xcoms, sort_keys=True).replace(str(xcoms["job_name"]), "<name>")
    text = re.sub(r'"\d{4}-\d\d-\d\dT[0-9:.]+\+00:00"', '"<time>"', text)
    return re.sub(r'(?<=_seconds": )[0-9.]+', "<seconds>", text)


def cost_table(costs: Mapping[str, Cost]) -> Table:
    table = Table(title=f"Seconds per job, of {JOBS} jobs with {SLOTS} slots", title_justify="left")
    table.add_column("")
    table.add_column("submits only", justify="right")
    for logs in PAIRS:
        table.add_column(f"deferred\n{logs}", justify="right")
        table.add_column(f"end_from_trigger\n{logs}", justify="right")
    for label, *values in rows(costs):
        table.add_row(label, *values)
    return table


def rows(costs: Mapping[str, Cost]) -> Iterator[tuple[str, ...]]:
    runs = [costs[dag_id] for dag_id in DAG_IDS]
    first = costs[SUBMITS]
    yield ("stays in a worker", *(f"{run.stays:.2f}" for run in runs))
    yield ("slot held, wall", *(f"{run.held:.2f}" for run in runs))
    yield ("CPU: workers", *(f"{run.cpu['workers']:.3f}" for run in runs))
    yield ("  beyond the submission", *(f"{run.cpu['workers'] - first.cpu['workers']:.3f}" for run in runs))
    for part in [part for part in first.cpu if part != "workers"]:
        yield (f"CPU: {part}", *(f"{run.cpu[part]:.3f}" for run in runs))
    yield ("CPU: all of Airflow", *(f"{sum(run.cpu.values()):.3f}" for run in runs))
    yield ("DAG files parsed, in all", *(str(run.parses) for run in runs))


if __name__ == "__main__":
    main()
