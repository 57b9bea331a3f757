"""Who gets what of the pages: every route of the app, on a real API server whose users have to log in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from benchmarks.recorded_jobs import TaskRow, details, record

from .conftest import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .conftest import Server

RUNNING = record("of-open-1", status="InProgress", ended_at=None, duration_seconds=None, instance_seconds=None)
OPEN = TaskRow(
    dag_id="open_dag", run_id="one", state="running", xcoms={"_job": RUNNING, "_job_details": details("of-open-1")}
)
CLOSED = TaskRow(
    dag_id="closed_dag", run_id="one", xcoms={"_job": record("of-closed-1"), "_job_details": details("of-closed-1")}
)
STOP = {"X-SM-Processing": "stop"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)


def routes() -> Iterator[tuple[str, str]]:
    """Yield the method and path of each route, as a request for the open DAG's task."""
    from airflow_sm_processing.ui.app import create_app

    for route in create_app().routes:
        path = route.path.format(dag_id="open_dag", name="jobs.js", version="any")
        query = "?run_id=one&task_id=preprocess" if "dag_id" in route.path else ""
        yield from ((method, path + query) for method in route.methods)


@pytest.fixture(scope="module")
def server(server_factory: Callable[..., Server]) -> Server:
    return server_factory([OPEN, CLOSED])


def statuses(server: Server, user: str | None) -> dict[tuple[str, str], int]:
    body = {"json": {"job_name": "of-open-1"}, "headers": STOP}
    with server.client(user) as client:
        return {
            (method, path): client.request(method, path, **(body if method == "POST" else {})).status_code
            for method, path in routes()
        }


def test_the_app_has_these_routes():
    assert sorted({(method, path.partition("?")[0]) for method, path in routes()}) == [
        ("GET", "/api/dags/open_dag/job"),
        ("GET", "/api/jobs"),
        ("GET", "/api/totals"),
        ("GET", "/job"),
        ("GET", "/jobs"),
        ("GET", "/static/any/jobs.js"),
        ("GET", "/static/jobs.js"),
        ("POST", "/api/dags/open_dag/job/stop"),
    ]


def test_no_route_answers_without_a_login(server: Server):
    assert set(statuses(server, None).values()) == {401}


def test_no_route_answers_a_user_without_permission(server: Server):
    assert set(statuses(server, "nobody").values()) == {403}


def test_a_viewer_may_see_all_and_stop_nothing(server: Server):
    found = statuses(server, "viewer")
    assert {method: {found[key] for key in found if key[0] == method} for method in ("GET", "POST")} == {
        "GET": {200},
        "POST": {403},
    }


def test_a_user_sees_the_jobs_of_the_dags_that_he_may_read(server: Server):
    seen = {user: server.get("/api/jobs", user) for user in ("viewer", "limited", "no_xcoms")}
    assert {user: sorted(job["job_name"] for job in page["jobs"]) for user, page in seen.items()} == {
        "viewer": ["of-closed-1", "of-open-1"],
        "limited": ["of-open-1"],
        "no_xcoms": ["of-open-1"],  # a record is an XCom: without those of a DAG, its jobs aren't shown
    }
    assert {user: page["total"] for user, page in seen.items()} == {"viewer": 2, "limited": 1, "no_xcoms": 1}


def test_a_filter_by_dag_opens_no_other_dag(server: Server):
    assert server.get("/api/jobs", "limited", dag_id="closed_dag")["jobs"] == []
    for user in ("limited", "no_xcoms"):
        totals = server.get("/api/totals", user)
        assert [item["dag_id"] for item in totals["by_dag"]] == ["open_dag"]


@pytest.mark.parametrize("more", ["", "&dag_id=open_dag"])
def test_a_task_of_another_dag_stays_closed(server: Server, more: str):
    with server.client("limited") as client:
        answer = client.get(f"/api/dags/closed_dag/job?run_id=one&task_id=preprocess{more}")
    assert (answer.status_code, "of-closed-1" in answer.text) == (403, False)


def test_the_log_is_for_those_who_may_read_logs(server: Server):
    shown = {
        user: server.get("/api/dags/open_dag/job", user, run_id="one", task_id="preprocess")
        for user in ("viewer", "no_logs")
    }
    assert shown["viewer"]["details"]["log_tail"] == [{"host": "algo-1", "lines": ["the last line"]}]
    assert "log_tail" not in shown["no_logs"]["details"]
    assert shown["no_logs"]["notes"] == ["You don't have permission to read this DAG's task logs."]


