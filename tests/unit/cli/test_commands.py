"""The commands, as they are typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from airflow_sm_processing.cli.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Sequence

EXAMPLES = Path(__file__).parents[3] / "dags_examples"
PIPELINE, MAPPING = str(EXAMPLES / "pipeline.py"), str(EXAMPLES / "mapping.py")
PLAN = ["plan", "sm_pipeline", "preprocess", "--dag-file", PIPELINE, "--run-id", "r", "--logical-date", "2026-01-31"]


def printed(capsys: pytest.CaptureFixture[str], arguments: Sequence[str]) -> str:
    capsys.readouterr()
    main(arguments)
    return capsys.readouterr().out


def test_a_plan_is_the_same_in_each_form(capsys):
    plan = json.loads(printed(capsys, PLAN))
    assert yaml.safe_load(printed(capsys, [*PLAN, "--output", "yaml"])) == plan
    table = printed(capsys, [*PLAN, "--output", "table"])
    assert plan["request"]["ProcessingJobName"] in table
    assert [line for line in table.splitlines() if line and not line.startswith(" ")] == [
        "REQUEST",
        "UPLOADS",
        "PERMISSIONS OF THE CONNECTION",
        "PERMISSIONS OF THE JOB'S ROLE",
        "NOT KNOWN WITHOUT AWS",
    ]


def test_an_account_and_a_region_that_are_told_are_taken(capsys):
    text = printed(capsys, [*PLAN, "--account", "123456789012", "--region", "eu-west-1"])
    assert "s3://sagemaker-eu-west-1-123456789012/" in text
    assert "<" not in json.dumps(json.loads(text)["request"])


def test_one_policy_serves_all_files(capsys):
    policy = json.loads(printed(capsys, ["iam-policy", PIPELINE, MAPPING, "--minimal"]))
    assert [item["Sid"] for item in policy["Statement"]] == [
        "RunJobs",
        "GiveTheJobItsRole",
        "LookUpTheRoleByItsName",
        "FindOrMakeTheDefaultBucket",
        "UploadLocalFiles",
        "FindTheJobsLogs",
        "ReadTheJobsLogs",
    ]


def test_a_policy_allows_what_a_watcher_of_completed_jobs_calls(capsys, tmp_path):
    file = tmp_path / "watched.py"
    file.write_text(
        "from airflow.sdk import DAG, Asset, AssetWatcher\n"
        "from airflow_sm_processing import CompletedJobsTrigger\n"
        "trigger = CompletedJobsTrigger(job_name_prefix='Nightly-', tags={'team': 'ml'})\n"
        "jobs = Asset('jobs', watchers=[AssetWatcher(name='jobs', trigger=trigger)])\n"
        "with DAG('watched', schedule=jobs | Asset('other')): pass\n"
    )
    text = printed(capsys, ["iam-policy", str(file), "--account", "123456789012", "--region", "cn-north-1"])
    names = "arn:aws-cn:sagemaker:cn-north-1:123456789012:processing-job"
    jobs = [f"{names}/Nightly-*", f"{names}/nightly-*"]
    assert [(item["Action"], item["Resource"]) for item in json.loads(text)["Statement"]] == [
        (["sagemaker:ListProcessingJobs"], ["*"]),
        (["sagemaker:DescribeProcessingJob"], jobs),
        (["sagemaker:ListTags"], jobs),
    ]


def test_a_policy_allows_what_sensors_call(capsys, tmp_path):
    file = tmp_path / "sensed.py"
    file.write_text(
        "from airflow.sdk import DAG\n"
        "from airflow_sm_processing import ProcessingJobSensor\n"
        "with DAG('sensed'):\n"
        "    ProcessingJobSensor(task_id='name', job_name='Nightly-{{ ds }}', deferrable=True)\n"
        "    ProcessingJobSensor(task_id='prefix', job_name_prefix='hourly-')\n"
    )
    place = ["--account", "123456789012", "--region", "cn-north-1"]
    policy = json.loads(printed(capsys, ["iam-policy", str(file), *place]))
    names = "arn:aws-cn:sagemaker:cn-north-1:123456789012:processing-job"
    jobs = [f"{names}/{name}" for name in ("Nightly-*", "hourly-*", "nightly-*")]
    assert [(item["Sid"], item["Action"], item["Resource"]) for item in policy["Statement"]] == [
        ("ReadSoughtJobs", ["sagemaker:DescribeProcessingJob"], jobs),
        ("SeeManyJobsAtOnce", ["sagemaker:ListProcessingJobs"], ["*"]),
        ("FindSoughtJobs", ["sagemaker:ListProcessingJobs"], ["*"]),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "no_dag", "task", "--dag-file", PIPELINE], "There is no DAG 'no_dag' in .*pipeline.py"),
        (["plan", "sm_pipeline", "no_task", "--dag-file", PIPELINE], "no task 'no_task'; it has evaluate, preprocess"),
        (["plan", "sm_mapping", "profile_known", "--dag-file", MAPPING], "is mapped: choose .* --map-index"),
        (["iam-policy", "no_file.py"], "There is no file .*no_file.py"),
    ],
)
def test_what_cannot_be_found_is_named(arguments, message):
    with pytest.raises(SystemExit, match=message):
        main(arguments)


@pytest.mark.parametrize(
    ("task_id", "kind"), [("senses", "ProcessingJobSensor"), ("calls", "_PythonDecoratedOperator")]
)
def test_a_task_that_runs_no_job_has_no_plan(task_id, kind, tmp_path):
    file = tmp_path / "kinds.py"
    file.write_text(
        "from airflow.sdk import DAG, task\n"
        "from airflow_sm_processing import ProcessingJobSensor, ProcessingOperator\n"
        "with DAG('kinds'):\n"
        "    ProcessingJobSensor(task_id='senses', job_name='Nightly')\n"
        "    ProcessingOperator.partial(task_id='runs', role='R', image_uri='image', instance_type='ml.m5.large',"
        " instance_count=1).expand(arguments=[['a']])\n"
        "    @task\n    def calls(): pass\n    calls()\n"
    )
    message = f"Task {task_id} of DAG kinds runs no processing job: it is a {kind}. Tasks that do: runs."
    with pytest.raises(SystemExit, match=message):
        main(["plan", "kinds", task_id, "--dag-file", str(file)])


def test_outputs_that_are_json_text_have_their_places(tmp_path, capsys):
    file = tmp_path / "texts.py"
    file.write_text(
        "from airflow.sdk import DAG\n"
        "from airflow_sm_processing import ProcessingInput, ProcessingOperator\n"
        "job = dict(role='R', image_uri='image', instance_type='ml.m5.large', instance_count=1)\n"
        "with DAG('texts'):\n"
        "    made = ProcessingOperator(task_id='makes', **job,"
        ' outputs=\'[{"source": "/opt/ml/processing/train", "output_name": "train"}]\')\n'
        "    ProcessingOperator(task_id='reads', **job,"
        " inputs=[ProcessingInput(made.output['train'], '/opt/ml/processing/input')])\n"
    )
    plan = json.loads(printed(capsys, ["plan", "texts", "reads", "--dag-file", str(file)]))
    (read,) = plan["request"]["ProcessingInputs"]
    assert read["S3Input"]["S3Uri"] == "s3://<output train of task makes>/"


def test_it_is_a_command_of_airflows_own_that_needs_no_database(tmp_path):
    database = tmp_path / "no-folder" / "airflow.db"
    settings = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}",
        "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLES),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(tmp_path),
    }
    airflow = [sys.executable, "-m", "airflow", "sm-processing", "plan", "sm_pipeline", "train"]
    run = subprocess.run(airflow, env=os.environ | settings, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stderr
    source = json.loads(run.stdout)["request"]["ProcessingInputs"][0]["S3Input"]["S3Uri"]
    assert source == "s3://<output train of task preprocess>/"
    assert not database.exists()


def test_the_images_are_listed_with_the_newest_of_each_framework(capsys):
    lines = printed(capsys, ["images"]).splitlines()
    assert lines[0].split("  ")[0] == "FRAMEWORK"
    assert "sklearn               sklearn:1.4-2                5" in lines
    assert lines[-1].startswith("Tables: SageMaker SDK ")


def test_a_frameworks_images_are_listed_the_newest_first(capsys):
    head, first, second = printed(capsys, ["images", "spark"]).splitlines()[:3]
    assert head.split() == ["IMAGE", "PYTHON", "FOR", "REGIONS"]
    assert first.split() == ["spark:3.5", "py39,", "py312", "cpu", "37"]
    assert second.startswith("spark:3.3 ")


def test_a_region_has_the_images_with_their_uris(capsys):
    lines = printed(capsys, ["images", "pytorch", "--region", "eu-west-1"]).splitlines()
    uri = "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training"
    assert lines[1].split() == ["pytorch:2.8-cpu", f"{uri}:2.8-cpu-py312"]
    assert ["pytorch:1.8-gpu-py36", f"{uri}:1.8-gpu-py36"] in [line.split() for line in lines]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["pytroch"], "there is no such framework: did you mean pytorch"),
        (["sklearn", "--region", "eu-wset-1"], "no image in the region 'eu-wset-1': did you mean eu-west-1"),
        (["--region", "mars-1"], "No framework has images in a region 'mars-1'"),
    ],
)
def test_images_that_are_not_there_are_an_error(arguments, reason):
    with pytest.raises(SystemExit, match=reason):
        main(["images", *arguments])
