"""Follow a DAG run to its end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from demo.airflow_api import RUN_ENDED

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo.airflow_api import TaskInstance
    from demo.airflow_services import RunningAirflow

_LOOK_EVERY_SECONDS = 0.5


def follow(
    airflow: RunningAirflow, dag_id: str, run_id: str, *, changed: Callable[[TaskInstance], None]
) -> list[TaskInstance]:
    """Call `changed` for each change of a task's state until the run has ended; return its tasks.

    Raises:
        ProcessError: One of Airflow's components ended.
    """
    states: dict[str, str | None] = {}
    while True:
        ended = airflow.api.run_state(dag_id, run_id) in RUN_ENDED
        tasks = airflow.api.task_instances(dag_id, run_id)
        for task in tasks:
            if states.get(task.label) != task.state:
                states[task.label] = task.state
                changed(task)
        if ended:
            return tasks
        airflow.processes.check()
        time.sleep(_LOOK_EVERY_SECONDS)
