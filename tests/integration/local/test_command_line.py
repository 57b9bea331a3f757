"""`airflow-sm-local`, as its users and their process managers meet it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.time_limits import HANGS_AFTER_SECONDS
from tests.waiting import wait_until

from .bench import LOG_GROUP
from .processes import running, wait_until_gone
from .test_isolation import works_here

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COMMAND = str(Path(sys.executable).with_name("airflow-sm-local"))


@contextmanager
def serving(
    folder: Path, *options: str, command: Sequence[str] = (COMMAND, "serve")
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A server in a process of its own, and what its ready file says."""
    ready = folder / "ready.json"
    process = subprocess.Popen(
        [*command, "--ready-file", ready, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(folder)},
    )
    try:
        wait_until(lambda: ready.exists() or process.poll() is not None, shows=lambda: "the server isn't ready")
        assert process.poll() is None, process.communicate()
        yield process, json.loads(ready.read_text())
    finally:
        process.kill()
        process.communicate()


def client(ready: dict[str, Any], service: str) -> Any:
    environment = ready["environment"]
    return boto3.client(
        service,
        endpoint_url=ready["endpoint_url"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


def _start_sleeper(ready: dict[str, Any], marker: str) -> None:
    """Start a job whose processes hide in sessions of their own, and wait until they all run."""
    sagemaker, logs = client(ready, "sagemaker"), client(ready, "logs")
    script = f"trap '' TERM; (setsid sleep {marker} &); nohup sleep {marker} & sleep {marker}"
    sagemaker.create_processing_job(
        ProcessingJobName="sleeper",
        RoleArn="arn:aws:iam::123456789012:role/SageMakerRole",
        AppSpecification={"ImageUri": "image", "ContainerEntrypoint": ["sh", "-c", script]},
        ProcessingResources={"ClusterConfig": {"InstanceCount": 2, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}},
    )
    sleeping = lambda: [command for command in running(marker) if command.startswith("sleep")]  # noqa: E731
    wait_until(lambda: len(sleeping()) >= 6, shows=lambda: running(marker))
    assert logs.describe_log_groups(logGroupNamePrefix=LOG_GROUP)["logGroups"]
    for opened in (sagemaker, logs):
        opened.close()


@pytest.mark.parametrize("mode", ["namespace", "mount", "folder"])
def test_a_killed_servers_jobs_die_with_it(tmp_path: Path, mode: str):
    if not works_here(mode):
        pytest.skip(f"this machine permits no {mode} isolation")
    marker = f"600.{os.getpid()}3"
    with serving(tmp_path, "--isolation", mode) as (process, ready):
        _start_sleeper(ready, marker)
        process.kill()
        wait_until_gone(marker)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_and_its_jobs_and_leaves_nothing(tmp_path: Path, number: signal.Signals):
    marker = f"600.{os.getpid()}4"
    with serving(tmp_path) as (process, ready):
        _start_sleeper(ready, marker)
        process.send_signal(number)
        _, complaints = process.communicate(timeout=HANGS_AFTER_SECONDS)
        assert (process.returncode, complaints) == (0, "")
        assert running(marker) == []
    assert [path.name for path in tmp_path.iterdir()] == ["ready.json"]


def test_nothing_is_written_outside_of_the_data_folder(tmp_path: Path):
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    elsewhere.mkdir()
    with serving(elsewhere, "--data-dir", str(data)) as (process, ready):
        s3 = client(ready, "s3")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="large", Body=bytes(20 * 1024 * 1024))
        s3.close()
        _start_sleeper(ready, f"600.{os.getpid()}5")
        assert [path.name for path in elsewhere.iterdir()] == ["ready.json"]
        process.terminate()
        process.communicate(timeout=HANGS_AFTER_SECONDS)
    assert [path.name for path in elsewhere.iterdir()] == ["ready.json"]
    assert list((data / "jobs").iterdir()) == []


def test_the_printed_lines_set_a_shell_up(tmp_path: Path):
    with serving(tmp_path) as (process, ready):
        assert process.stdout
        lines = "".join(process.stdout.readline() for _ in ready["environment"])
        show = f"{sys.executable} -c 'import os, json; print(json.dumps(dict(os.environ)))'"
        shell = subprocess.run(["sh", "-c", f"{lines}\n{show}"], capture_output=True, text=True, check=True)
        assert json.loads(shell.stdout).items() >= ready["environment"].items()


def test_the_ready_file_is_its_owners_only(tmp_path: Path):
    with serving(tmp_path) as (process, ready):
        assert (tmp_path / "ready.json").stat().st_mode & 0o777 == 0o600
        assert ready["pid"] == process.pid


def _run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "run", "--", *command], capture_output=True, text=True, env=os.environ | environment, check=False
    )


def test_run_gives_the_command_its_variables_and_takes_its_exit_code():
    script = """
import boto3, json, os
connection = json.loads(os.environ["AIRFLOW_CONN_AWS_DEFAULT"])
assert connection["conn_type"] == "aws", connection
assert connection["extra"] == {"endpoint_url": os.environ["AWS_ENDPOINT_URL"], "region_name": "us-east-1"}, connection
assert connection["login"] == os.environ["AWS_ACCESS_KEY_ID"], connection
assert connection["password"] == os.environ["AWS_SECRET_ACCESS_KEY"], connection
print(boto3.client("iam").get_role(RoleName="SageMakerRole")["Role"]["Arn"])
raise SystemExit(5)
"""
    done = _run(sys.executable, "-c", script)
    role = "arn:aws:iam::123456789012:role/SageMakerRole\n"
    assert (done.returncode, done.stdout, done.stderr) == (5, role, "")


