"""Spark's options, inputs and files, and what is said of mistakes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.exceptions import DefinitionError, UploadError
from airflow_sm_processing.iam.plan import create_operation
from airflow_sm_processing.processing import PySparkProcessor, Session, SparkJarProcessor
from airflow_sm_processing.processing.definition import DEFINITION_PARAMETERS, JobDefinition, submitted_uris
from airflow_sm_processing.processing.request import default_keys, plan_submission
from airflow_sm_processing.processing.spark import SparkSubmission
from airflow_sm_processing.processing.validation import check_definition

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_sm_processing.processing.request import SubmissionPlan

SECRET = "hunter2"
GIVEN: dict[str, Any] = {"role": "R", "image_uri": "spark", "instance_count": 1, "instance_type": "ml.m5.xlarge"}


@pytest.fixture
def processor(session: Session) -> PySparkProcessor:
    return PySparkProcessor(**GIVEN, sagemaker_session=session)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("app.py", "lib/a.py", "lib/b.py", "other/a.py", "one.jar"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(definition: JobDefinition, upload_key: str | None = None) -> SubmissionPlan:
    return plan_submission(definition, role_arn="r", key=default_keys("b", None), upload_key=upload_key)


def problems_of(definition: JobDefinition) -> dict[str, str]:
    with pytest.raises(DefinitionError) as raised:
        check_definition(definition, create_operation())
    return {problem.parameter: problem.rule for problem in raised.value.problems}


def test_the_definitions_parameters_are_the_submissions_fields() -> None:
    assert set(DEFINITION_PARAMETERS) >= {*SparkSubmission().__dict__, "submit_app"}


def test_a_definition_that_is_read_again_is_the_same(processor: PySparkProcessor) -> None:
    from airflow_sm_processing.processing.definition import DefinitionReader

    first = processor.define_application(
        "s3://b/app.py",
        submit_jars=["one.jar", "s3://b/a.jar"],
        configuration={"Classification": "hive-site", "Properties": {"a": 1}},
        spark_event_logs_s3_uri="s3://b/events",
    )
    reader = DefinitionReader()
    again = reader.read({name: getattr(first, name, None) for name in DEFINITION_PARAMETERS})
    assert (again, reader.problems) == (first, [])
    assert len(again.outputs) == 1


@pytest.mark.usefixtures("folder")
def test_what_is_uploaded_in_a_task_follows_from_its_content(processor: PySparkProcessor) -> None:
    given: dict[str, Any] = {
        "submit_py_files": ["lib/a.py", "lib/b.py"],
        "submit_jars": ["one.jar"],
        "configuration": {"Classification": "spark-defaults", "Properties": {"a": "1"}},
        "job_name": "one",
    }

    def uris(**changes: Any) -> list[str]:
        plan = planned(processor.define_application("app.py", **given | changes), "key")
        return [item["S3Input"]["S3Uri"] for item in plan.request["ProcessingInputs"]]

    first = uris()
    assert first == uris(job_name="two", submit_py_files=["lib/b.py", "lib/a.py"])
    assert all(uri.startswith("s3://b/key/input/") for uri in first)
    assert [uri.partition("/input/")[2].partition("/")[2] for uri in first] == [
        "py-files/",
        "jars/",
        "conf/configuration.json",
        "code/app.py",
    ]
    other = uris(
        submit_py_files=["lib/a.py"], configuration={"Classification": "spark-defaults", "Properties": {"a": "2"}}
    )
    assert [one == two for one, two in zip(first, other, strict=True)] == [False, True, False, True]


def test_files_are_uploaded_from_where_they_are(processor: PySparkProcessor, folder: Path) -> None:
    uploads = planned(processor.define_application("app.py", submit_files=["other", "lib/a.py"])).uploads
    with uploads[0].local() as (path, content):
        assert path == folder
        assert content is not None
        assert [(file.name, file.path) for file in content.files] == [
            ("a.py", "lib/a.py"),
            ("other/a.py", "other/a.py"),
        ]


@pytest.mark.usefixtures("folder")
def test_the_configuration_is_there_while_it_is_uploaded(processor: PySparkProcessor) -> None:
    configuration = [{"Classification": "core-site", "Properties": {"ü": True}}]
    plan = planned(processor.define_application("app.py", configuration=configuration))
    with plan.uploads[0].local() as (path, content):
        assert content is None
        assert json.loads((path / "configuration.json").read_text()) == configuration
    assert not path.exists()


@pytest.mark.usefixtures("folder")
def test_all_mistakes_are_told_at_once_by_the_names_of_the_parameters(processor: PySparkProcessor) -> None:
    definition = processor.define_application(
        "no.py",
        submit_class="",
        submit_py_files=["no.zip", "hdfs://cluster/a.py", ""],
        submit_jars=["s3://", "s3a://b/a,b.jar", "s3:///no-bucket.jar"],
        submit_files=["lib/a.py"],
        spark_event_logs_s3_uri="events",
        configuration={"Classification": "core", "Properties": {"a": object()}, "More": SECRET},
        inputs=[{"source": "s3://b/i", "destination": "/opt/ml/processing/input/files", "input_name": "files"}],
    )
    found = problems_of(definition)
    assert {
        "submit_app",
        "submit_class",
        "submit_py_files[0]",
        "submit_py_files[1]",
        "submit_py_files[2]",
        "submit_jars[0]",
        "submit_jars[1]",
        "submit_jars[2]",
        "spark_event_logs_s3_uri",
        "configuration.Classification",
        "configuration.More",
        "configuration.Properties['a']",
        "inputs[…].input_name",
    } <= found.keys()


@pytest.mark.usefixtures("folder")
def test_a_word_that_is_too_long_is_told_by_its_parameter(processor: PySparkProcessor) -> None:
    uris = [f"s3://bucket/{'a' * 100}/{number}.jar" for number in range(3)]
    assert [*problems_of(processor.define_application("app.py", submit_jars=uris))] == ["submit_jars"]
    assert [*problems_of(processor.define_application(f"s3://b/{'a' * 250}.py"))] == ["submit_app"]


@pytest.mark.usefixtures("folder")
def test_two_files_of_one_name_are_a_mistake(processor: PySparkProcessor) -> None:
    definition = processor.define_application("app.py", submit_files=["lib/a.py", "other/a.py"])
    assert "a.py: lib/a.py and other/a.py" in problems_of(definition)["submit_files"]
    with pytest.raises(UploadError, match="Two files would have one place in the input files"):
        planned(definition, "key")


@pytest.mark.parametrize(
    "configuration",
    [
        SECRET,
        [SECRET],
        {"Classification": "hive-site", "Properties": SECRET},
        {"Classification": "hive-site", "Properties": {"key": {SECRET}}},
        {"Classification": "hive-site", "Configurations": SECRET},
    ],
)
def test_no_value_of_a_configuration_is_in_an_error(processor: PySparkProcessor, configuration: Any) -> None:
    with pytest.raises(DefinitionError) as raised:
        check_definition(processor.define_application("s3://b/a.py", configuration=configuration), create_operation())
    assert SECRET not in str(raised.value)


@pytest.mark.usefixtures("folder")
def test_the_places_in_s3_that_options_name_are_told(processor: PySparkProcessor) -> None:
    request = planned(
        processor.define_application(
            "s3://b/app.py", submit_jars=["s3a://b/a.jar", "one.jar"], submit_files=["s3://c/d"]
        )
    ).request
    assert [*submitted_uris(request["AppSpecification"]["ContainerEntrypoint"])] == ["s3://b/a.jar", "s3://c/d"]
    assert [*submitted_uris(["python3", "s3://b/a"])] == []


def test_a_version_of_python_needs_one_of_the_container(session: Session) -> None:
    with pytest.raises(DefinitionError, match="py_version='py39': is given without container_version"):
        PySparkProcessor(**{**GIVEN, "image_uri": None}, py_version="py39", sagemaker_session=session)


def test_a_history_server_is_refused_with_the_command_that_starts_one(session: Session) -> None:
    processor = SparkJarProcessor(**GIVEN, sagemaker_session=session)
    with pytest.raises(NotImplementedError, match="spark --event-logs-s3-uri s3://b/events"):
        processor.start_history_server("s3://b/events")
    with pytest.raises(NotImplementedError, match="docker stop history_server"):
        processor.terminate_history_server()
