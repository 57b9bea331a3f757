"""What a task would ask of AWS, said without asking."""

from __future__ import annotations

import json

import pytest
from airflow.sdk import DAG, task

from airflow_sm_processing import ProcessingInput, ProcessingOperator, ProcessingOutput, ScriptProcessingOperator
from airflow_sm_processing.cli.commands import moment
from airflow_sm_processing.cli.dry_run import RunFields, rendered
from airflow_sm_processing.operators.attempt import TaskDefinitionError

DAY = moment("2026-01-31")
SECRET = "a-password-of-ours"


@pytest.fixture(autouse=True)
def no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any call to AWS would fail: there are no credentials, and nothing listens where it would go."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AIRFLOW__SM_PROCESSING__DEPLOYMENT", "tests")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def planned(dag: DAG, task_id: str = "task", *, map_index: int = -1, **how: bool):
    with rendered(dag, task_id, RunFields("a_run", DAY, map_index)) as (rendered_task, context):
        return rendered_task.plan(context, **how)


def test_it_has_the_whole_request_under_the_first_name(dag, task_factory, tmp_path):
    (tmp_path / "data.csv").write_text("1,2")
    task_factory(
        inputs=[ProcessingInput(str(tmp_path / "data.csv"), "/opt/ml/processing/in")],
        outputs=[ProcessingOutput("/opt/ml/processing/out", output_name="out")],
        arguments=["--day", "{{ ds }}"],
        tags={"team": "ours"},
    )
    plan = planned(dag)
    name = plan["request"]["ProcessingJobName"]
    stem = name.removesuffix("-1")
    (upload,) = plan["uploads"]
    bucket = "s3://sagemaker-eu-west-1-123456789012"
    assert plan["unknown"] == []
    assert plan["request"]["AppSpecification"]["ContainerArguments"] == ["--day", "2026-01-31"]
    assert plan["request"]["ProcessingInputs"][0]["S3Input"]["S3Uri"] == upload["s3_uri"]
    assert upload["s3_uri"].startswith(f"{bucket}/{stem}/input/")
    assert (upload["path"], upload["bytes"]) == (str(tmp_path / "data.csv"), 3)
    output = plan["request"]["ProcessingOutputConfig"]["Outputs"][0]
    assert output["S3Output"]["S3Uri"] == f"{bucket}/{name}/output/out"
    assert plan["request"]["Tags"] == [
        {"Key": "team", "Value": "ours"},
        {"Key": "airflow:life", "Value": "0/0/"},
        {"Key": "airflow:deployment", "Value": "tests"},
        {"Key": "airflow:dag-id", "Value": "a_dag"},
        {"Key": "airflow:run-id", "Value": "a_run"},
        {"Key": "airflow:task-id", "Value": "task"},
        {"Key": "airflow:map-index", "Value": "-1"},
        {"Key": "airflow:try-number", "Value": "1"},
    ]
    assert json.loads(json.dumps(plan)) == plan


