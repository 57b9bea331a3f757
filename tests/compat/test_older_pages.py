"""The pages in the UI of older Airflows, which have no `task_state_store`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from demo.airflow_api import AirflowApi
from demo.airflow_home import AirflowHome
from demo.ports import free_port
from demo.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
JOBS = 20


@pytest.fixture(scope="module")
def http(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client, logged in, of an API server with recorded jobs."""
    path = f"{commands}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    home = AirflowHome(path=tmp_path_factory.mktemp("older") / "airflow", port=free_port(), extra={"PATH": path})
    with home.created(), Processes(logs=home.path / "logs") as processes, AirflowApi(home.url) as api:
        environment = home.environment()
        processes.run("db-migrate", ["airflow", "db", "migrate"], environment)
        fill = [str(commands / "python"), "-m", "benchmarks.recorded_jobs", str(JOBS)]
        processes.run("fill", fill, environment | {"PYTHONPATH": str(ROOT)})
        processes.start("api-server", ["airflow", "api-server", "--workers", "1"], environment)
        processes.wait_until(lambda: bool(api.health()), within=300, what="The API server")
        with httpx.Client(base_url=home.url, timeout=60) as client:
            token = client.get("/auth/token").raise_for_status().json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            yield client


def test_its_ui_is_told_of_the_page_and_the_tab(http: httpx.Client):
    plugins = http.get("/api/v2/plugins").json()["plugins"]
    (ours,) = [plugin for plugin in plugins if plugin["name"] == "sagemaker_processing"]
    assert [(view["name"], view["destination"]) for view in ours["external_views"]] == [
        ("SageMaker Processing", "nav"),
        ("Job", "task_instance"),
    ]


def test_its_jobs_are_listed_and_summed_up(http: httpx.Client):
    page = http.get("/sm-processing/api/jobs", params={"limit": 5}).raise_for_status().json()
    assert (page["total"], page["unreadable"]) == (JOBS, 0)
    assert [job["job_name"] for job in page["jobs"]] == [f"job-{number:06d}-1a2b3c4d5e6f" for number in range(5)]
    assert http.get("/sm-processing/api/totals").raise_for_status().json()["jobs"] == JOBS


def test_a_tasks_job_is_shown(http: httpx.Client):
    place = {"run_id": "scheduled__000000", "task_id": "task_0"}
    shown = http.get("/sm-processing/api/dags/dag_00/job", params=place).raise_for_status().json()
    assert (shown["job"]["job_name"], shown["job"]["status"]) == ("job-000000-1a2b3c4d5e6f", "InProgress")
    assert shown["details"]["outputs"][0]["uri"] == "s3://lake/job-000000-1a2b3c4d5e6f/train"
    assert shown["stop"] == {"possible": True, "how": "task", "why_not": None}
