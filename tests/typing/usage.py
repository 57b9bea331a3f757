"""The API as users write it: `make lint` type-checks this file, no test runs it."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Asset, AssetAlias, AssetWatcher, XComArg

from airflow_sm_processing import (
    CompletedJobsTrigger,
    JobFailedError,
    NetworkConfig,
    ProcessingHook,
    ProcessingInput,
    ProcessingJobSensor,
    ProcessingOperator,
    ProcessingOutput,
    ScriptProcessingOperator,
)
from airflow_sm_processing.decorators import sm_processing_task
from airflow_sm_processing.processing import ScriptProcessor, Session, WaitSettings

features = Asset(
    "features",
    watchers=[AssetWatcher("jobs", trigger=CompletedJobsTrigger(job_name_prefix="features-", tags={"team": None}))],
)

with DAG("typed", schedule=[features]) as dag:
    preprocess = ScriptProcessingOperator(
        task_id="preprocess",
        role="SageMakerRole",
        image="sklearn:1.4-2",
        command=["python3"],
        instance_count="{{ params.instances }}",
        instance_type="ml.m5.xlarge",
        code="scripts/preprocess.py",
        inputs=[ProcessingInput(source="s3://raw/{{ ds }}/", destination="/opt/ml/processing/input")],
        outputs=[ProcessingOutput(source="/opt/ml/processing/train", output_name="train")],
        network_config=NetworkConfig(enable_network_isolation=True),
        deferrable=True,
        max_wait=timedelta(hours=2),
        retries=2,
    )
    evaluate = ProcessingOperator(
        task_id="evaluate",
        role="SageMakerRole",
        image_uri="image",
        instance_preferences=["ml.m5.xlarge", {"instance_type": "ml.m5.2xlarge"}],
        instance_count=2,
        entrypoint=["evaluate"],
        inputs=[ProcessingInput(source=preprocess.output["train"], destination="/opt/ml/processing/train")],
        outputs=["/opt/ml/processing/report"],
        emit_assets=True,
    )
    ProcessingOperator(
        task_id="from_assets",
        role="SageMakerRole",
        image_uri="image",
        inputs=[
            ProcessingInput(source=Asset("s3://raw/rows/"), destination="/opt/ml/processing/rows"),
            ProcessingInput(source=preprocess.output["train"], destination="/opt/ml/processing/train", optional=True),
        ],
        skip_on_exit_code=[98, 99],
        outputs=[ProcessingOutput(source="/opt/ml/processing/train", output_name="train")],
        outlets=[AssetAlias("train")],
    )
    elsewhere = ProcessingJobSensor(task_id="elsewhere", job_name_prefix="features-", since="{{ ds }}", timeout=3600)
    ProcessingInput(source=elsewhere.output["train"], destination="/opt/ml/processing/train")
    ScriptProcessingOperator.partial(task_id="mapped", role="SageMakerRole", image_uri="image").expand(
        inputs=[[ProcessingInput(source=preprocess.output["train"], destination="/opt/ml/processing/train")]]
    )


def without_airflow(session: Session) -> dict[str, str]:
    """Run a script and give where its outputs are."""
    processor = ScriptProcessor("role", "image", ["python3"], 1, "ml.m5.xlarge", sagemaker_session=session)
    try:
        job = processor.run("script.py", outputs=["/opt/ml/processing/out"], wait=False, logs=False)
        description = job.wait(settings=WaitSettings(poll_interval=5, max_wait=600))
    except JobFailedError as error:
        return {host: "\n".join(lines) for host, lines in error.log_tails.items()}
    print(description.duration_seconds)
    return job.output_uris


def through_a_connection() -> str | None:
    """Use a hook in a task of one's own."""
    hook = ProcessingHook(aws_conn_id="aws_default", region_name="eu-west-1")
    job = hook.script_processor(role="role", image_uri="image", command=["python3"]).run("script.py")
    return job.job_arn


@sm_processing_task
def bare(number: int) -> int:
    """Take its parameters from the DAG's default_args."""
    return number


@sm_processing_task(
    image_uri="image",
    role="SageMakerRole",
    instance_type="ml.m5.xlarge",
    requirements=["pandas==2.2.3"],
    outputs=[ProcessingOutput(source="/opt/ml/processing/o", output_name="o")],
    retries=2,
)
def function(number: int, *, name: str = "a name") -> dict[str, int]:
    """Run elsewhere."""
    return {name: number}


returned: XComArg = function(3, name="another")
mapped: XComArg = function.override(task_id="other").partial(name="a name").expand(number=[1, 2])
whole: XComArg = function.expand_kwargs([{"number": 1}])
itself: dict[str, int] = function.function(1)
plain: XComArg = bare(3)
bare("a string")  # type: ignore[arg-type]  # an editor says so

# A misspelt parameter, or one of a wrong type: an editor says so.
ProcessingOperator(task_id="a", instance_typ="ml.m5.large")  # type: ignore[call-arg]
ProcessingOperator(task_id="a", code="script.py")  # type: ignore[call-arg]
ScriptProcessingOperator(task_id="a", deferable=True)  # type: ignore[call-arg]
ScriptProcessingOperator(task_id="a", retries="two")  # type: ignore[arg-type]
ProcessingJobSensor(task_id="a", job_name="job", time_out=60)  # type: ignore[call-arg]
sm_processing_task(image="sklearn:1.4-2", requirement=["pandas"])  # type: ignore[call-overload]
