"""The amazon provider's own operators and sensors, unmodified, run jobs here as they do on the service."""

from __future__ import annotations

import copy
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.amazon.aws.operators.sagemaker import SageMakerProcessingOperator, SageMakerTrainingOperator
from airflow.providers.amazon.aws.sensors.sagemaker import SageMakerProcessingSensor, SageMakerTrainingSensor
from airflow.providers.standard.operators.python import PythonOperator

from airflow_sm_processing import ProcessingInput, ProcessingOutput, ScriptProcessingOperator, model_artifacts
from airflow_sm_processing import channel as channel_of

from .bench import IMAGE, Bench, channel, s3_output

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import DAG

    from tests.task_runner import Runner

pytestmark = pytest.mark.usefixtures("environment")


@dataclass(frozen=True)
class Gate:
    """A file that jobs wait for, on the machine that they share with the test."""

    file: Path

    @property
    def wait(self) -> str:
        """What a job's shell does."""
        return f"until test -e {self.file}; do sleep 0.1; done"

    def open(self) -> None:
        self.file.touch()


def operator(dag: DAG, config: dict[str, Any], **options: Any) -> SageMakerProcessingOperator:
    return SageMakerProcessingOperator(task_id=f"job_{uuid.uuid4().hex}", config=config, check_interval=1, **options)


def config(bench: Bench, command: list[str]) -> dict[str, Any]:
    output = s3_output("out", f"s3://{bench.bucket}/out", "/opt/ml/processing/out")
    return bench.request(command, name=f"theirs-{uuid.uuid4().hex}", ProcessingOutputConfig={"Outputs": [output]})


def test_it_waits_for_its_job_and_returns_the_description(dag: DAG, runner: Runner, bench: Bench):
    wanted = config(bench, ["sh", "-c", "echo said; echo made > /opt/ml/processing/out/file"])
    task = operator(dag, wanted, print_log=True)
    ended = runner.run(task)
    assert (ended.state, ended.error) == ("success", None)
    described = runner.supervisor.xcoms[task.task_id, -1]["return_value"]["Processing"]
    assert (described["ProcessingJobName"], described["ProcessingJobStatus"]) == (
        wanted["ProcessingJobName"],
        "Completed",
    )
    assert bench.objects("out/") == {"out/file": b"made\n"}


def test_a_failed_job_fails_its_task(dag: DAG, runner: Runner, bench: Bench):
    ended = runner.run(operator(dag, config(bench, ["false"]), print_log=False))
    assert ended.state in {"failed", "up_for_retry"}
    assert "exit code: 1" in str(ended.error)


def test_a_name_that_is_taken_gets_a_timestamp(dag: DAG, runner: Runner, bench: Bench):
    wanted = config(bench, ["true"])
    taken = wanted["ProcessingJobName"]
    for _ in range(2):
        task = operator(dag, dict(wanted), print_log=False)
        assert runner.run(task).state == "success"
    described = runner.supervisor.xcoms[task.task_id, -1]["return_value"]["Processing"]
    assert described["ProcessingJobName"].startswith(f"{taken}-")


def test_a_name_that_is_taken_can_fail_the_task(dag: DAG, runner: Runner, bench: Bench):
    wanted = config(bench, ["true"])
    bench.end(bench.create(["true"], name=wanted["ProcessingJobName"]))
    ended = runner.run(operator(dag, wanted, print_log=False, action_if_job_exists="fail"))
    assert "already exists" in str(ended.error)


def training_config(bench: Bench, command: list[str], **more: Any) -> dict[str, Any]:
    return bench.training_request(command, name=f"theirs-{uuid.uuid4().hex}", **more)


def trainer(dag: DAG, config: dict[str, Any], **options: Any) -> SageMakerTrainingOperator:
    options = {"print_log": False, "check_interval": 1} | options
    return SageMakerTrainingOperator(task_id=f"job_{uuid.uuid4().hex}", config=config, **options)


