"""What a function's task would ask of AWS is said without asking."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_sm_processing import ProcessingInput, ProcessingOutput
from airflow_sm_processing.cli.commands import moment
from airflow_sm_processing.cli.dag_policies import task_policies
from airflow_sm_processing.cli.dry_run import RunFields, rendered
from airflow_sm_processing.decorators import sm_processing_task
from airflow_sm_processing.iam.statements import caller_statements, job_role_statements, policy_document

DAY = moment("2026-01-31")
BUCKET = "sagemaker-eu-west-1-123456789012"


@pytest.fixture(autouse=True)
def no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any call to AWS would fail: nothing listens where it would go."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


def planned(dag: DAG, task_id: str, *, map_index: int = -1) -> dict[str, Any]:
    with rendered(dag, task_id, RunFields("a_run", DAY, map_index)) as (rendered_task, context):
        return rendered_task.plan(context)


def needed(dag: DAG, statements: Any) -> dict[str, Any]:
    found = task_policies(dag, account="123456789012", region="eu-west-1")
    document = policy_document([item for each in found for item in statements(each.needs)])
    return {item["Sid"]: item["Resource"] for item in document["Statement"]}


def inputs(plan: dict[str, Any]) -> dict[str, str]:
    return {item["InputName"]: item["S3Input"]["S3Uri"] for item in plan["request"]["ProcessingInputs"]}


def test_a_plan_has_the_arguments_inputs_the_code_and_the_outcome(dag, valid):
    with dag:

        @task
        def place():
            return "s3://bucket/key"

        @sm_processing_task(**valid)
        def use(one, two, day):
            return [one, two, day]

        use(ProcessingInput(place()), ProcessingInput("s3://raw/{{ ds }}/"), "{{ ds }}")
    plan = planned(dag, "use")
    request = plan["request"]
    stem = request["ProcessingJobName"].removesuffix("-1")
    assert inputs(plan) == {
        "argument-one": "s3://<return_value of task place>",
        "argument-two": "s3://raw/2026-01-31/",
        "code": inputs(plan)["code"],
    }
    assert inputs(plan)["code"].startswith(f"s3://{BUCKET}/{stem}/input/")
    assert request["AppSpecification"]["ContainerEntrypoint"] == ["python3", "/opt/ml/processing/input/code/run.py"]
    assert [item["OutputName"] for item in request["ProcessingOutputConfig"]["Outputs"]] == ["outcome"]
    names = [upload["s3_uri"].rpartition("/code/")[2] for upload in plan["uploads"]]
    assert sorted(names) == [
        "airflow_sm_container/__init__.py",
        "airflow_sm_container/function.py",
        "airflow_sm_container/outcome.py",
        "airflow_sm_container/requirements.py",
        "airflow_sm_container/runner.py",
        "airflow_sm_container/values.py",
        "call.json",
        "run.py",
    ]
    reads = [item for item in plan["permissions"]["caller"] if item["Sid"] == "ReadResults"]
    assert [item["Action"] for item in reads] == [["s3:GetObject"]]
    assert reads[0]["Resource"] == [f"arn:aws:s3:::{BUCKET}/{request['ProcessingJobName']}/output/outcome/*"]
    assert json.loads(json.dumps(plan)) == plan


def test_a_mapped_function_is_planned_by_its_index(dag, valid):
    with dag:

        @sm_processing_task(**valid)
        def use(one, size):
            return [one, size]

        use.partial(size=1).expand(one=[ProcessingInput("s3://a/b"), ProcessingInput("s3://c/d")])
    assert inputs(planned(dag, "use", map_index=1))["argument-one"] == "s3://c/d"


def test_a_policy_counts_functions_and_what_they_are_mapped_over(dag, valid):
    with dag:

        @sm_processing_task(outputs=[ProcessingOutput("/opt/ml/processing/o", output_name="table")], **valid)
        def first(one):
            return str(one)

        @sm_processing_task(**valid)
        def second(folder, result):
            return [folder, result]

        made = first(ProcessingInput("s3://raw/{{ ds }}/"))
        second.partial(folder=1).expand_kwargs(made.map(lambda item: {"result": item}))
        second.partial(result=made).expand(folder=[ProcessingInput(made["table"]), ProcessingInput("s3://mapped/x")])
    outputs = f"arn:aws:s3:::{BUCKET}/a-dag-*-????????????-*/output"
    role = needed(dag, job_role_statements)
    caller = needed(dag, caller_statements)
    assert role["ReadInputs"] == [
        "arn:aws:s3:::mapped/x*",
        "arn:aws:s3:::raw/*/*",
        f"{outputs}/outcome*",  # a large result
        f"{outputs}/table/*",
        f"arn:aws:s3:::{BUCKET}/a-dag-*-????????????/input/*",
    ]
    assert role["WriteOutputs"] == [f"{outputs}/outcome/*", f"{outputs}/table/*"]
    assert caller["ReadResults"] == [f"{outputs}/outcome/*"]
    assert caller["UploadLocalFiles"] == [f"arn:aws:s3:::{BUCKET}/a-dag-*-????????????/input/*"]


def test_result_files_are_read_by_the_task(dag, valid):
    with dag:

        @sm_processing_task(
            outputs=[ProcessingOutput("/opt/ml/processing/o", "s3://results/o", "o")],
            result_files={"sizes": "o/sizes.json"},
            output_kms_key="a-key",
            **valid,
        )
        def use():
            return None

        use()
    caller = needed(dag, caller_statements)
    outcome = f"arn:aws:s3:::{BUCKET}/a-dag-*-????????????-*/output/outcome/*"
    assert caller["ReadResults"] == ["arn:aws:s3:::results/o/*", outcome]
    assert caller["DecryptResults"] == ["arn:aws:kms:eu-west-1:123456789012:key/a-key"]
