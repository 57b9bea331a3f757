"""What happens to tasks and their jobs when parts of a production stack die, freeze, end, and come back.

The tests are one story, in the order of the file: all runs begin together, and each test does one thing to the stack.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.runs import Run

from .stack import WORKERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing.local import LocalSageMaker
    from demo.airflow_api import TaskInstance
    from tests.acceptance.runs import Gate

    from .conftest import Repository
    from .stack import ProductionAirflow

OUTAGE_SECONDS = 20.0
CLEARED = 8
ENDED_WITHIN_SECONDS = 600.0
Statuses = list[tuple[str, str]]


@pytest.fixture(scope="module")
def jobs() -> dict[str, str]:
    """What the story has found out: the names of jobs that were submitted, by the labels of their tasks."""
    return {}


# Each run begins with the first test that names its fixture, and the later tests find it as the earlier ones left it.
@pytest.fixture(scope="module")
def on_first(airflow: ProductionAirflow, gate_factory: Callable[[], Gate]) -> Run:
    return Run(airflow, "on_first", gate=gate_factory())


@pytest.fixture(scope="module")
def on_second(airflow: ProductionAirflow, gate_factory: Callable[[], Gate]) -> Run:
    return Run(airflow, "on_second", gate=gate_factory())


@pytest.fixture(scope="module")
def thirty(airflow: ProductionAirflow, gate_factory: Callable[[], Gate]) -> Run:
    return Run(airflow, "thirty", gate=gate_factory())


@pytest.fixture(scope="module")
def chain(airflow: ProductionAirflow) -> Run:
    """A run of the example, whose tasks have no retries."""
    return Run(airflow, "sm_training")


@pytest.fixture(scope="module")
def jobs_of(sagemaker: LocalSageMaker) -> Callable[[str], Statuses]:
    """Returns the names and statuses of a DAG's jobs."""

    def find(dag_id: str) -> Statuses:
        pages = sagemaker.client("sagemaker").get_paginator("list_processing_jobs").paginate(NameContains=dag_id)
        found = [job for page in pages for job in page["ProcessingJobSummaries"]]
        return sorted((job["ProcessingJobName"], job["ProcessingJobStatus"]) for job in found)

    return find


@pytest.fixture(scope="module")
def status_of(sagemaker: LocalSageMaker) -> Callable[[str], str]:
    """Returns a job's status as it is now."""
    client = sagemaker.client("sagemaker")
    return lambda name: str(client.describe_processing_job(ProcessingJobName=name)["ProcessingJobStatus"])


def all_deferred(run: Run, count: int) -> list[TaskInstance]:
    """Return the tasks when each is deferred, and a triggerer has it."""

    def are_deferred() -> bool:
        return sum(task.state == "deferred" and task.triggerer is not None for task in run.tasks()) == count

    run.until(are_deferred, f"{count} tasks to be deferred")
    return run.tasks()


def job_names(run: Run, tasks: list[TaskInstance]) -> dict[str, str]:
    """Return the name of each task's job."""
    return {task.label: str(run.xcoms(task.task_id, map_index=task.map_index)["job_name"]) for task in tasks}


@pytest.mark.usefixtures("on_second")
def test_a_worker_is_killed_whole(airflow: ProductionAirflow, on_first: Run, jobs: dict[str, str]) -> None:
    on_first.until_task_waits("waits", "running")
    jobs["on_first"] = on_first.submitted_job("waits")
    airflow.kill("worker-first")
    airflow.start("worker-first")


def test_a_worker_that_ends_gracefully_waits_for_its_task(airflow: ProductionAirflow, on_second: Run) -> None:
    run = on_second
    run.until_task_waits("waits", "running")
    with airflow.ending_gracefully("worker-second") as worker:
        run.until(lambda: "Warm shutdown" in worker.log.read_text(errors="replace"), "the worker to say that it ends")
        run.open_gate()
        assert worker.guard.wait(ENDED_WITHIN_SECONDS) == 0
    airflow.start("worker-second")
    assert (run.end_of("waits"), run.task("waits").try_number) == ("success", 1)


@pytest.mark.usefixtures("chain", "thirty")
def test_a_run_keeps_the_version_of_its_bundle(
    airflow: ProductionAirflow, repository: Repository, gate_factory: Callable[[], Gate]
) -> None:
    before = Run(airflow, "versions", gate=gate_factory())
    before.until_task_is("waits", "deferred")
    script = repository.path / "scripts" / "version.py"
    script.write_text(script.read_text().replace("version 1", "version 2"))
    dag_file = repository.path / "production.py"
    dag_file.write_text(f"{dag_file.read_text()}# Airflow loads files at once whose time of change is new.\n")
    version = repository.commit("Change what the second job tells")
    before.until(lambda: airflow.api.bundle_version("versions") == version, "the new version to be loaded")
    after = Run(airflow, "versions", gate=gate_factory())
    after.until_task_is("waits", "deferred")
    for run, told in ((before, "version 1"), (after, "version 2")):
        run.open_gate()
        assert {task.state for task in run.ended()} == {"success"}
        assert run.xcoms("tells")["return_value"]["exit_message"] == told
    # Workers have the bundle elsewhere than the DAG processor, and each version in a folder of its own.
    folders = [airflow.home.path / f"bundles-of-worker-{name}" / "versioned" / "versions" for name in WORKERS]
    assert {path.name for folder in folders if folder.is_dir() for path in folder.iterdir()} >= {version}


