"""Every problem of a definition at once, before anything is uploaded or created."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_sm_processing.exceptions import DefinitionError, Problem
from airflow_sm_processing.processing.limits import request_problems
from airflow_sm_processing.processing.plan import default_keys, plan_submission
from airflow_sm_processing.processing.rules import definition_problems, local_file_problems
from airflow_sm_processing.processing.secrets import hidden
from airflow_sm_processing.processing.values import snake_case

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from botocore.model import OperationModel

    from airflow_sm_processing.processing.definition import JobDefinition

__all__ = ["check_definition"]

# Stand-ins for what only AWS knows; as long as the real ones.
_BUCKET = "sagemaker-us-east-1-123456789012"
_ROLE_ARN = "arn:aws:iam::123456789012:role/"

# How the request's paths are called by the user, longest first.
_PARAMETERS = (
    (r"ProcessingInputs(\[\d+\])\.S3Input\.S3Uri", r"inputs\1.source"),
    (r"ProcessingInputs(\[\d+\])\.S3Input\.LocalPath", r"inputs\1.destination"),
    (r"ProcessingInputs(\[\d+\])\.S3Input\.", r"inputs\1."),
    (r"ProcessingInputs", r"inputs"),
    (r"ProcessingOutputConfig\.Outputs(\[\d+\])\.S3Output\.S3Uri", r"outputs\1.destination"),
    (r"ProcessingOutputConfig\.Outputs(\[\d+\])\.S3Output\.LocalPath", r"outputs\1.source"),
    (r"ProcessingOutputConfig\.Outputs(\[\d+\])\.S3Output\.", r"outputs\1."),
    (r"ProcessingOutputConfig\.Outputs", r"outputs"),
    (r"ProcessingOutputConfig\.KmsKeyId", r"output_kms_key"),
    (r"ProcessingResources\.ClusterConfig\.VolumeKmsKeyId", r"volume_kms_key"),
    (r"ProcessingResources\.ClusterConfig\.VolumeSizeInGB", r"volume_size_in_gb"),
    (r"ProcessingResources\.ClusterConfig\.", r""),
    (r"AppSpecification\.ContainerEntrypoint", r"entrypoint"),
    (r"AppSpecification\.ContainerArguments", r"arguments"),
    (r"AppSpecification\.", r""),
    (r"Environment", r"env"),
    (r"NetworkConfig\.VpcConfig\.", r"network_config."),
    (r"StoppingCondition\.", r""),
    (r"ProcessingJobName", r"job_name"),
    (r"RoleArn", r"role"),
)


def check_definition(definition: JobDefinition, operation: OperationModel, *, extra: Iterable[Problem] = ()) -> None:
    """Check a definition without calling AWS.

    Args:
        definition: What is to be checked.
        operation: The service model of CreateProcessingJob, from the client that will send the request.
        extra: What the caller found by itself, to be reported along.

    Raises:
        DefinitionError: With every problem.
    """
    problems = [*extra, *definition_problems(definition), *local_file_problems(definition)]
    reported = {problem.parameter for problem in problems}
    problems += [problem for problem in _limit_problems(definition, operation) if problem.parameter not in reported]
    if problems:
        raise DefinitionError(problems, subject=str(definition.job_name or definition.base_job_name or "the job"))


def _limit_problems(definition: JobDefinition, operation: OperationModel) -> Iterator[Problem]:
    role = str(definition.role or "")
    role_arn = role if "/" in role else _ROLE_ARN + role
    plan = plan_submission(definition, role_arn=role_arn, key=default_keys(_BUCKET, None))
    for problem in request_problems(operation, plan.request):
        yield _as_written(problem._replace(parameter=_parameter(problem.parameter)), definition)


def _as_written(problem: Problem, definition: JobDefinition) -> Problem:
    """Tell of what the user wrote instead of what it becomes in the request."""
    if problem.parameter == "role":
        return problem._replace(value=definition.role)
    if problem.parameter == "env" or problem.parameter.startswith("env["):
        return problem._replace(value=hidden(problem.value))
    return problem if definition.code is None else _of_script(problem, definition)


def _of_script(problem: Problem, definition: JobDefinition) -> Problem:
    """Name the script's own input, and the words of its command, as the user knows them."""
    if problem.parameter == "inputs" and isinstance(problem.value, list):
        return problem._replace(rule=f"{problem.rule}: {len(definition.inputs)} of yours and the script's own")
    if problem.parameter.startswith(f"inputs[{len(definition.inputs)}]"):  # with_code puts it last
        return problem._replace(parameter="code", value=definition.code)
    if problem.parameter == f"entrypoint[{len(definition.command or ())}]":
        return problem._replace(parameter="script_name" if definition.script_name else "code")
    return problem._replace(parameter=re.sub("^entrypoint", "command", problem.parameter))


def _parameter(path: str) -> str:
    for pattern, name in _PARAMETERS:
        replaced, count = re.subn(f"^{pattern}", name, path)
        if count:
            path = replaced
            break
    return snake_case(path)