def trained(runner: Runner, task: SageMakerTrainingOperator) -> dict[str, Any]:
    """Return the description that a task leaves in XCom."""
    found: dict[str, Any] = runner.supervisor.xcoms[task.task_id, -1]["return_value"]["Training"]
    return found


def test_the_training_operator_waits_and_returns_where_the_model_is(dag: DAG, runner: Runner, bench: Bench):
    bench.put("in/a", "learnt")
    script = ["sh", "-c", "cp /opt/ml/input/data/train/a /opt/ml/model/"]
    wanted = training_config(bench, script, InputDataConfig=[channel("train", f"s3://{bench.bucket}/in/")])
    wanted["RoleArn"] = "SageMakerRole"
    wanted["ResourceConfig"]["InstanceCount"] = "1"  # as a template renders it
    task = trainer(dag, wanted)
    ended = runner.run(task)
    assert (ended.state, ended.error) == ("success", None)
    described = trained(runner, task)
    assert (described["TrainingJobName"], described["TrainingJobStatus"]) == (wanted["TrainingJobName"], "Completed")
    model = described["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{bench.bucket}/")
    assert list(bench.objects("models/")) == [model]


def test_the_training_operator_prints_the_log_while_it_waits(
    dag: DAG, runner: Runner, bench: Bench, capfd: pytest.CaptureFixture[str]
):
    """It asks for the job's status each 30 seconds only."""
    task = trainer(dag, training_config(bench, ["sh", "-c", "echo said by the script"]), print_log=True)
    assert runner.run(task).state == "success"
    printed = capfd.readouterr().out
    for said in ("said by the script  ", "Completed - Training job completed", "Billable seconds:"):
        assert said in printed


@pytest.mark.parametrize("print_log", [True, False])
def test_the_training_operator_need_not_wait(dag: DAG, runner: Runner, bench: Bench, print_log: bool):
    wanted = training_config(bench, ["sleep", "600"])
    task = trainer(dag, wanted, wait_for_completion=False, print_log=print_log)
    assert runner.run(task).state == "success"
    assert trained(runner, task)["TrainingJobStatus"] == "InProgress"
    bench.sagemaker.stop_training_job(TrainingJobName=wanted["TrainingJobName"])
    bench.end_training(wanted["TrainingJobName"])


def test_a_failed_training_job_fails_its_task_with_the_reason(dag: DAG, runner: Runner, bench: Bench):
    command = ["sh", "-c", "echo too few rows > /opt/ml/output/failure; exit 1"]
    ended = runner.run(trainer(dag, training_config(bench, command)))
    assert ended.state in {"failed", "up_for_retry"}
    assert "AlgorithmError: too few rows, exit code: 1" in str(ended.error)


def test_the_training_operator_looks_whether_the_name_is_taken(dag: DAG, runner: Runner, bench: Bench):
    wanted = training_config(bench, ["true"])
    taken = wanted["TrainingJobName"]
    for _ in range(2):
        task = trainer(dag, copy.deepcopy(wanted))
        assert runner.run(task).state == "success"
    assert trained(runner, task)["TrainingJobName"].startswith(f"{taken}-")
    ended = runner.run(trainer(dag, copy.deepcopy(wanted), action_if_job_exists="fail"))
    assert f"A SageMaker job with name {taken} already exists" in str(ended.error)
    ended = runner.run(trainer(dag, copy.deepcopy(wanted), check_if_job_exists=False))
    assert "ResourceInUse" in str(ended.error)


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """Holds up a job until it is opened."""
    return Gate(tmp_path / "open")