def test_run_puts_the_users_aws_profile_files_and_proxies_out_of_force(tmp_path: Path):
    config = tmp_path / "config"
    config.write_text("[profile mine]\nregion = eu-west-1\nendpoint_url = http://127.0.0.1:1\n")
    script = "import boto3; print(boto3.client('s3').list_buckets()['Buckets'], boto3.Session().region_name)"
    proxy = "http://127.0.0.1:1"
    done = _run(
        sys.executable,
        "-c",
        script,
        AWS_PROFILE="mine",
        AWS_CONFIG_FILE=str(config),
        AWS_SESSION_TOKEN="stale",
        AWS_ENDPOINT_URL_S3="http://127.0.0.1:1",
        HTTP_PROXY=proxy,
        http_proxy=proxy,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[] us-east-1\n", "")


@pytest.mark.parametrize(
    ("command", "code"), [(["sh", "-c", "kill -TERM $$"], 143), (["no-such-command"], 127), (["true"], 0)]
)
def test_run_says_how_the_command_ended(command: list[str], code: int):
    assert _run(*command).returncode == code


@pytest.fixture
def airflow_home(tmp_path: Path) -> dict[str, str]:
    """The variables of a fresh Airflow without a database."""
    return {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path / 'airflow.db'}",
        "PATH": f"{Path(COMMAND).parent}{os.pathsep}{os.environ['PATH']}",
    }


def _hint(home: Path) -> str:
    return f"airflow-sm-local: There is no Airflow database in {home / 'airflow.db'} yet. Create it with `airflow db"


def test_run_says_how_to_create_airflows_database(tmp_path: Path, airflow_home: dict[str, str]):
    first = _run("airflow", "pools", "list", **airflow_home)
    assert first.returncode == 1
    assert first.stderr.startswith(_hint(tmp_path))
    assert (tmp_path / "airflow.db").exists()  # that command left one without tables
    assert _hint(tmp_path) in _run("airflow", "pools", "list", **airflow_home).stderr


def test_run_creates_airflows_database_where_a_terminal_says_yes(tmp_path: Path, airflow_home: dict[str, str]):
    ours, theirs = pty.openpty()
    command = [COMMAND, "run", "--", "airflow", "pools", "list", "--output", "plain"]
    with subprocess.Popen(
        command, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, text=True, env=os.environ | airflow_home
    ) as process:
        os.close(theirs)
        said = _read_until(ours, "[Y/n] ")
        os.write(ours, b"\n")
        said += _read_until(ours, None)
        listed = process.communicate(timeout=HANGS_AFTER_SECONDS)[0]
    os.close(ours)
    assert (
        f"There is no Airflow database in {tmp_path / 'airflow.db'} yet. Create it with `airflow db migrate`?" in said
    )
    assert process.returncode == 0
    assert "default_pool" in listed
    assert "Database migration done" not in listed  # what the migration prints isn't the command's output
    assert _hint(tmp_path) not in _run("airflow", "pools", "list", **airflow_home).stderr


def _read_until(terminal: int, end: str | None) -> str:
    """Return what is written to the terminal, up to `end` or until nobody has it open."""
    said = ""
    while end is None or end not in said:
        try:
            said += os.read(terminal, 4096).decode()
        except OSError:  # Linux's end of file of a terminal
            break
    return said


def test_run_hands_signals_on():
    script = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
print("ready", flush=True)
time.sleep(600)
"""
    process = subprocess.Popen([COMMAND, "run", "--", sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.wait(timeout=HANGS_AFTER_SECONDS) == 9
    process.stdout.close()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--fault", "x"], "airflow-sm-local: Fault 'x' isn't understood."),
        (
            ["--fault", "*:rate=often"],
            "airflow-sm-local: Fault '*:rate=often': 'rate=often' isn't understood: could not",
        ),
        (["--account-id", "1"], "airflow-sm-local: account_id is '1', and must have 12 digits."),
        (["--max-jobs", "0"], "airflow-sm-local: max_jobs is 0, and must be at least 1."),
        (["--stop-grace", "-1"], "airflow-sm-local: stop_grace is -1.0, and must be at least 0."),
        (["--data-dir", "/dev/null/x"], "airflow-sm-local: [Errno 20] Not a directory: '/dev/null/x"),
        (["--image", "x"], "airflow-sm-local: --image 'x' must be PATTERN=PYTHON"),
        (["--image", "x=/no/python"], "airflow-sm-local: The image's interpreter '/no/python' can't be run"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: list[str], complaint: str):
    done = subprocess.run([COMMAND, "serve", *options], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.startswith(complaint)) == (1, True)


def test_a_port_in_use_is_named(tmp_path: Path):
    with serving(tmp_path) as (_, ready):
        port = ready["endpoint_url"].rpartition(":")[2]
        done = subprocess.run([COMMAND, "serve", "--port", port], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"airflow-sm-local: Port {port} is in use.")
