"""What a function reads from S3 is an argument, whatever it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow.sdk import ObjectStoragePath, task

from airflow_sm_processing import ProcessingInput, ProcessingOutput
from airflow_sm_processing.decorators import sm_processing_task

if TYPE_CHECKING:
    from airflow_sm_processing.local import LocalSageMaker


@pytest.fixture
def bucket(sagemaker: LocalSageMaker, environment: None) -> str:
    """A bucket with `days/1.txt` and `days/2.txt`."""
    s3 = sagemaker.client("s3")
    s3.create_bucket(Bucket="decorator-inputs")
    for day in ("1", "2"):
        s3.put_object(Bucket="decorator-inputs", Key=f"days/{day}.txt", Body=f"day {day}".encode())
    return "s3://decorator-inputs"


def test_an_input_is_a_folder_of_the_container(dag, on_sagemaker, bucket, result_of):
    @task.sm_processing(**on_sagemaker)
    def read(days, nested, chosen):
        paths = [days, nested["one"][0], chosen]
        return {str(path): sorted(file.name for file in path.iterdir()) for path in paths}

    inputs = (
        ProcessingInput(f"{bucket}/days/"),
        {"one": [ObjectStoragePath(f"{bucket}/days/1.txt")]},
        ProcessingInput(f"{bucket}/days/2.txt", "/opt/ml/processing/chosen"),
    )
    assert result_of(read(*inputs)) == {
        "/opt/ml/processing/arguments/days": ["1.txt", "2.txt"],
        "/opt/ml/processing/arguments/nested-one-0": ["1.txt"],
        "/opt/ml/processing/chosen": ["2.txt"],
    }


def test_a_local_file_is_uploaded(dag, on_sagemaker, tmp_path, result_of):
    (tmp_path / "local.txt").write_text("here")

    @task.sm_processing(**on_sagemaker)
    def read(folder):
        return (folder / "local.txt").read_text()

    assert result_of(read(ProcessingInput(str(tmp_path)))) == "here"


def test_an_output_of_another_function_is_an_input(dag, on_sagemaker, runner, result_of):
    @sm_processing_task(outputs=[ProcessingOutput("/opt/ml/processing/text", output_name="text")], **on_sagemaker)
    def write():
        import pathlib

        pathlib.Path("/opt/ml/processing/text/a.txt").write_text("written")
        return "done"

    @sm_processing_task(**on_sagemaker)
    def read(folder, said):
        return [(folder / "a.txt").read_text(), said]

    written = write()
    reading = read(ProcessingInput(written["text"]), written)
    assert reading.operator.upstream_task_ids == {"write"}
    assert result_of(written) == "done"
    assert result_of(reading) == ["written", "done"]


def test_what_is_mapped_over_may_be_inputs(dag, on_sagemaker, bucket, result_of):
    @task.sm_processing(**on_sagemaker)
    def read(folder, suffix):
        return next(folder.iterdir()).read_text() + suffix

    mapped = read.partial(suffix="!").expand(folder=[ProcessingInput(f"{bucket}/days/{day}.txt") for day in (1, 2)])
    assert [result_of(mapped, index) for index in (0, 1)] == ["day 1!", "day 2!"]


def test_a_mapped_input_may_be_templated_and_refer_to_a_task(dag, on_sagemaker, bucket, runner, result_of):
    @task
    def place():
        return f"{bucket}/days/2.txt"

    @task.sm_processing(**on_sagemaker)
    def read(folder):
        return next(folder.iterdir()).read_text()

    placed = place()
    late = [{"folder": ProcessingInput(placed)}, {"folder": ProcessingInput(bucket + "/days/{{ 3 - 2 }}.txt")}]
    mapped = read.expand_kwargs(late)
    assert mapped.operator.upstream_task_ids == {"place"}
    runner.run(placed.operator)
    assert [result_of(mapped, index) for index in (0, 1)] == ["day 2", "day 1"]
