"""A source folder among an operator's parameters: templated, mapped, planned, and checked early."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_sm_processing import ScriptProcessingOperator
from airflow_sm_processing.cli.commands import moment, shown
from airflow_sm_processing.cli.dry_run import RunFields, rendered
from airflow_sm_processing.exceptions import DefinitionError

if TYPE_CHECKING:
    from pathlib import Path

JOB: dict[str, Any] = {
    "role": "arn:aws:iam::123456789012:role/SageMakerRole",
    "image_uri": "image",
    "instance_count": 1,
    "instance_type": "ml.m5.xlarge",
}


@pytest.fixture(autouse=True)
def no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any call to AWS would fail: nothing listens where it would go."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {
        "src/main.py": "print(1)",
        "src/.env": "KEY=1",
        "src/.git/config": "12345",
        "lib/a.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def planned(dag: DAG, map_index: int = -1) -> dict[str, Any]:
    with rendered(dag, "packed", RunFields("a_run", moment("2026-01-31"), map_index)) as (task, context):
        plan: dict[str, Any] = task.plan(context)
        return plan


def test_the_plan_has_the_archives_files_and_what_is_left_out(folder: Path):
    with DAG("a_dag") as dag:
        ScriptProcessingOperator(
            task_id="packed",
            code="main.py",
            source_dir=f"{folder}/{{{{ 'src' }}}}",
            dependencies=[f"{folder}/{{{{ 'lib' }}}}"],
            requirements=["pandas=={{ '2.2' }}"],
            **JOB,
        )
    plan = planned(dag)
    script, archive = plan["uploads"]
    assert script["s3_uri"].endswith("/source/runproc.sh")
    assert archive["s3_uri"] == plan["request"]["ProcessingInputs"][0]["S3Input"]["S3Uri"]
    assert archive["bytes"] > 0
    assert archive["files"] == [
        {"path": f"{folder}/lib/a.py", "name": "lib/a.py", "bytes": 0},
        {"path": f"{folder}/src/main.py", "name": "main.py", "bytes": 8},
    ]
    assert plan["left_out"] == [
        {"path": f"{folder}/src/.git", "bytes": 5, "why": "by default"},
        {"path": f"{folder}/src/.env", "bytes": 5, "why": "looks like a secret"},
    ]
    table = shown(plan, "table")
    assert "\n    main.py  " in table
    assert f"{folder}/src/.env" in table.partition("LEFT OUT\n")[2]


def test_its_parameters_are_mapped(folder: Path):
    (folder / "src" / "other.py").write_text("")
    with DAG("a_dag") as dag:
        ScriptProcessingOperator.partial(task_id="packed", source_dir=str(folder / "src"), **JOB).expand_kwargs(
            [{"code": "main.py"}, {"code": "other.py", "requirements": ["pandas"]}]
        )
    first, second = (planned(dag, map_index)["uploads"][1]["s3_uri"] for map_index in (0, 1))
    assert first != second


def test_a_mistake_is_reported_when_the_dag_file_is_parsed():
    with DAG("a_dag"), pytest.raises(DefinitionError) as raised:
        ScriptProcessingOperator(task_id="t", code="../main.py", source_dir="s3://b/src", dependencies=["lib"], **JOB)
    assert [problem.parameter for problem in raised.value.problems] == ["code", "dependencies[0]"]