def test_the_training_operator_defers_and_resumes(dag: DAG, runner: Runner, bench: Bench, gate: Gate):
    """Its trigger needs aiobotocore: the compat tier runs it."""
    wanted = training_config(bench, ["sh", "-c", gate.wait])
    task = trainer(dag, wanted, deferrable=True, print_log=True)
    deferred = runner.run(task).deferred
    assert deferred.next_method == "execute_complete"
    gate.open()
    name = bench.end_training(wanted["TrainingJobName"])["TrainingJobName"]
    ended = runner.run(task, resume=(deferred.next_method, {"event": {"status": "success", "job_name": name}}))
    assert ended.state == "success"
    described = trained(runner, task)
    assert described["SecondaryStatus"] == "Completed"
    reader = PythonOperator(task_id=f"reads_{name}", python_callable=print, op_args=[model_artifacts(task)])
    assert runner.rendered(reader).op_args == [described["ModelArtifacts"]["S3ModelArtifacts"]]


@pytest.mark.parametrize("print_log", [True, False])
def test_the_training_sensor_waits_for_the_end_of_a_job(dag: DAG, runner: Runner, bench: Bench, print_log: bool):
    def sensor(job_name: str) -> SageMakerTrainingSensor:
        task_id = f"wait_{uuid.uuid4().hex}"
        return SageMakerTrainingSensor(task_id=task_id, job_name=job_name, poke_interval=1, print_log=print_log)

    completed, failed = (bench.create_training([command]) for command in ("true", "false"))
    for name in (completed, failed):
        bench.end_training(name)  # while it prints the log, it looks at the status each 30 seconds only
    assert runner.run(sensor(completed)).state == "success"
    assert "AlgorithmError: , exit code: 1" in str(runner.run(sensor(failed)).error)


def test_the_processing_sensor_waits_for_the_end_of_a_job(dag: DAG, runner: Runner, bench: Bench):
    for command, state in (("true", "success"), ("false", "failed")):
        name = bench.create(["sh", "-c", f"sleep 1; {command}"])
        task = SageMakerProcessingSensor(task_id=f"wait_{command}", job_name=name, poke_interval=1, retries=0)
        assert runner.run(task, retries_left=False).state == state


def test_the_processing_operator_need_not_wait(dag: DAG, runner: Runner, bench: Bench, gate: Gate):
    task = operator(dag, config(bench, ["sh", "-c", gate.wait]), wait_for_completion=False, print_log=False)
    assert runner.run(task).state == "success"
    described = runner.supervisor.xcoms[task.task_id, -1]["return_value"]["Processing"]
    assert described["ProcessingJobStatus"] == "InProgress"
    gate.open()
    bench.end(described["ProcessingJobName"])


def test_the_processing_operator_defers_and_reads_its_output_files(dag: DAG, runner: Runner, bench: Bench, gate: Gate):
    wanted = config(bench, ["sh", "-c", f"{gate.wait}; echo '{{\"mse\": 1}}' > /opt/ml/processing/out/metrics.json"])
    files = [{"output_name": "out", "file_name": "metrics.json", "result_name": "report"}]
    task = operator(dag, wanted, deferrable=True, print_log=False, output_files_to_xcom=files)
    deferred = runner.run(task).deferred
    gate.open()
    name = bench.end(wanted["ProcessingJobName"])["ProcessingJobName"]
    resume = (str(deferred.next_method), {"event": {"status": "success", "job_name": name}})
    assert runner.run(task, resume=resume).state == "success"
    assert runner.supervisor.xcoms[task.task_id, -1]["return_value"]["OutputFiles"] == {"report": {"mse": 1}}


# Chained with processing tasks of this package: `channel` and `model_artifacts`


def processor(task_id: str, script: Path, **more: Any) -> ScriptProcessingOperator:
    return ScriptProcessingOperator(
        task_id=task_id,
        role="SageMakerRole",
        image_uri=IMAGE,
        command=["sh"],
        code=str(script),
        instance_count=1,
        instance_type="ml.m5.xlarge",
        poll_interval=0.1,
        **more,
    )


def script(folder: Path, name: str, *lines: str) -> Path:
    file = folder / f"{name}.sh"
    file.write_text("\n".join(["set -e", *lines]))
    return file


