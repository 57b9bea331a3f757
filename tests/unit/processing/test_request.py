"""The request for each parameter, present and absent, and the uploads."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.exceptions import UploadError
from airflow_sm_processing.processing import InstancePreference, NetworkConfig, ProcessingInput
from airflow_sm_processing.processing.request import Upload
from airflow_sm_processing.processing.uploads.files import read_content

from .makers import IMAGE, ROLE_ARN, an_input, an_output, definition, plan, script
from .queries import query

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_sm_processing.processing import JobDefinition

CODE = "/opt/ml/processing/input/code"
SMALLEST = {
    "ProcessingJobName": "job",
    "ProcessingResources": {
        "ClusterConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30}
    },
    "AppSpecification": {"ImageUri": IMAGE},
    "RoleArn": ROLE_ARN,
}


def cluster(**changes: Any) -> dict[str, Any]:
    config = SMALLEST["ProcessingResources"]["ClusterConfig"] | changes  # type: ignore[index]
    return {"ProcessingResources": {"ClusterConfig": {name: value for name, value in config.items() if value}}}


def app(**changes: Any) -> dict[str, Any]:
    return {"AppSpecification": {"ImageUri": IMAGE, **changes}}


def test_the_smallest_request_has_nothing_that_was_not_given() -> None:
    assert plan(definition()).request == SMALLEST


PARAMETERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "volume_size_in_gb": ({"volume_size_in_gb": 100}, cluster(VolumeSizeInGB=100)),
    "volume_kms_key": ({"volume_kms_key": "key"}, cluster(VolumeKmsKeyId="key")),
    "instance_count": ({"instance_count": 3}, cluster(InstanceCount=3)),
    "entrypoint": ({"entrypoint": ("run", "-v")}, app(ContainerEntrypoint=["run", "-v"])),
    "arguments": ({"arguments": ("--n", "5")}, app(ContainerArguments=["--n", "5"])),
    "max_runtime_in_seconds": ({"max_runtime_in_seconds": 60}, {"StoppingCondition": {"MaxRuntimeInSeconds": 60}}),
    "env": ({"env": {"A": "1"}}, {"Environment": {"A": "1"}}),
    "tags": ({"tags": [{"Key": "a", "Value": "1"}]}, {"Tags": [{"Key": "a", "Value": "1"}]}),
    "network_config": ({"network_config": NetworkConfig()}, {"NetworkConfig": {"EnableNetworkIsolation": False}}),
    "experiment_config": ({"experiment_config": {"RunName": "r"}}, {"ExperimentConfig": {"RunName": "r"}}),
    "inputs": (
        {"inputs": (an_input(), query(), an_input(input_name="named"))},
        {
            "ProcessingInputs": [
                an_input(input_name="input-1").to_boto(),
                {**query().to_boto(), "InputName": "input-2"},
                an_input(input_name="named").to_boto(),
            ]
        },
    ),
    "outputs": (
        {"outputs": (an_output(), an_output(destination=None))},
        {
            "ProcessingOutputConfig": {
                "Outputs": [
                    an_output(output_name="output-1").to_boto(),
                    an_output(output_name="output-2", destination="s3://bucket/job/output/output-2").to_boto(),
                ]
            }
        },
    ),
    "output_kms_key": (
        {"outputs": (an_output(output_name="a"),), "output_kms_key": "key"},
        {"ProcessingOutputConfig": {"Outputs": [an_output(output_name="a").to_boto()], "KmsKeyId": "key"}},
    ),
    "output_kms_key without outputs": ({"output_kms_key": "key"}, {}),
    "empty lists and dicts": ({"arguments": [], "entrypoint": [], "tags": [], "experiment_config": {}}, {}),
    "instance_preferences": (
        {
            "instance_type": None,
            "instance_count": None,
            "instance_preferences": (InstancePreference("ml.m5.large", 2), InstancePreference("ml.m5.xlarge")),
        },
        cluster(
            InstanceType=None,
            InstanceCount=None,
            InstancePreferences=[
                {"InstanceType": "ml.m5.large", "InstanceCount": 2},
                {"InstanceType": "ml.m5.xlarge"},
            ],
        ),
    ),
    "kms_key is of the uploads": ({"kms_key": "key"}, {}),
}


@pytest.mark.parametrize(("given", "sent"), PARAMETERS.values(), ids=PARAMETERS.keys())
def test_each_parameter_has_its_place_in_the_request(given: dict[str, Any], sent: dict[str, Any]) -> None:
    assert plan(definition(**given)).request == SMALLEST | sent


def test_an_empty_environment_is_sent_as_the_sdk_sends_it() -> None:
    assert plan(definition(env={})).request == SMALLEST | {"Environment": {}}


def test_a_script_in_s3_is_the_last_input_and_ends_the_entrypoint() -> None:
    planned = plan(script(code="s3://code/a/run.py", command=["python3", "-u"], inputs=(an_input(),)))

    assert planned.request["AppSpecification"]["ContainerEntrypoint"] == ["python3", "-u", f"{CODE}/run.py"]
    assert planned.inputs == (an_input(input_name="input-1"), ProcessingInput("s3://code/a/run.py", CODE, "code"))
    assert planned.uploads == ()


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_local_script_is_uploaded_beside_the_job(tmp_path: Path, scheme: str) -> None:
    file = tmp_path / "run.py"
    file.touch()

    planned = plan(script(code=f"{scheme}{file}"), prefix="team/")

    assert planned.uploads == (Upload(file, "s3://bucket/team/job/input/code"),)
    assert planned.inputs == (ProcessingInput("s3://bucket/team/job/input/code/run.py", CODE, "code"),)
    assert planned.request["AppSpecification"]["ContainerEntrypoint"] == ["python3", f"{CODE}/run.py"]


@pytest.mark.parametrize("code", ["{}", "{}/", "file://{}"])
def test_a_code_folder_is_uploaded_whole(tmp_path: Path, code: str) -> None:
    planned = plan(script(code=code.format(tmp_path), script_name="jobs/run.py"))

    assert planned.uploads == (Upload(tmp_path, "s3://bucket/job/input/code", is_code=True),)
    assert planned.inputs == (ProcessingInput("s3://bucket/job/input/code/", CODE, "code"),)
    assert planned.request["AppSpecification"]["ContainerEntrypoint"] == ["python3", f"{CODE}/jobs/run.py"]


def test_local_inputs_are_uploaded_under_their_names(tmp_path: Path) -> None:
    file = tmp_path / "a b.csv"
    file.touch()
    inputs = (
        an_input(source=str(file)),
        an_input(source=str(tmp_path), input_name="folder"),
        an_input(source=f"file://{tmp_path}/a%20b.csv", input_name="uri"),
    )

    planned = plan(definition(inputs=inputs))

    assert planned.uploads == (
        Upload(file, "s3://bucket/job/input/input-1"),
        Upload(tmp_path, "s3://bucket/job/input/folder"),
        Upload(file, "s3://bucket/job/input/uri"),
    )
    assert planned.inputs == (
        an_input(source="s3://bucket/job/input/input-1/a b.csv", input_name="input-1"),
        an_input(source="s3://bucket/job/input/folder/", input_name="folder"),
        an_input(source="s3://bucket/job/input/uri/a b.csv", input_name="uri"),
    )


def test_with_an_upload_key_local_files_go_where_only_their_content_is(tmp_path: Path) -> None:
    file = tmp_path / "run.py"
    file.write_text("pass")
    inputs = (an_input(source=str(tmp_path)), an_input(source=str(file), input_name="file"))

    planned = plan(script(code=str(file), inputs=inputs), prefix="team", upload_key="base-0a1b")

    uploads = []
    for path, name in ((tmp_path, "input-1"), (file, "file"), (file, "code")):
        content = read_content(path, "", name)
        uploads.append(Upload(path, f"s3://bucket/team/base-0a1b/input/{content.digest}/{name}", content))
    assert planned.uploads == tuple(uploads)
    folder, one, code = (upload.s3_uri for upload in uploads)
    assert planned.inputs == (
        an_input(source=f"{folder}/", input_name="input-1"),
        an_input(source=f"{one}/run.py", input_name="file"),
        ProcessingInput(f"{code}/run.py", CODE, "code"),
    )


def places(job: JobDefinition) -> list[str]:
    return [upload.s3_uri for upload in plan(job, upload_key="base-0a1b").uploads]


def test_the_place_follows_from_the_content_and_not_from_the_jobs_name(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("1")
    one, two = (definition(job_name=name, inputs=(an_input(source=str(tmp_path)),)) for name in ("one", "two"))
    before = places(one)

    assert places(two) == before
    (tmp_path / "x").write_text("2")
    assert places(one) != before


def test_each_kms_key_has_a_place_of_its_own(tmp_path: Path) -> None:
    """An object keeps the key that it was stored with."""
    (tmp_path / "x").write_text("1")
    found = {places(definition(inputs=(an_input(source=str(tmp_path)),), kms_key=key))[0] for key in (None, "a", "b")}

    assert len(found) == 3


def test_no_input_reads_what_belongs_to_another_whose_name_begins_alike(tmp_path: Path) -> None:
    """SageMaker reads every key that begins with an input's URI."""
    (tmp_path / "x").write_text("1")
    inputs = tuple(an_input(source=str(tmp_path), input_name=name) for name in ("train", "train2"))

    one, two = places(definition(inputs=inputs))
    assert not two.startswith(one)


