"""Each rule of a definition, the parameter that it names, and its words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.exceptions import DefinitionError, Problem
from airflow_sm_processing.processing import (
    FeatureStoreOutput,
    InstancePreference,
    ProcessingOutput,
)
from airflow_sm_processing.processing.validation import check_definition, wait_problems

from .broken_limits import BROKEN_LIMITS
from .broken_rules import BROKEN_RULES
from .makers import DESTINATION, an_input, an_output, definition, script
from .queries import REDSHIFT, query

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.model import OperationModel


def problems_of(job: Any, operation: OperationModel) -> list[tuple[str, str]]:
    with pytest.raises(DefinitionError) as caught:
        check_definition(job, operation)
    return [(problem.parameter, problem.rule) for problem in caught.value.problems]


VALID = {
    "smallest": definition(),
    "script": script(),
    "script in a prefix": script(code="s3://code/folder/", script_name="a/run.py"),
    "role name": definition(role="SageMakerRole"),
    "generated name": definition(job_name=None),
    "preferences": definition(
        instance_type=None,
        instance_count=None,
        instance_preferences=(InstancePreference("ml.m5.large", 2), InstancePreference("ml.m5.xlarge", 1)),
    ),
    "preferences with one count": definition(
        instance_type=None, instance_preferences=(InstancePreference("ml.m5.xlarge"),)
    ),
    "an input below another": definition(inputs=(an_input(), an_input(destination=f"{DESTINATION}/more"))),
    "gzip in a pipe": definition(inputs=(an_input(s3_compression_type="Gzip", s3_input_mode="Pipe"),)),
    "app-managed without a path": definition(inputs=(an_input(destination=None, app_managed=True),)),
    "Athena": definition(inputs=(query(),)),
    "Redshift": definition(inputs=(query(athena_dataset_definition=None, redshift_dataset_definition=REDSHIFT),)),
    "feature store": definition(
        outputs=(ProcessingOutput(feature_store_output=FeatureStoreOutput("group"), app_managed=True),)
    ),
    "empty lists": definition(arguments=[], entrypoint=[], tags=[], env={}, experiment_config={}),
    "other alphabets in tags": definition(tags=[{"Key": "équipe", "Value": "데이터 ²"}]),
}


@pytest.mark.parametrize("job", VALID.values(), ids=VALID.keys())
def test_what_the_service_takes_passes(job: Any, create_operation: OperationModel) -> None:
    assert check_definition(job, create_operation) is None


INVALID = BROKEN_LIMITS | BROKEN_RULES


@pytest.mark.parametrize(("job", "parameter", "rule"), INVALID.values(), ids=INVALID.keys())
def test_a_broken_rule_is_reported_once_under_the_users_name(
    job: Any, parameter: str, rule: str, create_operation: OperationModel
) -> None:
    assert problems_of(job, create_operation) == [(parameter, rule)]


def test_a_misspelt_instance_type_is_answered_with_the_nearest(create_operation: OperationModel) -> None:
    types = create_operation.service_model.shape_for("ProcessingInstanceType").enum
    nearest = "ml.m5.xlarge or ml.m5.4xlarge or ml.m5.2xlarge"

    assert problems_of(definition(instance_type="ml.m5.xlage"), create_operation) == [
        ("instance_type", f"is none of the {len(types)} values that SageMaker knows; did you mean {nearest}?")
    ]


def test_every_problem_is_reported_at_once(create_operation: OperationModel) -> None:
    job = script(
        role=None,
        code="/absent/run.py",
        instance_count=0,
        arguments=["a\nb"],
        env={"1": ""},
        inputs=(an_input(source="s3:///key"), an_input(s3_data_type="Table")),
        outputs=(an_output(source="out"),),
    )

    assert problems_of(job, create_operation) == [
        ("role", "is required, and no default has RoleArn"),
        ("inputs[0].source", "has no bucket"),
        ("outputs[0].source", "must be an absolute path in the container"),
        ("inputs[1].destination", "is the container path of inputs[0].destination as well"),
        ("code", "no such file or folder: /absent/run.py"),
        ("instance_count", "must be 1 to 100"),
        ("arguments[0]", "must match .*"),
        ("inputs[1].s3_data_type", "must be one of ManifestFile, S3Prefix"),
        ("env key '1'", "must match [a-zA-Z_][a-zA-Z0-9_]*"),
    ]


def test_a_problem_shows_what_the_user_wrote_instead_of_what_it_becomes(create_operation: OperationModel) -> None:
    job = script(role="bad role", code=f"s3://code/{'x' * 1024}")

    with pytest.raises(DefinitionError) as caught:
        check_definition(job, create_operation)

    assert {(problem.parameter, problem.value) for problem in caught.value.problems} >= {
        ("role", "bad role"),
        ("code", job.code),
    }


def test_what_the_caller_found_comes_first(create_operation: OperationModel) -> None:
    found = Problem("logs", "yes", "is odd")

    with pytest.raises(DefinitionError) as caught:
        check_definition(definition(instance_count=0), create_operation, extra=[found])

    assert caught.value.problems == (found, Problem("instance_count", 0, "must be 1 to 100"))


@pytest.mark.parametrize(
    ("wait", "logs", "problems"),
    [
        (True, True, []),
        (True, False, []),
        (False, False, []),
        (False, True, ["logs"]),
    ],
)
def test_logs_need_waiting(wait: bool, logs: bool, problems: list[str]) -> None:
    assert [problem.parameter for problem in wait_problems(wait=wait, logs=logs)] == problems


def test_local_files_and_folders_are_looked_at(tmp_path: Any, create_operation: OperationModel) -> None:
    (tmp_path / "run.py").touch()
    (tmp_path / "empty").mkdir()
    rows: list[tuple[Callable[..., Any], dict[str, Any], list[tuple[str, str]]]] = [
        (script, {"code": f"{tmp_path}/run.py"}, []),
        (script, {"code": f"file://{tmp_path}/run.py"}, []),
        (script, {"code": str(tmp_path), "script_name": "run.py"}, []),
        (definition, {"inputs": (an_input(source=f"{tmp_path}/run.py"),)}, []),
        (
            script,
            {"code": str(tmp_path)},
            [("script_name", f"code is a folder, {tmp_path}: set script_name to the file to run")],
        ),
        (
            script,
            {"code": str(tmp_path), "script_name": "other.py"},
            [("script_name", f"no such file or folder: {tmp_path}/other.py")],
        ),
        (
            script,
            {"code": f"{tmp_path}/run.py", "script_name": "other.py"},
            [("script_name", "code is one file, run.py: leave script_name out, or set code to its folder")],
        ),
        (
            script,
            {"code": f"{tmp_path}/runn.py"},
            [("code", f"no such file or folder: {tmp_path}/runn.py; did you mean {tmp_path}/run.py?")],
        ),
        (
            definition,
            {"inputs": (an_input(source=f"{tmp_path}/emty/deep/file.csv"),)},
            [
                (
                    "inputs[0].source",
                    f"no such file or folder: {tmp_path}/emty/deep/file.csv; did you mean {tmp_path}/empty?",
                )
            ],
        ),
        (
            definition,
            {"inputs": (an_input(source=f"{tmp_path}/empty"),)},
            [("inputs[0].source", f"the folder has no files: {tmp_path}/empty")],
        ),
    ]
    for make, changes, expected in rows:
        job = make(**changes)
        found = problems_of(job, create_operation) if expected else check_definition(job, create_operation) or []
        assert found == expected
