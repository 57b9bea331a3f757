"""`make demo` and `make ui`, run as a user runs them, with an empty home folder that can't be written to."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
from rich.console import Console

from demo.__main__ import show
from demo.airflow_api import AirflowApi
from demo.airflow_home import CHECKOUT
from demo.ports import free_port
from demo.report import Reporter
from tests.waiting import wait_until

from .processes import LOOPBACK, listening_hosts, processes_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_sm_processing.local import LocalSageMaker
    from demo.airflow_services import RunningAirflow

    from .runs import Run

JOB = r"sm-training-evaluate-[0-9a-f]{12}-\d+"
SECONDS = r"\d+\.\d"


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """What a user's shell gives: a home folder without anything in it, and settings that must not count."""
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    yield {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONUNBUFFERED": "1",
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "True",
        "AWS_PROFILE": "production",
        "HTTP_PROXY": "http://127.0.0.1:1",
    }
    assert list(home.iterdir()) == []


def test_the_demo_reports_each_task_and_the_metrics_and_leaves_no_process(environment: dict[str, str]) -> None:
    demo = subprocess.run(
        [sys.executable, "-m", "demo"],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    print(demo.stdout, demo.stderr, sep="\n")
    assert (demo.returncode, demo.stderr) == (0, "")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in demo.stdout.splitlines() if "│" in line]
    tasks, metrics = [row for row in rows if len(row) == 6], dict(row for row in rows if len(row) == 2)
    assert [(task, kind, status, outputs) for task, kind, _, status, _, outputs in tasks] == [
        ("preprocess", "Processing", "Completed", "train, test"),
        ("train", "Training", "Completed", "model"),
        ("evaluate", "Processing", "Completed", "evaluation"),
    ]
    assert all(re.fullmatch(SECONDS, seconds) for *_, seconds, _ in tasks)
    jobs = {task: job for task, _, job, *_ in tasks}
    evaluation = jobs["evaluate"]
    assert re.fullmatch(JOB, evaluation)
    bucket = "s3://sagemaker-us-east-1-123456789012"
    assert f"train.model: {bucket}/sm_training/models/{jobs['train']}/output/model.tar.gz\n" in demo.stdout
    assert f"evaluate.evaluation: {bucket}/{evaluation}/output/evaluation\n" in demo.stdout
    assert sorted(metrics) == ["accuracy", "f1", "roc_auc", "rows"]
    assert float(metrics["accuracy"]) == pytest.approx(0.979, abs=0.01)
    assert processes_of(CHECKOUT / ".demo" / "airflow") == set()


def test_the_demo_fails_with_the_reason_of_the_task_that_failed(
    ends: dict[str, Run], airflow: RunningAirflow, sagemaker: LocalSageMaker
) -> None:
    run = ends["ends_in_worker"]
    run.end_of("fails")
    task = next(task for task in airflow.api.task_instances(run.dag_id, run.run_id) if task.task_id == "fails")
    report = Reporter(airflow.api, sagemaker, run.dag_id, run.run_id).report(task)
    assert (report.state, report.status, report.outputs) == ("failed", "Failed", {})
    printed = io.StringIO()
    reporter = Reporter(airflow.api, sagemaker, run.dag_id, run.run_id)
    assert show(Console(file=printed, width=200), reporter, [report]) == 1
    assert "fails is failed" in printed.getvalue()
    assert "ExitMessage: bad input: no column age" in printed.getvalue()


def test_the_ui_is_an_admins_without_a_login_and_ends_with_ctrl_c(environment: dict[str, str]) -> None:
    port = free_port()
    home = CHECKOUT / ".ui" / "airflow"
    command = [sys.executable, "-m", "demo.ui", "--port", str(port)]
    with subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, text=True) as ui:
        assert ui.stdout is not None
        try:
            assert any(f"http://127.0.0.1:{port} (no login" in line for line in ui.stdout)
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}", trust_env=False, follow_redirects=True, timeout=300
            ) as browser:
                browser.get("/auth/token/login").raise_for_status()
                me = browser.get("/ui/auth/me").raise_for_status().json()
            assert me["username"] == "Anonymous"
            assert len(processes_of(home)) > len(("api-server", "scheduler", "triggerer", "dag-processor"))
            assert listening_hosts(processes_of(home) | {ui.pid}) == {LOOPBACK}
        finally:
            ui.send_signal(signal.SIGINT)
        assert "Everything is stopped" in ui.stdout.read()
    assert ui.returncode == 0
    assert processes_of(home) == set()


def test_the_ui_loads_a_folder_of_ones_own_even_if_a_file_of_it_is_broken(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "mine.py").write_text('from airflow.sdk import DAG\n\ndag = DAG("mine", schedule=None)\n')
    (tmp_path / "dags" / "broken.py").write_text("from airflow.sdk import DAG\nimport no_such_module\n")
    port = free_port()
    command = [sys.executable, "-m", "demo.ui", "--port", str(port), "--dags", str(tmp_path / "dags")]
    with subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, text=True) as ui:
        assert ui.stdout is not None
        try:
            assert any("Ctrl-C stops everything" in line for line in ui.stdout)
            with AirflowApi(f"http://127.0.0.1:{port}") as api:
                wait_until(lambda: api.dag_ids() and api.import_errors(), shows=api.dag_ids)
                assert api.dag_ids() == {"mine"}
                assert [error.splitlines()[-1] for error in api.import_errors().values()] == [
                    "ModuleNotFoundError: No module named 'no_such_module'"
                ]
        finally:
            ui.send_signal(signal.SIGINT)
        assert "Everything is stopped" in ui.stdout.read()
    assert processes_of(CHECKOUT / ".ui" / "airflow") == set()


def test_the_ui_refuses_dags_that_are_no_folder(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "demo.ui", "--port", str(free_port()), "--dags", __file__]
    ui = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert ui.returncode == 2
    assert f"{__file__} isn't a folder: --dags takes the folder that your DAG files are in" in ui.stderr


def test_the_ui_refuses_a_port_that_is_taken(environment: dict[str, str], airflow: RunningAirflow) -> None:
    command = [sys.executable, "-m", "demo.ui", "--port", str(airflow.home.port)]
    ui = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert ui.returncode == 2
    assert f"port {airflow.home.port} of 127.0.0.1 is taken" in ui.stderr


def test_all_that_airflow_listens_on_is_loopback(airflow: RunningAirflow) -> None:
    assert listening_hosts(processes_of(airflow.home.path)) == {LOOPBACK}