def shared_run(airflow: ProductionAirflow, gate_factory: Callable[[], Gate]) -> Run:
    """Return a run of `cleared` of which each triggerer has a part: whoever looks first takes a trigger."""
    for _ in range(4):
        run = Run(airflow, "cleared", gate=gate_factory())
        if len({task.triggerer for task in all_deferred(run, CLEARED)}) > 1:
            return run
        run.open_gate()
    raise AssertionError("one triggerer takes everything")


def test_a_run_is_cleared_across_both_triggerers(
    airflow: ProductionAirflow, gate_factory: Callable[[], Gate], status_of: Callable[[str], str]
) -> None:
    run = shared_run(airflow, gate_factory)
    first = job_names(run, run.tasks())
    run.clear("waits")
    run.until(lambda: {task.try_number for task in run.tasks()} == {2}, "the second tries")
    second = job_names(run, all_deferred(run, CLEARED))
    run.open_gate()
    assert {task.state for task in run.ended()} == {"success"}
    assert not {*first.values()} & {*second.values()}
    assert {status_of(name) for name in first.values()} == {"Stopped"}
    assert {status_of(name) for name in second.values()} == {"Completed"}


def test_a_triggerer_is_killed_among_thirty(airflow: ProductionAirflow, thirty: Run, jobs: dict[str, str]) -> None:
    tasks = all_deferred(thirty, 30)
    jobs |= job_names(thirty, tasks)
    shares = Counter(task.triggerer for task in tasks)
    assert len(shares) == 2, shares
    airflow.kill("triggerer-1")
    airflow.start("triggerer-1")
    run = thirty
    run.until(lambda: len(shares.keys() - airflow.api.triggerers()) == 1, "the killed one to be taken for dead")
    run.until(lambda: len(airflow.api.triggerers()) == len(shares), "a new triggerer")
    run.until(
        lambda: {task.triggerer for task in run.tasks()} <= airflow.api.triggerers(),
        "those of the killed one to be with one that runs",
    )


def test_a_triggerer_comes_back_whose_triggers_another_has(airflow: ProductionAirflow, thirty: Run) -> None:
    # One that is busy reports itself late, and isn't listed for a moment: nothing may be concluded from one look.
    thirty.until(lambda: len(airflow.api.triggerers()) == 2, "both to be listed")
    with airflow.frozen("triggerer-2"):
        thirty.until(
            lambda: len(left := airflow.api.triggerers()) == 1 and {task.triggerer for task in thirty.tasks()} == left,
            "the frozen one to be taken for dead, and all to be with the other",
        )
    thirty.until(lambda: len(airflow.api.triggerers()) == 2, "the frozen one to be back")


def test_redis_is_restarted(airflow: ProductionAirflow) -> None:
    airflow.out_for("redis", 1)


def test_postgresql_is_stopped_for_twenty_seconds(airflow: ProductionAirflow) -> None:
    airflow.out_for("postgresql", OUTAGE_SECONDS)


def test_each_of_the_thirty_has_had_one_job(
    thirty: Run, jobs: dict[str, str], jobs_of: Callable[[str], Statuses]
) -> None:
    thirty.open_gate()
    ended = thirty.ended()
    assert Counter(task.state for task in ended) == {"success": 30}
    names = job_names(thirty, ended)
    assert names == {label: name for label, name in jobs.items() if label in names}
    assert jobs_of("thirty") == sorted((name, "Completed") for name in names.values())


def test_the_killed_workers_job_is_found_by_the_next_try(
    on_first: Run, jobs: dict[str, str], jobs_of: Callable[[str], Statuses]
) -> None:
    run = on_first
    run.until(lambda: run.task("waits").try_number > 1, "another try")
    run.until_task_is("waits", "running", "success")
    run.open_gate()
    assert run.end_of("waits") == "success"
    assert run.submitted_job("waits") == jobs["on_first"]
    assert jobs_of("on-first") == [(jobs["on_first"], "Completed")]


def test_the_chain_ran_through_it_all(chain: Run) -> None:
    assert {task.label: task.state for task in chain.ended()} == {
        "preprocess": "success",
        "train": "success",
        "evaluate": "success",
    }


@pytest.mark.parametrize("queue", WORKERS)
def test_new_tasks_are_taken_by_both_workers(airflow: ProductionAirflow, gate_factory: Callable[[], Gate], queue: str):
    gate = gate_factory()
    gate.open()
    assert {task.state for task in Run(airflow, f"on_{queue}", gate=gate).ended()} == {"success"}