def test_training_is_mapped_over_hyperparameters_and_its_models_are_compared(
    dag: DAG, runner: Runner, bench: Bench, tmp_path: Path
):
    """Each training job reads the output and not its neighbour, and each of its instances its share."""
    data = f"s3://{bench.bucket}/data"
    write = [f"echo {part} > /opt/ml/processing/train/{part}" for part in "abc"]
    prepare = processor(
        "prepare",
        script(tmp_path, "prepare", *write, "echo old > /opt/ml/processing/train-old/old"),
        outputs=[
            ProcessingOutput(f"/opt/ml/processing/{name}", f"{data}/{name}", name) for name in ("train", "train-old")
        ],
    )
    train_script = (
        'touch "/opt/ml/model/read-$(ls /opt/ml/input/data/train | tr -d "\\n")";'
        "cp /opt/ml/input/config/hyperparameters.json /opt/ml/model"
    )

    def config(depth: int) -> dict[str, Any]:
        wanted = bench.training_request(["sh", "-c", train_script], name=f"depth-{depth}-{uuid.uuid4().hex}", hosts=2)
        read = channel_of(
            "train", prepare.output["train"], content_type="text/csv", distribution="ShardedByS3Key", input_mode="File"
        )
        return wanted | {"HyperParameters": {"depth": str(depth)}, "InputDataConfig": [read]}

    train = SageMakerTrainingOperator.partial(task_id="train", print_log=False, check_interval=1).expand(
        config=[config(depth) for depth in (1, 2)]
    )
    compare = processor(
        "compare",
        script(
            tmp_path,
            "compare",
            "cd /opt/ml/processing/models",
            "for model in 0 1; do tar -xzf $model/model.tar.gz -C $model; done",
            "cat */hyperparameters.json > /opt/ml/processing/compared/depths",
            "ls -d */read-* > /opt/ml/processing/compared/shares",
        ),
        inputs=[ProcessingInput(model_artifacts(train), "/opt/ml/processing/models")],
        outputs=[ProcessingOutput("/opt/ml/processing/compared", f"{data}/compared", "compared")],
    )
    assert (train.upstream_task_ids, compare.upstream_task_ids) == ({"prepare"}, {"train"})

    ended = [runner.run(prepare), *(runner.run(train, map_index=index) for index in (0, 1)), runner.run(compare)]
    assert [(task.state, task.error) for task in ended] == [("success", None)] * 4
    found = bench.objects("data/compared/")
    assert found["data/compared/depths"].replace(b"\n", b"") == b'{"depth": "1"}{"depth": "2"}'
    assert found["data/compared/shares"].split() == [b"0/read-ac", b"0/read-b", b"1/read-ac", b"1/read-b"]
    described = [runner.supervisor.xcoms["train", index]["return_value"]["Training"] for index in (0, 1)]
    (read,) = described[0]["InputDataConfig"]
    assert read["DataSource"]["S3DataSource"]["S3Uri"] == f"{data}/train/"
    assert (read["ContentType"], read["InputMode"]) == ("text/csv", "File")
    assert lineage(ended[0].task)[1] == {f"{data}/train", f"{data}/train-old"}
    models = {job["ModelArtifacts"]["S3ModelArtifacts"] for job in described}
    assert lineage(ended[1].task)[0] == {f"{data}/train/"}  # with the slash that the provider keeps
    assert lineage(ended[1].task)[1] | lineage(ended[2].task)[1] == models
    assert lineage(ended[3].task)[0] == models


def lineage(task: Any) -> tuple[set[str], set[str]]:
    """Return the datasets that a task reads and writes, as OpenLineage is told."""
    found = task.get_openlineage_facets_on_complete(None)
    read, written = ({f"{item.namespace}/{item.name}" for item in items} for items in (found.inputs, found.outputs))
    return read, written
