"""Spark applications as tasks: templated, mapped, planned, and checked early."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from airflow.sdk import DAG

from airflow_sm_processing import ScriptProcessingOperator, SparkProcessingOperator
from airflow_sm_processing.cli.commands import moment
from airflow_sm_processing.cli.dag_policies import task_policies
from airflow_sm_processing.cli.dry_run import RunFields, rendered
from airflow_sm_processing.exceptions import DefinitionError, Problem
from airflow_sm_processing.iam.statements import job_role_statements
from airflow_sm_processing.processing import PySparkProcessor, Session

if TYPE_CHECKING:
    from pathlib import Path

JOB: dict[str, Any] = {
    "role": "arn:aws:iam::123456789012:role/SageMakerRole",
    "image": "spark:3.5",
    "region_name": "eu-west-1",
    "instance_count": 1,
    "instance_type": "ml.m5.xlarge",
}
DEFAULTS = {"Classification": "spark-defaults", "Properties": {"spark.driver.memory": "{{ '2g' }}"}}


@pytest.fixture(autouse=True)
def no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any call to AWS would fail: nothing listens where it would go."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("app.py", "other.py", "lib/a.py", "lib/.env"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def planned(dag: DAG, map_index: int = -1) -> dict[str, Any]:
    with rendered(dag, "spark", RunFields("a_run", moment("2026-01-31"), map_index)) as (task, context):
        plan: dict[str, Any] = task.plan(context)
        return plan


def test_the_plan_has_the_command_and_the_files(folder: Path) -> None:
    with DAG("a_dag") as dag:
        SparkProcessingOperator(
            task_id="spark",
            submit_app=f"{folder}/{{{{ 'app' }}}}.py",
            submit_class="{{ 'Main' }}",
            submit_py_files=[folder / "lib"],
            submit_jars=["s3://jars/{{ 'a' }}.jar"],
            configuration=[DEFAULTS],
            spark_event_logs_s3_uri="s3://logs/{{ ds }}",
            **JOB,
        )
    plan = planned(dag)
    specification = plan["request"]["AppSpecification"]
    assert specification["ImageUri"].endswith("eu-west-1.amazonaws.com/sagemaker-spark-processing:3.5-cpu")
    assert specification["ContainerEntrypoint"] == [
        "smspark-submit",
        "--class",
        "Main",
        "--py-files",
        "/opt/ml/processing/input/py-files",
        "--jars",
        "s3://jars/a.jar",
        "--local-spark-event-logs-dir",
        "/opt/ml/processing/spark-events/",
        "/opt/ml/processing/input/code/app.py",
    ]
    assert plan["request"]["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"] == "s3://logs/2026-01-31"
    assert [(item["path"], item["s3_uri"].rpartition("/input/")[2].partition("/")[2]) for item in plan["uploads"]] == [
        (f"{folder}/lib/a.py", "py-files/lib/a.py"),
        ("configuration.json", "conf/configuration.json"),
        (f"{folder}/app.py", "code/app.py"),
    ]
    assert plan["uploads"][1]["bytes"] == len(
        '[{"Classification": "spark-defaults", "Properties": {"spark.driver.memory": "2g"}}]'
    )
    assert [item["path"] for item in plan["left_out"]] == [f"{folder}/lib/.env"]
    resources = {text for item in plan["permissions"]["job_role"] for text in item["Resource"]}
    assert {"arn:aws:s3:::jars/a.jar*", "arn:aws:s3:::logs/2026-01-31/*"} <= resources


def test_local_files_are_beside_the_dag_file() -> None:
    with DAG("a_dag") as dag:
        SparkProcessingOperator(task_id="spark", submit_app="no.py", submit_files=["no.csv", "s3://b/k"], **JOB)
    with pytest.raises(DefinitionError) as raised:
        planned(dag)
    here = __file__.rpartition("/")[0]
    assert [*raised.value.problems] == [
        Problem("submit_app", "no.py", f"no such file or folder: {here}/no.py"),
        Problem("submit_files[0]", "no.csv", f"no such file or folder: {here}/no.csv"),
    ]


def test_its_parameters_are_mapped(folder: Path) -> None:
    with DAG("a_dag") as dag:
        SparkProcessingOperator.partial(task_id="spark", submit_files=[str(folder / "lib" / "a.py")], **JOB).expand(
            submit_app=[str(folder / "app.py"), folder / "other.py"]
        )
    first, second = (planned(dag, map_index)["uploads"] for map_index in (0, 1))
    assert [item["path"] for item in first] == [f"{folder}/lib/a.py", f"{folder}/app.py"]
    assert [item["path"] for item in second] == [f"{folder}/lib/a.py", f"{folder}/other.py"]
    [first_policy, _] = task_policies(dag)
    assert first_policy.needs.request["AppSpecification"]["ContainerEntrypoint"][:2] == ["smspark-submit", "--files"]


@pytest.mark.parametrize("arguments", [[], ["x" * 300]], ids=["in the request", "by a file"])
def test_a_policy_has_the_places_of_the_options(arguments: list[str]) -> None:
    with DAG("a_dag") as dag:
        SparkProcessingOperator(
            task_id="spark",
            submit_app="s3://code/{{ ds }}/app.py",
            submit_jars=["s3a://jars/a.jar"],
            arguments=arguments,
            spark_event_logs_s3_uri="{{ var.value.logs }}",
            **JOB,
        )
        ScriptProcessingOperator(task_id="script", code="s3://code/a.py", **JOB)
    policies = [*task_policies(dag)]
    resources = {text for item in job_role_statements(policies[0].needs) for text in item.resources}
    assert {"arn:aws:s3:::jars/a.jar*", "arn:aws:s3:::code/*/app.py*"} <= resources
    assert [policy.left_out for policy in policies] == [
        ("a_dag.spark: spark_event_logs_s3_uri is known only when the task runs",),
        (),
    ]


def test_a_mistake_is_reported_when_the_dag_file_is_parsed() -> None:
    with DAG("a_dag"), pytest.raises(DefinitionError) as raised:
        SparkProcessingOperator(
            task_id="t",
            submit_files=["ftp://a/b", "{{ later }}"],
            configuration=[{"Classification": "{{ later }}"}, {"Classification": "no", "Properties": {}}],
            spark_event_logs_s3_uri="/tmp",
            **JOB,
        )
    assert [problem.parameter for problem in raised.value.problems] == [
        "submit_files[0]",
        "spark_event_logs_s3_uri",
        "configuration[0]",
        "configuration[1].Classification",
        "submit_app",
    ]


def test_what_only_a_run_knows_is_no_mistake() -> None:
    with DAG("a_dag"):
        upstream = ScriptProcessingOperator(task_id="u", code="s3://b/a.py", outputs=["/opt/ml/processing/o"], **JOB)
        SparkProcessingOperator(
            task_id="t",
            submit_app="{{ later }}",
            submit_jars="{{ later }}",
            submit_files=[upstream.output["output-1"]],
            configuration="{{ later }}",
            spark_event_logs_s3_uri="{{ later }}",
            **JOB,
        )


def test_a_template_that_gives_nothing_is_told(folder: Path) -> None:
    with DAG("a_dag") as dag:
        SparkProcessingOperator(task_id="spark", submit_app=str(folder / "app.py"), submit_jars=["{{ none }}"], **JOB)
    with pytest.raises(DefinitionError, match=r"submit_jars\[0\]='None': the template '{{ none }}' has no value"):
        planned(dag)


def test_a_processor_becomes_a_task() -> None:
    session = Session(boto3.Session("key", "secret", region_name="eu-west-1"), default_bucket="b")
    processor = PySparkProcessor(JOB["role"], "ml.m5.xlarge", 2, "3.5", env={"A": "1"}, sagemaker_session=session)
    with DAG("a_dag"):
        task = SparkProcessingOperator.from_processor(processor, task_id="spark", submit_app="s3://b/app.py")
    assert (task.instance_count, task.env, task.image_uri) == (2, {"A": "1"}, processor.image_uri)
