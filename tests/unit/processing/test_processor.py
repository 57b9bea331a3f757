from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.exceptions import DefinitionError, JobFailedError
from airflow_sm_processing.processing import (
    InstancePreference,
    JobDefinition,
    NetworkConfig,
    ProcessingJob,
    ProcessingOutput,
    Processor,
    ScriptProcessor,
    Session,
)

from .makers import IMAGE, JOB_ARN, ROLE_ARN, an_input, an_output, definition, plan, response, script

if TYPE_CHECKING:
    from botocore.stub import Stubber

SMALLEST = {"role": ROLE_ARN, "image_uri": IMAGE, "instance_count": 1, "instance_type": "ml.m5.xlarge"}
OF_PROCESSOR: dict[str, Any] = {
    "role": "r",
    "image_uri": "i",
    "instance_count": 2,
    "instance_type": "t",
    "volume_size_in_gb": 3,
    "volume_kms_key": "v",
    "output_kms_key": "o",
    "max_runtime_in_seconds": 4,
    "base_job_name": "b",
    "env": {"A": "1"},
    "network_config": NetworkConfig(),
}
OF_RUN: dict[str, Any] = {
    "arguments": ["x"],
    "job_name": "n",
    "experiment_config": {"RunName": "r"},
    "kms_key": "k",
}


@pytest.fixture
def processor(session: Session) -> Processor:
    return Processor(**SMALLEST, sagemaker_session=session)


def created(stubs: dict[str, Stubber], request: dict[str, Any]) -> None:
    stubs["sagemaker"].add_response("create_processing_job", {"ProcessingJobArn": JOB_ARN}, request)


def test_one_preferred_instance_type_may_be_a_string(session: Session) -> None:
    processor = Processor(**SMALLEST, instance_preferences="ml.m5.large", sagemaker_session=session)
    assert processor.instance_preferences == (InstancePreference("ml.m5.large"),)


def test_a_definition_has_every_parameter_of_the_processor_and_of_the_run(session: Session) -> None:
    processor = Processor(
        **OF_PROCESSOR,
        entrypoint=["e"],
        tags={"team": "a"},
        instance_preferences=["p", {"instance_type": "q", "instance_count": 5}, InstancePreference("s")],
        sagemaker_session=session,
    )

    defined = processor.define(inputs=[an_input()], outputs=["/out", an_output()], **OF_RUN)

    assert defined == JobDefinition(
        **OF_PROCESSOR,
        **OF_RUN,
        entrypoint=["e"],
        tags=[{"Key": "team", "Value": "a"}],
        instance_preferences=(InstancePreference("p"), InstancePreference("q", 5), InstancePreference("s")),
        inputs=(an_input(),),
        outputs=(ProcessingOutput("/out"), an_output()),
    )


def test_a_scripts_definition_has_its_code_and_command(session: Session) -> None:
    processor = ScriptProcessor(**OF_PROCESSOR, command=["python3"], sagemaker_session=session)

    assert processor.define_script("run.py", script_name="a.py", **OF_RUN) == JobDefinition(
        **OF_PROCESSOR, **OF_RUN, command=["python3"], code="run.py", script_name="a.py"
    )


def test_every_field_of_a_definition_is_a_parameter_somewhere() -> None:
    """A new field that no processor takes would be noticed here."""
    of_scripts = {"entrypoint", "code", "script_name", "command", "inputs", "outputs", "tags", "instance_preferences"}

    of_sources = {"source_dir", "dependencies", "requirements", "code_location", "is_framework"}
    of_sources |= {"git_config", "codeartifact_repo_arn"}

    fields = {field.name for field in dataclasses.fields(JobDefinition)}
    assert fields == {*OF_PROCESSOR, *OF_RUN, *of_scripts, *of_sources, "image", "spark"}


def test_running_changes_nothing_of_the_callers(session: Session, stubs: dict[str, Stubber]) -> None:
    given: dict[str, Any] = {
        "inputs": [an_input(), an_input(destination="/opt/ml/processing/b")],
        "outputs": ["/opt/ml/processing/out", an_output(destination=None, source="/opt/ml/processing/out2")],
        "arguments": ["--n", "5"],
        "experiment_config": {"RunName": "r"},
    }
    ours: dict[str, Any] = {
        "env": {"A": "1"},
        "tags": [{"Key": "a", "Value": "1"}],
        "command": ["python3"],
        "network_config": NetworkConfig(subnets=["subnet-1"], security_group_ids=["sg-1"]),
    }
    before = copy.deepcopy((given, ours))
    stubs["sagemaker"].add_response("create_processing_job", {"ProcessingJobArn": JOB_ARN})
    processor = ScriptProcessor(**SMALLEST, **ours, sagemaker_session=session)

    job = processor.run("s3://code/run.py", **given, wait=False, logs=False)

    assert (given, ours) == before
    assert [item.input_name for item in job.inputs] == ["input-1", "input-2", "code"]


def test_a_run_without_waiting_returns_at_submission(processor: Processor, stubs: dict[str, Stubber]) -> None:
    created(stubs, plan(definition()).request)

    job = processor.run(job_name="job", wait=False, logs=False)

    assert (job.job_name, job.job_arn, processor.jobs, processor.latest_job) == ("job", JOB_ARN, [job], job)


def test_logs_of_a_run_that_is_not_waited_for_are_refused_before_anything_is_called(processor: Processor) -> None:
    with pytest.raises(DefinitionError) as caught:
        processor.run(wait=False, logs=True)

    assert [problem.parameter for problem in caught.value.problems] == ["logs"]
    assert (processor.jobs, processor.latest_job) == ([], None)


def test_a_run_waits_for_success(processor: Processor, stubs: dict[str, Stubber]) -> None:
    created(stubs, plan(definition()).request)
    stubs["sagemaker"].add_response("describe_processing_job", response(ProcessingJobStatus="Completed"))

    job = processor.run(job_name="job", logs=False)

    assert processor.latest_job is job


def test_a_run_that_fails_raises_and_keeps_its_job(processor: Processor, stubs: dict[str, Stubber]) -> None:
    created(stubs, plan(definition()).request)
    stubs["sagemaker"].add_response("describe_processing_job", response(ProcessingJobStatus="Failed"))
    stubs["logs"].add_response("describe_log_streams", {"logStreams": []})

    with pytest.raises(JobFailedError):
        processor.run(job_name="job", logs=False)

    assert [job.job_name for job in processor.jobs] == ["job"]


def test_a_script_runs_by_its_command(session: Session, stubs: dict[str, Stubber]) -> None:
    created(stubs, plan(script()).request)
    processor = ScriptProcessor(**SMALLEST, command=["python3"], sagemaker_session=session)

    job = processor.run("s3://code/run.py", job_name="job", wait=False, logs=False)

    assert [item.input_name for item in job.inputs] == ["code"]


def test_a_job_can_be_started_as_the_sdk_starts_it(processor: Processor, stubs: dict[str, Stubber]) -> None:
    created(stubs, plan(definition(inputs=(an_input(),), experiment_config={"RunName": "r"})).request)

    job = ProcessingJob.start_new(processor, [an_input()], None, {"RunName": "r"}, job_name="job")

    assert job.inputs == [an_input(input_name="input-1")]


def test_without_a_session_it_makes_its_own() -> None:
    assert isinstance(Processor(**SMALLEST).sagemaker_session, Session)
