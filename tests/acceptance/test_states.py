"""What the tests read from the database is what Airflow's REST API says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .states import SqliteStates, states_of

if TYPE_CHECKING:
    from demo.airflow_services import RunningAirflow

    from .runs import Run


def test_the_database_says_of_runs_and_tasks_what_the_rest_api_says(
    airflow: RunningAirflow, examples: dict[str, Run]
) -> None:
    states = states_of(airflow)
    assert isinstance(states, SqliteStates)
    for run in examples.values():
        run.ended()
        place = run.dag_id, run.run_id
        assert states.run_state(*place) == airflow.api.run_state(*place)
        assert states.task_instances(*place) == airflow.api.task_instances(*place)
