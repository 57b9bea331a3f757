"""A job's outputs become asset events of its task, and assets are its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing.local import LocalSageMaker
    from tests.dag_runs import Run

WRITTEN = {"bytes": 75, "objects": 3, "is_complete": True}
"""What `scripts/writes_results.py` writes."""


@pytest.fixture(scope="module")
def finished(run_dag: Callable[[str], Run], sagemaker: LocalSageMaker) -> Run:
    s3 = sagemaker.client("s3")
    for bucket in ("asset-reports", "asset-raw"):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket="asset-raw", Key="rows/1.csv", Body=b"1")
    return run_dag("assets")


@pytest.fixture(scope="module")
def events(finished: Run) -> dict[str, list[dict[str, Any]]]:
    """The events of each task (and map index), in the order of their assets' URIs."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    found: dict[str, list[dict[str, Any]]] = {name: [] for name in finished.states}
    with create_session() as session:
        for event in session.scalars(select(AssetEvent).where(AssetEvent.source_dag_id == "assets")):
            index = "" if event.source_map_index < 0 else f"[{event.source_map_index}]"
            aliases = sorted(alias.name for alias in event.source_aliases)
            found[f"{event.source_task_id}{index}"].append(
                {"uri": event.asset.uri, "name": event.asset.name, "aliases": aliases, "extra": event.extra}
            )
    return {name: sorted(items, key=lambda item: item["name"]) for name, items in found.items()}


def extra(finished: Run, task: str, output: str, size: dict[str, Any]) -> dict[str, Any]:
    """What an event says of an output."""
    xcoms = finished.xcoms[task]
    job = {name: xcoms[name] for name in ("job_name", "job_arn")}
    return {**job, "output": output, "uri": xcoms[output], **size}


def test_the_tasks_end_as_their_jobs_do(finished: Run) -> None:
    assert finished.states == {
        "emits_all": "success",
        "by_name": "success",
        "fails": "failed",
        "mapped[0]": "success",
        "mapped[1]": "success",
        "reads": "success",
    }


def test_a_task_that_emits_assets_tells_of_each_output_by_one_alias(
    finished: Run, events: dict[str, list[dict[str, Any]]]
) -> None:
    nothing = finished.xcoms["emits_all"]["nothing"]
    evaluation = "s3://asset-reports/assets"
    assert events["emits_all"] == [
        {
            "uri": evaluation,
            "name": f"{evaluation}/",
            "aliases": ["assets.emits_all"],
            "extra": extra(finished, "emits_all", "evaluation", WRITTEN),
        },
        {
            "uri": nothing,
            "name": nothing,
            "aliases": ["assets.emits_all"],
            "extra": extra(finished, "emits_all", "nothing", {"bytes": 0, "objects": 0, "is_complete": True}),
        },
    ]


def test_outlets_are_an_outputs_by_its_name_or_uri(finished: Run, events: dict[str, list[dict[str, Any]]]) -> None:
    told = extra(finished, "by_name", "evaluation", WRITTEN)
    place = "s3://asset-reports/by-name"
    assert events["by_name"] == [
        {"uri": place, "name": "by_uri", "aliases": [], "extra": told},
        {"uri": "s3://asset-reports/any", "name": "evaluation", "aliases": [], "extra": told},
        {"uri": place, "name": place, "aliases": ["evaluation"], "extra": told},
    ]


def test_a_failed_job_tells_nothing(events: dict[str, list[dict[str, Any]]]) -> None:
    assert events["fails"] == []


@pytest.mark.parametrize("index", [0, 1])
def test_a_mapped_task_tells_of_each_instance(
    index: int, finished: Run, events: dict[str, list[dict[str, Any]]]
) -> None:
    place = f"s3://asset-reports/mapped/{index}"
    told = extra(finished, f"mapped[{index}]", "evaluation", WRITTEN)
    assert events[f"mapped[{index}]"] == [{"uri": place, "name": place, "aliases": ["assets.mapped"], "extra": told}]


def test_an_input_is_where_its_asset_is(finished: Run, sagemaker: LocalSageMaker) -> None:
    client = sagemaker.client("sagemaker")
    inputs = {}
    for task in ("reads", "mapped[0]"):
        job = client.describe_processing_job(ProcessingJobName=finished.xcoms[task]["job_name"])
        inputs[task] = [item["S3Input"]["S3Uri"] for item in job["ProcessingInputs"][:-1]]  # the last is the code
    assert inputs == {
        "reads": ["s3://asset-reports/assets/", "s3://asset-raw/rows/"],  # a named asset had lost its slash
        "mapped[0]": ["s3://asset-raw/rows/"],
    }