@pytest.mark.parametrize("headers", [{}, {"X-SM-Processing": "start"}, {"X-Requested-With": "stop"}])
def test_a_stop_needs_its_header(server: Server, headers: dict[str, str]):
    with server.client("editor") as client:
        answer = client.post(
            "/api/dags/open_dag/job/stop?run_id=one&task_id=preprocess", json={"job_name": "of-open-1"}, headers=headers
        )
    assert answer.status_code == 403
    assert answer.json() == {"detail": "A stop request needs the header X-SM-Processing: stop."}


@pytest.mark.parametrize(
    ("dag_id", "job_name", "said"),
    [
        ("open_dag", "of-open-0", "'of-open-0' is no longer the task's current job. Reload the page."),
        ("closed_dag", "of-closed-1", "This job can't be stopped from Airflow's UI. The job is already completed."),
    ],
)
def test_only_the_present_job_is_stopped_and_only_while_it_runs(server: Server, dag_id: str, job_name: str, said: str):
    with server.client("editor") as client:
        answer = client.post(
            f"/api/dags/{dag_id}/job/stop?run_id=one&task_id=preprocess", json={"job_name": job_name}, headers=STOP
        )
    assert (answer.status_code, answer.json()) == (409, {"detail": said})


@pytest.mark.parametrize("body", [rb'{"job_name": "\ud800"}', b'{"job_name": NaN}', b"\xff", b"[" * 10_000])
def test_a_request_whose_content_no_answer_could_repeat_is_refused(server: Server, body: bytes):
    headers = {**STOP, "Content-Type": "application/json"}
    with server.client("editor") as client:
        answer = client.post("/api/dags/open_dag/job/stop?run_id=one&task_id=preprocess", content=body, headers=headers)
    assert 400 <= answer.status_code < 500, answer.text


def test_a_get_changes_nothing(server: Server):
    from airflow.models.taskinstance import TaskInstance

    with server.client("boss") as client:
        assert client.get("/api/dags/open_dag/job/stop?run_id=one&task_id=preprocess").status_code == 405
    statuses(server, "viewer")
    with opened(server.database) as session:
        assert sorted(session.scalars(select(TaskInstance.state))) == ["running", "success"]


@pytest.mark.parametrize("path", ["/jobs", "/static/jobs.js", "/api/jobs", "/static/absent.js", "/nowhere"])
def test_every_answer_tells_the_browser_to_be_strict(server: Server, path: str):
    with server.client("viewer") as client:
        headers = client.get(path).headers
    assert (headers["content-security-policy"], headers["x-content-type-options"]) == (POLICY, "nosniff")
    assert (headers["referrer-policy"], headers["cache-control"]) == ("same-origin", "no-store")


@pytest.mark.parametrize(
    "name", ["../app.py", "..%2fapp.py", "%2e%2e%2fapp.py", "..%5capp.py", "/etc/passwd", "app.py", "static", "."]
)
def test_only_the_pages_files_are_served(server: Server, name: str):
    with server.client("boss") as client:
        answer = client.get(f"/static/{name}")
    assert answer.status_code == 404
    assert "import" not in answer.text


def test_a_page_loads_its_files_at_once_from_where_a_browser_may_keep_them(server: Server):
    with server.client("viewer") as client:
        page = client.get("/job").text
        files = re.findall(r'(?:href|src)="(static/[^"]+)"', page)
        answers = {file: client.get(f"/{file}") for file in files}
        stale = client.get("/static/older/job.js")
    assert {file.rpartition("/")[2] for file in files} >= {"base.css", "job.js", "dom.js"}
    kept = {(answer.status_code, answer.headers["cache-control"]) for answer in answers.values()}
    assert kept == {(200, "private, max-age=31536000, immutable")}
    imported = {name for answer in answers.values() for name in re.findall(r'from "\./([\w.]+)"', answer.text)}
    assert imported <= {file.rpartition("/")[2] for file in files}
    assert (stale.status_code, stale.headers["cache-control"]) == (200, "no-store")
