"""What the API answers: a real API server below a path, with jobs of two DAGs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.recorded_jobs import NOW, TaskRow, details, record

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Server

OPEN: dict[str, Any] = {"status": "InProgress", "ended_at": None, "duration_seconds": None, "instance_seconds": None}
RUN = "manual__2026-11-20T12:00:00+00:00"

UNREADABLE = (
    "1 record can't be read and isn't listed: it wasn't written by a task of this package, or a custom XCom backend "
    "stores it elsewhere."
)


def at(hours: int) -> str:
    return (NOW + timedelta(hours=hours)).isoformat()


FIRST = record("try-1", status="Failed", failure_reason="\ud800 <script>", submitted_at=at(-1), instance_seconds=60.0)
SECOND = record("try-2", **OPEN, submitted_at=at(0), try_number=2)
ROWS = [
    TaskRow(
        dag_id="sales",
        task_id="retried",
        state="deferred",
        try_number=2,
        xcoms={"_job": SECOND, "_job_details": details("try-2")},
        stored={"processing_job:try-1": FIRST, "processing_job:try-2": SECOND},
    ),
    *(
        TaskRow(
            dag_id="stock",
            task_id="mapped",
            map_index=index,
            xcoms={"_job": record(f"mapped-{index}", submitted_at=at(1 + index), instance_seconds=100.0 - index)},
        )
        for index in range(5)
    ),
    TaskRow(dag_id="stock", task_id="nothing"),
    TaskRow(dag_id="stock", task_id="hostile", xcoms={"_job": "s3://elsewhere", "_job_details": [1]}),
    TaskRow(dag_id="stock", task_id="mixed", xcoms={"_job": record("mixed", submitted_at=at(-9)), "_job_details": [1]}),
]


@pytest.fixture(scope="module")
def server(server_factory: Callable[..., Server]) -> Server:
    return server_factory(ROWS, path="/airflow")


def names(server: Server, **parameters: Any) -> list[str]:
    return [job["job_name"] for job in server.get("/api/jobs", **parameters)["jobs"]]


NEWEST_FIRST = ["mapped-4", "mapped-3", "mapped-2", "mapped-1", "mapped-0", "try-2", "try-1", "mixed"]


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, NEWEST_FIRST),
        ({"descending": "false"}, NEWEST_FIRST[::-1]),
        ({"limit": 2}, NEWEST_FIRST[:2]),
        ({"limit": 2, "offset": 6}, NEWEST_FIRST[6:]),
        ({"offset": 99}, []),
        ({"status": "Failed"}, ["try-1"]),
        ({"status": ["Failed", "InProgress"]}, ["try-2", "try-1"]),
        ({"status": "Stopped"}, []),
        ({"dag_id": "SAL"}, ["try-2", "try-1"]),
        ({"task_id": "mixed"}, ["mixed"]),
        ({"name": "-4"}, ["mapped-4"]),
        ({"since": at(4)}, ["mapped-4", "mapped-3"]),
        ({"since": at(-1), "until": "2026-11-20T12:00:00Z"}, ["try-1"]),
        ({"since": "0001-01-01", "until": "9999-12-31"}, NEWEST_FIRST),
        ({"sort": "instance_seconds", "limit": 3}, ["mixed", "mapped-0", "mapped-1"]),
        ({"sort": "job_name", "descending": "false", "limit": 1}, ["mapped-0"]),
    ],
)
def test_jobs_are_filtered_sorted_and_paged(server: Server, parameters: dict[str, Any], found: list[str]):
    assert names(server, **parameters) == found


def test_a_page_says_how_many_jobs_there_are_and_what_was_passed_over(server: Server):
    page = server.get("/api/jobs", limit=1, name="try")
    assert {key: page[key] for key in ("total", "unreadable", "asks_sagemaker", "notes")} == {
        "total": 2,
        "unreadable": 1,
        "asks_sagemaker": False,
        "notes": [UNREADABLE],
    }


def test_a_job_of_the_page_leads_to_its_task_below_the_base_url(server: Server):
    (mapped,) = server.get("/api/jobs", name="mapped-3")["jobs"]
    expected = record("mapped-3", submitted_at=at(4), instance_seconds=97.0)
    del expected["version"]
    url = "/airflow/dags/stock/runs/manual__2026-11-20T12%3A00%3A00%2B00%3A00/tasks/mapped/mapped/3"
    assert mapped == {
        **expected,
        "status_note": None,
        "dag_id": "stock",
        "run_id": RUN,
        "task_id": "mapped",
        "map_index": 3,
        "task_state": "success",
        "superseded": False,
        "dag_url": "/airflow/dags/stock",
        "task_url": url,
        "tab_url": f"{url}/plugin/sagemaker-processing-job",
    }


def test_totals_are_of_the_jobs_that_the_filters_take(server: Server):
    found = server.get("/api/totals", dag_id="stock")
    assert {key: found[key] for key in ("jobs", "completed", "instance_seconds", "bucket_seconds")} == {
        "jobs": 6,
        "completed": 6,
        "instance_seconds": 1090.0,
        "bucket_seconds": 3600,
    }
    assert sum(bucket["jobs"] for bucket in found["buckets"]) == 6
    assert [item["dag_id"] for item in found["by_dag"]] == ["stock"]


@pytest.mark.parametrize(
    ("path", "parameters", "status", "said"),
    [
        ("/api/jobs", {"since": "soon"}, 400, "since='soon' must be an ISO 8601 time, such as 2026-11-22T19:00:00Z."),
        ("/api/jobs", {"sort": "role"}, 422, "Input should be 'submitted_at'"),
        ("/api/jobs", {"limit": 501}, 422, "less than or equal to 500"),
        ("/api/jobs", {"offset": -1}, 422, "greater than or equal to 0"),
        ("/api/totals", {"tz_offset": 901}, 422, "less than or equal to 900"),
        ("/api/dags/sales/job", {"run_id": RUN}, 422, "Field required"),
        ("/api/dags/sales/job", {"run_id": RUN, "task_id": "retried", "map_index": "x"}, 422, "match pattern"),
        ("/api/dags/sales/job", {"run_id": "\0", "task_id": "retried"}, 422, "match pattern"),
        ("/api/dags/sales/job", {"run_id": RUN, "task_id": "x"}, 404, "There is no task instance 'x' (map index -1)"),
        ("/api/dags/none/job", {"run_id": RUN, "task_id": "x"}, 404, "of DAG 'none'."),
    ],
)
def test_what_is_wrong_with_a_request_is_said(
    server: Server, path: str, parameters: dict[str, Any], status: int, said: str
):
    with server.client("boss") as client:
        answer = client.get(path, params=parameters)
    assert answer.status_code == status
    assert said in answer.text


def tab(server: Server, task_id: str, dag_id: str = "stock", **parameters: Any) -> Any:
    return server.get(f"/api/dags/{dag_id}/job", run_id=RUN, task_id=task_id, **parameters)


@pytest.mark.parametrize("more", [{}, {"map_index": "-1"}, {"map_index": "{MAP_INDEX}"}])
def test_the_tab_has_the_present_job_with_its_details_and_the_earlier_ones(server: Server, more: dict[str, str]):
    shown = tab(server, "retried", "sales", **more)
    place = {"dag_id": "sales", "run_id": RUN, "task_id": "retried", "map_index": -1, "task_state": "deferred"}
    url = f"/airflow/dags/sales/runs/{RUN.replace(':', '%3A').replace('+', '%2B')}/tasks/retried"
    urls = {"dag_url": "/airflow/dags/sales", "task_url": url, "tab_url": f"{url}/plugin/sagemaker-processing-job"}
    common = {**place, **urls, "status_note": None}
    shown.pop("now")
    assert shown == {
        "job": _shown(SECOND, common, earlier=False),
        "details": _without(details("try-2"), "version", "job_name"),
        "earlier": [_shown(FIRST, common, earlier=True)],
        "task": {"state": "deferred", "try_number": 2, "start_date": None, "end_date": None, "operator": None},
        "stop": {
            "possible": False,
            "how": None,
            "why_not": "No worker or triggerer is running the task now, so nothing would stop its job. Try again soon.",
        },
        "logs_url": url,
        "notes": [],
        "asks_sagemaker": False,
    }


def _shown(it: dict[str, Any], common: dict[str, Any], *, earlier: bool) -> dict[str, Any]:
    return {**_without(it, "version"), **common, "superseded": earlier}


def _without(it: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in it.items() if name not in names}


@pytest.mark.parametrize("task_id", ["nothing", "hostile"])
def test_the_tab_of_a_task_without_a_job_says_so(server: Server, task_id: str):
    shown = tab(server, task_id)
    assert [shown[key] for key in ("job", "details", "earlier")] == [None, None, []]
    assert shown["stop"] == {"possible": False, "how": None, "why_not": "The task has no processing job."}


def test_details_that_are_none_are_left_out(server: Server):
    shown = tab(server, "mixed")
    assert (shown["job"]["job_name"], shown["details"]) == ("mixed", None)


def test_a_mapped_task_has_its_own_job(server: Server):
    assert [tab(server, "mapped", map_index=index)["job"]["job_name"] for index in (0, 4)] == ["mapped-0", "mapped-4"]
