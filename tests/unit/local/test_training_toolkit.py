"""What the local SageMaker's `train` makes of a training job's files, told by the scripts that it runs."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import airflow_sm_processing.local

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAM = Path(airflow_sm_processing.local.__file__).with_name("training_toolkit.py")
TELL = "import json, os, sys; print(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]))"


@pytest.fixture
def ml(tmp_path: Path) -> Path:
    """An instance's /opt/ml, on the second of two hosts, with one channel."""
    ml = tmp_path / "ml"
    for name in ("input/config", "code", "output", "model"):
        (ml / name).mkdir(parents=True)
    write(ml, "inputdataconfig", {"train-set": {"TrainingInputMode": "File"}})
    write(ml, "resourceconfig", {"current_host": "algo-2", "hosts": ["algo-1", "algo-2"]})
    return ml


def write(ml: Path, name: str, content: Mapping[str, Any]) -> None:
    (ml / "input" / "config" / f"{name}.json").write_text(json.dumps(content))


def train(ml: Path, files: Mapping[str, str], **hyperparameters: str) -> subprocess.CompletedProcess[str]:
    """Run the files as what was downloaded from S3."""
    with tarfile.open(ml / "code" / "code.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    own = {"sagemaker_program": "train.py", "sagemaker_submit_directory": '"s3://bucket/key/code.tar.gz"'}
    write(ml, "hyperparameters", own | hyperparameters)
    environment = {"PATH": "/usr/bin:/bin", "TRAINING_TOOLKIT_ML": str(ml)}
    return subprocess.run(
        [sys.executable, PROGRAM], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def told(ml: Path, **hyperparameters: str) -> tuple[list[str], str, dict[str, str]]:
    run = train(ml, {"train.py": TELL}, **hyperparameters)
    assert run.returncode == 0, run.stdout + run.stderr
    arguments, folder, environment = json.loads(run.stdout.splitlines()[1])
    return arguments, folder, environment


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({}, []),
        ({"epochs": "3"}, ["--epochs", "3"]),
        ({"e": "3"}, ["-e", "3"]),
        ({"b": '"x"', "a": "plain text"}, ["-a", "plain text", "-b", "x"]),
        ({"flag": "true", "none": "null"}, ["--flag", "True", "--none", ""]),
        ({"map": '{"b": 1, "a": 2}', "list": "[1, 2]"}, ["--list", "[1, 2]", "--map", "a=2,b=1"]),
        ({"_tuning_objective_metric": "loss", "sagemaker_region": '"r"'}, []),
        ({"deep": "[" * 2500}, ["--deep", "[" * 2500]),
    ],
)
def test_hyperparameters_are_options(ml: Path, given: dict[str, str], options: list[str]) -> None:
    arguments, folder, environment = told(ml, **given)
    assert (arguments, folder) == (options, str(ml / "code"))
    assert json.loads(environment["SM_USER_ARGS"]) == options


def test_a_script_finds_what_is_known_of_its_job_in_variables(ml: Path) -> None:
    _, _, environment = told(ml, epochs="3", sagemaker_job_name='"a-job"', sagemaker_s3_output='"s3://b"')
    found = {name: value for name, value in environment.items() if name.startswith("SM_")}
    assert {name: found[name] for name in ("SM_CHANNEL_TRAIN-SET", "SM_MODEL_DIR", "SM_OUTPUT_DATA_DIR")} == {
        "SM_CHANNEL_TRAIN-SET": str(ml / "input" / "data" / "train-set"),
        "SM_MODEL_DIR": str(ml / "model"),
        "SM_OUTPUT_DATA_DIR": str(ml / "output" / "data"),
    }
    assert (found["SM_CURRENT_HOST"], json.loads(found["SM_HOSTS"])) == ("algo-2", ["algo-1", "algo-2"])
    assert (found["SM_HP_EPOCHS"], json.loads(found["SM_HPS"])) == ("3", {"epochs": 3})
    assert json.loads(found["SM_TRAINING_ENV"])["channels"] == ["train-set"]
    assert found["SM_MODULE_DIR"] == "s3://bucket/key/code.tar.gz"
    assert environment["SAGEMAKER_JOB_NAME"] == "a-job"
    assert environment["PYTHONPATH"].split(":")[0] == str(ml / "code")
    assert "TRAINING_TOOLKIT_ML" not in environment


def test_code_may_be_a_folder_of_a_channel(ml: Path) -> None:
    source = ml / "input" / "data" / "code"
    source.mkdir(parents=True)
    (source / "train.py").write_text(TELL)
    assert told(ml, sagemaker_submit_directory=json.dumps(str(source)))[1] == str(ml / "code")


def test_the_end_of_what_a_script_says_is_its_failure(ml: Path) -> None:
    text = "import sys\nprint('x' * 100_000, file=sys.stderr)\nraise ValueError('too few rows')"
    run = train(ml, {"train.py": text})
    assert run.returncode == 1
    failure = (ml / "output" / "failure").read_text()
    assert failure.startswith('ExecuteUserScriptError:\nExitCode 1\nErrorMessage "Traceback (most recent call last):')
    assert "ValueError: too few rows" in failure
    assert "x" * 100_000 in run.stderr


def test_a_script_that_a_signal_ends_has_dockers_exit_code(ml: Path) -> None:
    train(ml, {"train.py": "import os; os.kill(os.getpid(), 9)"})
    assert "ExitCode 137" in (ml / "output" / "failure").read_text()


@pytest.mark.parametrize("name", ["../outside.py", "/outside.py"])
def test_nothing_of_the_code_gets_outside_of_its_folder(ml: Path, name: str) -> None:
    train(ml, {"train.py": "", name: "x"})
    assert not (ml / "outside.py").exists()
    assert not Path("/outside.py").exists()


def test_what_a_script_left_running_does_not_keep_the_job(ml: Path) -> None:
    text = "import subprocess, sys; subprocess.Popen(['sleep', '30'], stdin=-3, stdout=-3)"
    run = train(ml, {"train.py": text})
    assert run.returncode == 0
