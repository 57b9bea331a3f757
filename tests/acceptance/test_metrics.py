"""Tasks and triggers count their jobs through Airflow's own Stats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .metrics import Metrics
    from .runs import Run


@pytest.mark.parametrize("task_id", ["preprocess", "train", "evaluate"])
def test_a_job_that_a_task_waited_for_is_counted_with_its_times(
    examples: dict[str, Run], metrics: Metrics, task_id: str
) -> None:
    run = examples["sm_pipeline"]
    run.ended()
    tags = {"dag_id": "sm_pipeline", "task_id": task_id, "instance_type": "ml.m5.large"}
    result = run.xcoms(task_id)["return_value"]

    assert metrics.of("sm_processing.jobs.completed", **tags) == ["1|c"]
    assert metrics.of("sm_processing.jobs.instance_seconds", **tags) == [f"{round(result['instance_seconds'])}|c"]
    (duration,) = metrics.of("sm_processing.jobs.run_duration", **tags)
    assert float(duration.removesuffix("|ms")) == pytest.approx(1000 * result["duration_seconds"])
    assert len(metrics.of("sm_processing.jobs.queue_duration", **tags)) == 1


def test_a_job_whose_task_the_trigger_ended_is_counted_by_the_triggerer(ends: dict[str, Run], metrics: Metrics) -> None:
    run = ends["ends_from_trigger"]
    for task in run.ended():
        counted = metrics.of("sm_processing.jobs.completed", dag_id=run.dag_id, task_id=task.task_id)
        assert counted == (["1|c"] if task.state == "success" else []), task.label


def test_the_calls_of_workers_and_of_the_triggerer_are_counted(
    examples: dict[str, Run], ends: dict[str, Run], metrics: Metrics
) -> None:
    for run in (examples["sm_pipeline"], ends["ends_from_trigger"]):
        run.ended()
    assert metrics.of("sm_processing.polls", operation="DescribeProcessingJob")
    assert metrics.of("sm_processing.polls", operation="ListProcessingJobs")
