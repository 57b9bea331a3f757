"""A git repository and a repository of packages among an operator's parameters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from airflow.sdk._shared.secrets_masker import redact, reset_secrets_masker

from airflow_sm_processing import ScriptProcessingOperator
from airflow_sm_processing.cli.commands import moment, shown
from airflow_sm_processing.cli.dag_policies import task_policies
from airflow_sm_processing.cli.dry_run import RunFields, rendered
from airflow_sm_processing.exceptions import DefinitionError
from airflow_sm_processing.iam.statements import job_role_statements, policy_document
from airflow_sm_processing.processing.request import UNKNOWN_DIGEST
from tests.task_runner import Runner, Supervisor, installed

if TYPE_CHECKING:
    from collections.abc import Iterator

JOB: dict[str, Any] = {
    "role": "arn:aws:iam::123456789012:role/SageMakerRole",
    "image_uri": "image",
    "instance_count": 1,
    "instance_type": "ml.m5.xlarge",
}
SECRET = "s3cret-of-ours"
GIT = {"repo": "https://git.example/team/{{ 'code' }}", "commit": "{{ 'ab' * 20 }}", "token": SECRET}
ARN = "arn:aws:codeartifact:us-east-1:210987654321:repository/our-domain/ours"


@pytest.fixture(autouse=True)
def no_aws_and_no_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any call would fail: nothing listens where it would go, and no git is found."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("PATH", "/nowhere")


@pytest.fixture
def runner() -> Iterator[Runner]:
    reset_secrets_masker()
    with installed(Supervisor()) as runner:
        yield runner
    reset_secrets_masker()


def make_dag(**parameters: Any) -> DAG:
    with DAG("a_dag") as dag:
        ScriptProcessingOperator(task_id="cloned", **JOB, **{"code": "main.py", "git_config": GIT, **parameters})
    return dag


def planned(dag: DAG, map_index: int = -1) -> dict[str, Any]:
    with rendered(dag, "cloned", RunFields("a_run", moment("2026-01-31"), map_index)) as (task, context):
        plan: dict[str, Any] = task.plan(context)
        return plan


def test_the_plan_says_where_the_code_is_and_no_secret() -> None:
    plan = planned(make_dag(source_dir="src"))
    assert plan["repository"] == {"repo": "https://git.example/team/code", "commit": "ab" * 20}
    [upload] = plan["uploads"]
    assert (upload["path"], upload["bytes"]) == ("src", None)
    assert upload["s3_uri"].endswith(f"/input/{UNKNOWN_DIGEST}/source")
    code, entry = plan["request"]["ProcessingInputs"]
    assert code["S3Input"]["S3Uri"] == f"{upload['s3_uri']}/sourcedir.tar.gz"
    assert entry["S3Input"]["S3Uri"] == f"{upload['s3_uri']}/runproc.sh"
    assert {"value": UNKNOWN_DIGEST, "is": "the digest of the files in https://git.example/team/code"} in plan[
        "unknown"
    ]
    for text in (json.dumps(plan), shown(plan, "table")):
        assert SECRET not in text
    assert "\nREPOSITORY\n  repo    https://git.example/team/code\n" in shown(plan, "table")


@pytest.mark.parametrize(
    ("given", "end"),
    [
        ({}, "code/main.py"),
        ({"code": "src/main.py"}, "code/main.py"),
        ({"code": "src", "script_name": "a.py"}, "code/"),
    ],
)
def test_so_does_that_of_a_script_or_a_folder_that_isnt_packed(given: dict[str, Any], end: str) -> None:
    plan = planned(make_dag(**given))
    [item] = plan["request"]["ProcessingInputs"]
    assert item["S3Input"]["S3Uri"].endswith(f"/input/{UNKNOWN_DIGEST}/{end}")


def test_a_plan_without_a_repository_says_nothing_of_one() -> None:
    assert "repository" not in planned(make_dag(git_config=None, code="s3://bucket/main.py"))


def test_its_parameters_are_mapped() -> None:
    with DAG("a_dag") as dag:
        ScriptProcessingOperator.partial(task_id="cloned", code="main.py", **JOB).expand(
            git_config=[GIT, {**GIT, "branch": "{{ 'd' }}ev"}]
        )
    assert [planned(dag, index)["repository"].get("branch") for index in (0, 1)] == [None, "dev"]


def test_its_paths_stay_those_of_the_repository() -> None:
    dag = make_dag(source_dir="src", dependencies=["lib"], requirements="src/requirements.txt")
    with rendered(dag, "cloned", RunFields()) as (task, _):
        definition = task.read_definition()
    assert (definition.source_dir, definition.dependencies) == ("src", ["lib"])
    assert definition.requirements == "src/requirements.txt"


def test_all_mistakes_are_reported_at_once_when_the_dag_file_is_parsed() -> None:
    with pytest.raises(DefinitionError) as raised:
        make_dag(
            git_config={"repo": f"https://{SECRET}@git.example/a", "branch": "-b"},
            source_dir="../src",
            codeartifact_repo_arn="arn:aws:s3:::bucket",
        )
    assert [problem.parameter for problem in raised.value.problems] == [
        "codeartifact_repo_arn",
        "git_config['repo']",
        "git_config['branch']",
        "source_dir",
    ]
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("how", ["dict", "json"])
def test_airflow_masks_the_password_and_the_token(runner: Runner, how: str) -> None:
    config: Any = {"repo": "https://git.example/a", "username": "somebody", "password": "pass-of-ours", "token": SECRET}
    given = config if how == "dict" else "{{ '" + json.dumps(config) + "' }}"
    task = make_dag(git_config=given, arguments=[f"--token={SECRET}"], mask_env=False).get_task("cloned")
    runner.rendered(task)
    assert redact(f"somebody {SECRET} pass-of-ours") == "somebody *** ***"


@pytest.mark.parametrize(
    ("given", "resources"),
    [
        (ARN, [ARN, ARN.replace("repository/our-domain/ours", "domain/our-domain")]),
        (ARN[:-4] + "{{ ds }}", [ARN[:-4] + "*", ARN.replace("repository/our-domain/ours", "domain/our-domain")]),
    ],
)
def test_the_jobs_role_may_install_from_the_repository_of_packages(given: str, resources: list[str]) -> None:
    dag = make_dag(requirements=["pandas"], codeartifact_repo_arn=given)
    [policy] = task_policies(dag, account="123456789012", region="eu-west-1")
    needed = {item["Sid"]: item for item in policy_document(job_role_statements(policy.needs))["Statement"]}
    assert needed["InstallPackages"] == {
        "Sid": "InstallPackages",
        "Effect": "Allow",
        "Action": ["codeartifact:GetRepositoryEndpoint", "codeartifact:ReadFromRepository"],
        "Resource": [resources[0]],
    }
    assert needed["LogInToCodeArtifact"]["Action"] == ["codeartifact:GetAuthorizationToken"]
    assert needed["LogInToCodeArtifact"]["Resource"] == [resources[1]]
    assert needed["CarryItsToken"]["Action"] == ["sts:GetServiceBearerToken"]
    assert needed["CarryItsToken"]["Condition"] == {
        "StringEquals": {"sts:AWSServiceName": "codeartifact.amazonaws.com"}
    }
    assert "InstallPackages" not in {item.sid for item in job_role_statements(next(task_policies(make_dag())).needs)}


def test_the_plan_has_that_permission_too() -> None:
    plan = planned(make_dag(requirements=["pandas"], codeartifact_repo_arn=ARN))
    assert [ARN] in [item["Resource"] for item in plan["permissions"]["job_role"]]


def test_a_policy_says_that_the_repository_of_packages_is_known_late() -> None:
    [policy] = task_policies(make_dag(requirements=["pandas"], codeartifact_repo_arn="{{ var.value.packages }}"))
    assert [line.partition(": ")[2] for line in policy.left_out] == [
        "codeartifact_repo_arn is known only when the task runs"
    ]
    assert "InstallPackages" not in {item.sid for item in job_role_statements(policy.needs)}