def test_what_only_aws_knows_is_named(dag, task_factory, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    task_factory(role="SageMakerRole", outputs=["/opt/ml/processing/out"])
    plan = planned(dag)
    assert [item["value"] for item in plan["unknown"]] == [
        "<account>",
        "<region>",
        "arn:aws:iam::<account>:role/SageMakerRole",
    ]


def test_an_environment_is_hidden_unless_it_is_asked_for(dag, task_factory):
    task_factory(env={"PASSWORD": SECRET, "SIZE": 3})
    plan = planned(dag)
    assert plan["request"]["Environment"] == {"PASSWORD": "***", "SIZE": "***"}
    assert SECRET not in json.dumps(plan)
    assert planned(dag, show_env=True)["request"]["Environment"] == {"PASSWORD": SECRET, "SIZE": "3"}


def test_outputs_of_other_tasks_are_placeholders_that_name_them(dag, task_factory):
    with dag:

        @task
        def extract():
            return "s3://bucket/key"

        data = extract()
    upstream = task_factory(task_id="upstream", outputs=[ProcessingOutput("/opt/ml/processing/o", output_name="train")])
    task_factory(
        inputs=[
            ProcessingInput(upstream.output["train"], "/opt/ml/processing/a"),
            ProcessingInput(data, "/opt/ml/processing/b"),
        ],
        arguments=["{{ ti.xcom_pull('upstream')['outputs']['train'] }}", "{{ var.value.size }}"],
        env={"TOKEN": "{{ conn.warehouse.password }}"},
    )
    request = planned(dag, show_env=True)["request"]
    assert [item["S3Input"]["S3Uri"] for item in request["ProcessingInputs"][:2]] == [
        "s3://<output train of task upstream>/",
        "s3://<return_value of task extract>",
    ]
    assert request["AppSpecification"]["ContainerArguments"] == [
        "s3://<output train of task upstream>",
        "<variable size>",
    ]
    assert request["Environment"] == {"TOKEN": "<password of connection warehouse>"}


def test_a_mapped_task_is_planned_by_its_index(dag, valid):
    with dag:

        @task
        def sizes():
            return [["1"], ["2"]]

        ScriptProcessingOperator.partial(task_id="known", **valid).expand(arguments=[["a"], ["b"]])
        ScriptProcessingOperator.partial(task_id="late", **valid).expand(arguments=sizes())
    assert planned(dag, "known", map_index=1)["request"]["AppSpecification"]["ContainerArguments"] == ["b"]
    late = planned(dag, "late", map_index=1)["request"]
    assert late["AppSpecification"]["ContainerArguments"] == ["<return_value of task sizes>"]
    with pytest.raises(LookupError, match="--map-index"):
        planned(dag, "known")


def test_what_mapped_tasks_leave_is_planned_by_one_placeholder_for_each(dag, valid, task_factory):
    outputs = [ProcessingOutput("/opt/ml/processing/o", output_name="o")]
    mapped = ScriptProcessingOperator.partial(task_id="mapped", outputs=outputs, **valid).expand(arguments=[["a"]])
    place = "s3://<output o of task mapped>"
    task_factory(
        arguments=mapped.output["o"],
        inputs=mapped.output.map(
            lambda result: {"source": result["outputs"]["o"], "destination": "/opt/ml/processing/in"}
        ),
    )
    task_factory(task_id="source", inputs=[ProcessingInput(mapped.output["o"], "/opt/ml/processing/in")])
    request = planned(dag)["request"]
    assert request["AppSpecification"]["ContainerArguments"] == [place]
    assert request["ProcessingInputs"][0]["S3Input"]["S3Uri"].rstrip("/") == place
    (numbered, _) = planned(dag, "source")["request"]["ProcessingInputs"]
    assert numbered["S3Input"]["LocalPath"] == "/opt/ml/processing/in/0"


def test_what_is_wrong_with_the_task_is_told(dag, task_factory):
    task_factory(instance_type="{{ 'ml.none' }}")
    with pytest.raises(TaskDefinitionError, match=r"instance_type='ml.none'"):
        planned(dag)


def test_a_task_says_how_it_is_planned_in_any_partition(dag, valid):
    valid |= {"role": "arn:aws-cn:iam::123456789012:role/R", "region_name": "cn-north-1"}
    ProcessingOperator(task_id="task", dag=dag, **{key: value for key, value in valid.items() if key != "code"})
    resources = [
        resource
        for side in planned(dag)["permissions"].values()
        for item in side
        for resource in item["Resource"]
        if resource != "*" and ":ecr:" not in resource
    ]
    assert resources
    assert {resource.split(":")[1] for resource in resources} == {"aws-cn"}


IMAGE = {"image": "sklearn:1.4-2", "image_uri": None}


def test_an_images_short_form_is_resolved_for_the_region(dag, task_factory):
    task_factory(**IMAGE)
    plan = planned(dag)
    uri = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
    assert plan["request"]["AppSpecification"]["ImageUri"] == uri
    assert plan["request"]["ProcessingJobName"].startswith("a-dag-task-")
    pulled = "arn:aws:ecr:eu-west-1:141502667606:repository/sagemaker-scikit-learn"
    assert pulled in str(plan["permissions"]["job_role"])
    assert plan["unknown"] == []


def test_an_images_short_form_stays_where_the_region_is_not_known(dag, task_factory, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    task_factory(**IMAGE)
    plan = planned(dag)
    assert plan["request"]["AppSpecification"]["ImageUri"] == "sklearn:1.4-2"
    unknown = {"value": "sklearn:1.4-2", "is": "the image's URI in the region of the connection"}
    assert unknown in plan["unknown"]


def test_a_wrong_image_is_an_error_of_the_plan(dag, task_factory):
    task_factory(image="sklearn:1.5-1", image_uri=None)
    with pytest.raises(TaskDefinitionError, match=r"image='sklearn:1\.5-1': sklearn has no such version; the nearest"):
        planned(dag)


def test_defaults_are_planned_with_their_origins_and_without_credentials(dag, task_factory, tmp_path, monkeypatch):
    """A connection that assumes a role would ask AWS for its credentials."""
    path = tmp_path / "config.yaml"
    path.write_text("SageMaker: {ProcessingJob: {RoleArn: 'arn:aws:iam::123456789012:role/Default'}}")
    section = {"ProcessingResources": {"ClusterConfig": {"VolumeKmsKeyId": "a-key"}}}
    extra = {
        "role_arn": "arn:aws:iam::123456789012:role/Assumed",
        "sagemaker_config": {"SageMaker": {"ProcessingJob": section}},
    }
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws", "extra": extra}))
    monkeypatch.setenv("AIRFLOW__SM_PROCESSING__SAGEMAKER_CONFIG", str(path))
    task_factory(role=None)
    plan = planned(dag)
    assert plan["request"]["RoleArn"] == "arn:aws:iam::123456789012:role/Default"
    assert plan["request"]["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] == "a-key"
    assert plan["defaults"] == {"role": str(path), "volume_kms_key": "connection aws_default"}


def test_many_outputs_of_other_tasks_are_planned_as_if_they_were_in_one_bucket(dag, task_factory):
    outputs = [ProcessingOutput("/opt/ml/processing/o", output_name="o")]
    upstream = [task_factory(task_id=f"up-{number}", outputs=outputs) for number in range(10)]
    task_factory(inputs=[ProcessingInput(up.output["o"], f"/opt/ml/processing/{up.task_id}") for up in upstream])
    plan = planned(dag)
    assert plan["request"]["ProcessingInputs"][0]["InputName"] == "airflow-inputs-1"
    assert "<output o of task up-9>" in str(plan["permissions"]["job_role"])


def test_more_inputs_than_sagemaker_takes_are_planned_without_a_listing(dag, task_factory):
    inputs = [ProcessingInput(f"s3://raw/{number}", f"/opt/ml/processing/in/{number}") for number in range(12)]
    task_factory(inputs=inputs)
    plan = planned(dag)
    assert [item["InputName"] for item in plan["request"]["ProcessingInputs"]] == [
        "airflow-inputs-1",
        "code",
        "airflow-command",
    ]
    stem = plan["request"]["ProcessingJobName"].removesuffix("-1")
    place = f"sagemaker-eu-west-1-123456789012/{stem}/input/<digest>"
    assert plan["uploads"] == [
        {"path": "manifest.json", "s3_uri": f"s3://{place}/airflow-inputs-1", "bytes": None},
        {"path": "command.sh", "s3_uri": f"s3://{place}/airflow-command", "bytes": None},
    ]
    reason = "the digest of manifests: S3 says which objects the inputs have"
    assert plan["unknown"][0] == {"value": "<digest>", "is": reason}
    assert [item["value"] for item in plan["unknown"][1:]] == [f"s3://raw/{number}" for number in range(12)]
    caller, role = ({item["Sid"]: item for item in plan["permissions"][whose]} for whose in ("caller", "job_role"))
    prefixes = {"StringLike": {"s3:prefix": sorted(f"{number}*" for number in range(10))}}
    assert caller["ListInputsForManifests"]["Condition"] == prefixes
    objects = {f"arn:aws:s3:::raw/{number}*" for number in range(10)}
    manifest, command = (f"arn:aws:s3:::{place}/{name}" for name in ("airflow-inputs-1", "airflow-command"))
    assert {*objects, f"{manifest}/manifest.json*", f"{command}/command.sh*"} < {*role["ReadInputs"]["Resource"]}


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"code": "lost/run.py"}, "code='lost/run.py': no such file or folder: {folder}/lost/run.py"),
        ({"code": "run.py", "source_dir": "srcs"}, "source_dir='srcs': no such file or folder: {folder}/srcs"),
        (
            {"code": "run.py", "dependencies": ["lib"]},
            "dependencies[0]='lib': no such file or folder: {folder}/lib",
        ),
        (
            {"code": "/absent/run.py"},
            "code='/absent/run.py': no such file or folder: /absent/run.py",
        ),
    ],
)
def test_a_missing_path_is_quoted_as_it_was_written(tmp_path, parameters, problem):
    (tmp_path / "run.py").touch()
    with DAG("a_dag", schedule=None) as dag:
        dag.fileloc = str(tmp_path / "a_dag.py")
        ScriptProcessingOperator(
            task_id="task",
            role="arn:aws:iam::123456789012:role/SageMakerRole",
            image="sklearn:1.4-2",
            instance_type="ml.m5.large",
            instance_count=1,
            **parameters,
        )
    with pytest.raises(TaskDefinitionError) as raised:
        planned(dag)
    assert str(raised.value).splitlines()[1:] == [f"  - {problem.format(folder=tmp_path)}"]
    assert raised.value.__cause__ is None
