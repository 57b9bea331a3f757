"""What a deferred task's log shows of its job, while it is deferred and afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .runs import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo.airflow_services import RunningAirflow

    from .runs import Gate, JobLine


def test_a_deferred_tasks_log_has_the_jobs_lines_while_it_is_deferred_and_each_once_at_the_end(
    airflow: RunningAirflow, gate_factory: Callable[[], Gate], written_lines: Callable[[str], list[JobLine]]
) -> None:
    run = Run(airflow, "waits_deferred_alone", gate=gate_factory(), conf={"poll_interval": "1"})
    run.until_task_waits("waits", "deferred")
    run.until(lambda: len(run.job_lines("waits")) >= 3, "three lines of the job")
    assert run.task("waits").state == "deferred"
    run.open_gate()
    assert run.end_of("waits") == "success"
    assert run.job_lines("waits") == written_lines(run.submitted_job("waits"))
