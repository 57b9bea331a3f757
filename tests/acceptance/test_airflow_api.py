"""The client of Airflow's REST API asks again what the server failed to do, and only that."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from demo.airflow_api import AirflowApi, AirflowApiError
from demo.ports import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN, RUN = "/auth/token", "/api/v2/dags/a/dagRuns/b"
ANSWERS = {TOKEN: {"access_token": "token"}, RUN: {"state": "running"}}


@contextmanager
def api_server(*statuses: int) -> Iterator[tuple[str, list[str]]]:
    """Answer with these statuses, from then on with the last, and yield the URL and the paths that are asked for."""
    asked: list[str] = []
    left = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.end_headers()
            self.wfile.write(json.dumps(ANSWERS[self.path]).encode())

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def test_what_the_server_failed_to_do_is_asked_again() -> None:
    with api_server(500, 200, 500, 503, 200) as (url, asked), AirflowApi(url) as api:
        assert api.run_state("a", "b") == "running"
    assert asked == [*[TOKEN] * 2, *[RUN] * 3]


def test_what_the_server_refuses_is_asked_once() -> None:
    with api_server(200, 404) as (url, asked), AirflowApi(url) as api, pytest.raises(AirflowApiError, match="404"):
        api.run_state("a", "b")
    assert asked == [TOKEN, RUN]


def test_a_server_that_goes_on_failing_is_told_by_its_last_answer() -> None:
    with api_server(200, 503) as (url, asked), AirflowApi(url) as api, pytest.raises(AirflowApiError, match="503"):
        api.run_state("a", "b")
    assert asked == [TOKEN, *[RUN] * 12]
