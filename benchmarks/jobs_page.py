"""How long the page of all jobs takes with 10,000 recorded jobs: a real API server, on SQLite."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from demo.airflow_api import AirflowApi
from demo.airflow_home import CHECKOUT, AirflowHome
from demo.ports import free_port
from demo.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

JOBS = 10_000
RUNS = 15
BOUND = 0.5  # seconds for the first page
REQUESTS: Mapping[str, Mapping[str, str]] = {
    "the first page": {},
    "the last page": {"offset": str(JOBS - 50)},
    "failed ones, the dearest first": {"status": "Failed", "sort": "instance_seconds"},
    "one DAG's": {"dag_id": "dag_07"},
    "one by its name": {"name": "job-004321"},
}


def main() -> None:
    """Measure the requests of the page in turn, and print them."""
    with tempfile.TemporaryDirectory() as folder:
        home = AirflowHome(path=Path(folder) / "airflow", port=free_port())
        with home.created(), Processes(logs=home.path / "logs") as processes:
            environment = home.environment()
            processes.run("db-migrate", ["airflow", "db", "migrate"], environment)
            fill = [sys.executable, "-m", "benchmarks.recorded_jobs", str(JOBS)]
            processes.run("fill", fill, environment | {"PYTHONPATH": str(CHECKOUT)})
            processes.start("api-server", ["airflow", "api-server", "--workers", "1"], environment)
            with AirflowApi(home.url) as api:
                processes.wait_until(lambda: bool(api.health()), within=120, what="The API server")
            with httpx.Client(base_url=home.url, timeout=60) as http:
                token = http.get("/auth/token").raise_for_status().json()["access_token"]
                http.headers["Authorization"] = f"Bearer {token}"
                print(f"{JOBS} recorded jobs; the first page must take less than {BOUND * 1000:.0f} ms")
                for line in _lines(http):
                    print(line, flush=True)


def _lines(http: httpx.Client) -> Iterator[str]:
    first = _seconds(http, "jobs", {})
    yield f"{'the first page, the first time':<42}{first * 1000:>8.0f} ms"
    for path, name, parameters in (*(("jobs", *item) for item in REQUESTS.items()), ("totals", "totals", {})):
        times = [_seconds(http, path, parameters) for _ in range(RUNS)]
        yield f"{name:<42}{statistics.median(times) * 1000:>8.0f} ms  (worst {max(times) * 1000:.0f} ms)"


def _seconds(http: httpx.Client, path: str, parameters: Mapping[str, str]) -> float:
    started = time.perf_counter()
    http.get(f"/sm-processing/api/{path}", params=dict(parameters)).raise_for_status()
    return time.perf_counter() - started