def test_a_file_that_cannot_be_read_for_its_place_is_an_upload_error(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("absent")

    with pytest.raises(UploadError, match="link: No such file or directory"):
        places(definition(inputs=(an_input(source=str(tmp_path)),)))


def test_the_default_bucket_is_asked_for_only_where_it_is_needed() -> None:
    from airflow_sm_processing.processing.request import plan_submission

    asked: list[tuple[str, ...]] = []
    job = script(inputs=(an_input(), query()), outputs=(an_output(), an_output(source=None, destination=None)))

    plan_submission(job, role_arn=ROLE_ARN, key=lambda *parts: str(asked.append(parts)))

    assert asked == []


def test_a_name_is_made_of_the_base_name_or_of_the_images() -> None:
    names = [
        plan(definition(job_name=None, base_job_name=base)).job_name.partition("-20")[0] for base in (None, "my_job")
    ]

    assert names == ["sklearn", "my-job"]


def test_the_definition_and_what_it_was_made_of_stay_as_they_are(tmp_path: Path) -> None:
    job = script(
        code=str(tmp_path),
        script_name="run.py",
        entrypoint=["a"],
        arguments=["b"],
        env={"A": "1"},
        tags=[{"Key": "a", "Value": "1"}],
        network_config=NetworkConfig(subnets=["subnet-1"], security_group_ids=["sg-1"]),
        experiment_config={"RunName": "r"},
        inputs=(an_input(source=str(tmp_path)), query()),
        outputs=(an_output(destination=None),),
    )
    before = copy.deepcopy(job)

    request = plan(job).request
    for part in (request["Environment"], request["Tags"][0], request["NetworkConfig"]["VpcConfig"]):
        part.clear()
    request["AppSpecification"]["ContainerArguments"].clear()

    assert job == before
