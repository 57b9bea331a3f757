"""What a task reads of another one's output: the folder, and nothing that begins alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing import ProcessingInput, ProcessingOutput, S3Input, ScriptProcessingOperator
from airflow_sm_processing.xcoms import DETAILS_KEY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow.sdk import DAG

    from airflow_sm_processing.local import LocalSageMaker
    from tests.task_runner import Runner

WRITE = """
import pathlib
root = pathlib.Path("/opt/ml/processing/o")
(root / "train_labels" / "labels").touch()
"""
LIST = """
import pathlib, json
root = pathlib.Path("/opt/ml/processing")
found = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
(root / "out" / "found.json").write_text(json.dumps(found))
"""
IN = "/opt/ml/processing/in"


@pytest.fixture
def make(environment: None, sagemaker: LocalSageMaker, dag: DAG, tmp_path: Path) -> Callable[..., Any]:
    """Makes tasks of a script."""

    def made(task_id: str, script: str, **parameters: Any) -> Any:
        path = tmp_path / f"{task_id}.py"
        path.write_text(script)
        common = {"role": "SageMakerRole", "image_uri": "python", "instance_count": 1, "instance_type": "ml.m5.large"}
        return ScriptProcessingOperator(
            task_id=task_id, dag=dag, **{"code": str(path), "poll_interval": 0.2, "logs": False, **common, **parameters}
        )

    return made


def writer(make: Callable[..., Any], *, more: str = "", **destination: Any) -> Any:
    """A task with an output whose name begins another one's."""
    outputs = [
        ProcessingOutput(f"/opt/ml/processing/o/{name}", output_name=name, **destination)
        for name in ("train", "train_labels")
    ]
    return make("a", WRITE + more, outputs=outputs)


def reader(make: Callable[..., Any], **parameters: Any) -> Any:
    return make(
        "b",
        LIST,
        outputs=[ProcessingOutput("/opt/ml/processing/out", output_name="out")],
        result_files={"found": "out/found.json"},
        **parameters,
    )


SOURCES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "a reference": lambda a: {"inputs": [ProcessingInput(a.output["train"], IN)]},
    "an S3Input": lambda a: {"inputs": [ProcessingInput(s3_input=S3Input(a.output["train"], IN))]},
    "a dict": lambda a: {"inputs": [{"source": a.output["train"], "destination": IN}]},
    "a template": lambda _: {
        "inputs": [ProcessingInput("{{ ti.xcom_pull(task_ids='a', key='train') }}", IN)],
    },
}


@pytest.mark.parametrize("source", SOURCES)
def test_an_output_is_read_without_another_one_that_begins_alike(make: Any, runner: Runner, source: str):
    a = writer(make, more='(root / "train" / "data").touch()')
    b = reader(make, **SOURCES[source](a))
    assert runner.run(a).state == "success"
    assert runner.run(b).state == "success"
    assert runner.supervisor.xcoms["b", -1]["found"] == ["in/data", "input/code/b.py"]


def test_an_output_that_is_empty_is_not_its_neighbour(make: Any, runner: Runner):
    """S3 doesn't know of such a folder, so it is the reference that says it is one."""
    a = writer(make)
    b = reader(make, inputs=SOURCES["a reference"](a)["inputs"])
    assert runner.run(a).state == "success"
    ended = runner.run(b)
    assert ended.state != "success"
    assert "No S3 objects found" in str(ended.error)


def test_an_output_is_read_so_without_permission_to_list(make: Any, runner: Runner, sagemaker: LocalSageMaker):
    a = writer(make, more='(root / "train" / "data").touch()')
    b = reader(make, **SOURCES["a reference"](a))
    assert runner.run(a).state == "success"
    seen: list[Any] = []
    runner.supervisor.on_xcom = lambda key: sagemaker.set_faults() if key == "job_name" else seen.append(key)
    sagemaker.set_faults("ListObjectsV2:error=AccessDenied,status=403")
    assert runner.run(b).state == "success"
    assert runner.supervisor.xcoms["b", -1]["found"] == ["in/data", "input/code/b.py"]


@pytest.mark.parametrize("end", ["", "/"])
def test_paths_can_be_joined_to_the_xcoms(make: Any, runner: Runner, sagemaker: LocalSageMaker, end: str):
    bucket = f"joined{len(end)}"
    sagemaker.client("s3").create_bucket(Bucket=bucket)
    out = ProcessingOutput("/opt/ml/processing/o/train_labels", f"s3://{bucket}/r{end}", output_name="r")
    a = make("a", WRITE, outputs=[out])
    assert runner.run(a).state == "success"
    xcoms = runner.supervisor.xcoms["a", -1]
    assert (xcoms["r"], xcoms["return_value"]["outputs"]) == (f"s3://{bucket}/r", {"r": f"s3://{bucket}/r"})


def test_code_that_another_task_wrote_is_read_without_its_neighbours(make: Any, runner: Runner, dag: DAG):
    text = LIST.replace("\n", "\\n").replace('"', '\\"')
    a = writer(make, more=f'(root / "train" / "ls.py").write_text("{text}")')
    b = reader(make, code=a.output["train"], script_name="ls.py")
    assert b.upstream_task_ids == {"a"}
    assert runner.run(a).state == "success"
    assert runner.run(b).state == "success"
    assert runner.supervisor.xcoms["b", -1]["found"] == ["input/code/ls.py"]


def test_more_inputs_than_sagemaker_takes_are_read_and_found_again(
    make: Any, runner: Runner, sagemaker: LocalSageMaker
):
    s3 = sagemaker.client("s3")
    for bucket in ("many-one", "many-two"):
        s3.create_bucket(Bucket=bucket)
        for number in range(7):
            s3.put_object(Bucket=bucket, Key=f"of {bucket}/{number}/a", Body=b"1")
    sources = [f"s3://{bucket}/of {bucket}/{number}" for bucket in ("many-one", "many-two") for number in range(7)]
    inputs = [ProcessingInput(source, f"{IN}/{number}") for number, source in enumerate(sources)]
    task = reader(make, inputs=inputs)
    assert runner.run(task).state == "success"
    xcoms = runner.supervisor.xcoms["b", -1]
    command = "input/airflow-command/command.sh"
    assert xcoms["found"] == sorted([*(f"in/{number}/a" for number in range(14)), command, "input/code/b.py"])
    shown = [item["name"] for item in xcoms[DETAILS_KEY]["inputs"]]
    assert shown == [*(f"input-{number}" for number in range(8, 15)), "airflow-inputs-1", "code", "airflow-command"]
    name = xcoms["job_name"]
    assert runner.run(task).state == "success"
    assert runner.supervisor.xcoms["b", -1]["job_name"] == name
    read = task.get_openlineage_facets_on_complete(None).inputs
    assert sorted(f"{item.namespace}/{item.name}" for item in read) == sources
