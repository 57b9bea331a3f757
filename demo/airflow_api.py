"""Airflow's public REST API, as far as the demo and the acceptance tests need it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx
from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_random

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from typing_extensions import Self

RUN_ENDED = frozenset({"success", "failed"})


class AirflowApiError(Exception):
    """The API server refused a request, or didn't answer."""


@dataclass(frozen=True, kw_only=True)
class TaskInstance:
    """One task of a run, and what became of it."""

    task_id: str
    map_index: int
    id: str
    """Of this try: each gets one of its own."""
    state: str | None
    try_number: int
    seconds: float | None
    """From the first start to the end, a deferred time included; None until it ended."""
    triggerer: int | None
    """The triggerer that has its trigger, by the number of its job in Airflow's database."""

    @classmethod
    def from_response(cls, found: dict[str, Any]) -> TaskInstance:
        """Take over what the REST API says."""
        return cls(
            task_id=found["task_id"],
            map_index=found["map_index"],
            id=found["id"],
            state=found["state"],
            try_number=found["try_number"],
            seconds=_seconds_between(found["start_date"], found["end_date"]),
            triggerer=(found["trigger"] or {}).get("triggerer_id"),
        )

    @property
    def label(self) -> str:
        """Name the task, and its index in a mapped one."""
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"


@dataclass(frozen=True, kw_only=True)
class StateMismatch:
    """A task that the scheduler itself has failed: what it says then is in no task's log."""

    task_id: str
    map_index: int
    reason: str

    @classmethod
    def from_response(cls, found: dict[str, Any]) -> StateMismatch:
        """Take over what the REST API says."""
        map_index = found["map_index"]
        return cls(
            task_id=found["task_id"], map_index=-1 if map_index is None else map_index, reason=str(found["extra"])
        )


_repeating = Retrying(
    retry=retry_if_result(lambda response: response.is_server_error),
    retry_error_callback=lambda last: last.outcome and last.outcome.result(),
    wait=wait_random(0.5, 1.5),
    stop=stop_after_attempt(12),
)


def repeated(request: Callable[..., httpx.Response], *arguments: Any, **options: Any) -> httpx.Response:
    """Make a request, again if the server failed: on SQLite, Airflow gives up while another holds the database's lock.

    Returns:
        The first answer that isn't an error of the server's, or the last.
    """
    return _repeating(request, *arguments, **options)


class AirflowApi:
    """An admin's client of an Airflow that everybody may use as admin."""

    def __init__(self, url: str) -> None:
        # trust_env: no proxy of the user's has business on loopback.
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=90)
        self._logged_in = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._http.close()

    def health(self) -> dict[str, str]:
        """Return each component's status, such as `healthy`; empty while the API server doesn't answer."""
        try:
            response = self._http.get("/api/v2/monitor/health", timeout=2)
        except httpx.TransportError:
            return {}
        return {name: found["status"] for name, found in response.json().items()} if response.is_success else {}

    def dag_ids(self) -> set[str]:
        """Return the DAGs that the DAG processor has loaded."""
        return {dag["dag_id"] for dag in self._get("dags", limit=100)["dags"]}

    def bundle_version(self, dag_id: str) -> str | None:
        """Return the version of its bundle that a DAG was loaded from last; None if it has none."""
        version: str | None = self._get(f"dags/{dag_id}")["bundle_version"]
        return version

    def import_errors(self) -> dict[str, str]:
        """Return the files that the DAG processor couldn't load, with their errors."""
        errors = self._get("importErrors")["import_errors"]
        return {error["filename"]: error["stack_trace"] for error in errors}

    def trigger(self, dag_id: str, *, conf: dict[str, Any] | None = None) -> str:
        """Start a run, and return its id."""
        body = {"logical_date": None, "conf": conf or {}}
        run_id: str = self._change("POST", f"dags/{dag_id}/dagRuns", body).json()["dag_run_id"]
        return run_id

    def run_ids(self, dag_id: str) -> list[str]:
        """Return a DAG's runs, the oldest first."""
        found = self._get(f"dags/{dag_id}/dagRuns", order_by="run_after", limit=100)["dag_runs"]
        return [run["dag_run_id"] for run in found]

    def asset_events(self, name: str) -> list[dict[str, Any]]:
        """Return the events of an asset, the oldest first; none if Airflow doesn't know it."""
        assets = self._get("assets", name_pattern=name, limit=100)["assets"]
        numbers = [asset["id"] for asset in assets if asset["name"] == name]
        found = [self._get("assets/events", asset_id=number, order_by="timestamp", limit=100) for number in numbers]
        return [event for page in found for event in page["asset_events"]]

    def variable(self, key: str) -> str:
        """Return a variable's text."""
        text: str = self._get(f"variables/{key}")["value"]
        return text

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return a run's state, such as `running`."""
        state: str = self._get(f"dags/{dag_id}/dagRuns/{run_id}")["state"]
        return state

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        """Return a run's tasks, those that started first first."""
        found = self._get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances", order_by="start_date", limit=100)[
            "task_instances"
        ]
        return [TaskInstance.from_response(item) for item in found]

    def rendered_fields(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """Return a task's template fields as they were rendered."""
        fields: dict[str, Any] = self._get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}")["rendered_fields"]
        return fields

    def xcoms(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1) -> dict[str, Any]:
        """Return all that a task pushed, by key."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries"
        keys = [entry["key"] for entry in self._get(path, map_index=map_index)["xcom_entries"]]
        return {key: self._get(f"{path}/{key}", map_index=map_index)["value"] for key in keys}

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str) -> Any:
        """Return what a task pushed under a key; None if it has not."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries"
        return self._get(f"{path}/{key}")["value"] if self._get(path, xcom_key=key)["xcom_entries"] else None

    def log(self, dag_id: str, run_id: str, task: TaskInstance) -> str:
        """Return a task's log as Airflow shows it, one event a line."""
        return "\n".join(map(_event_text, self.log_events(dag_id, run_id, task)))

    def log_events(self, dag_id: str, run_id: str, task: TaskInstance) -> list[dict[str, Any]]:
        """Return the events of a task's log, with all of their fields."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task.task_id}/logs/{max(task.try_number, 1)}"
        text = self._request(
            "GET", path, params={"map_index": task.map_index}, headers={"Accept": "application/x-ndjson"}
        ).text
        return [json.loads(line) for line in text.splitlines() if line]

    def state_mismatches(self, dag_id: str, run_id: str) -> list[StateMismatch]:
        """Return the tasks of a run that the scheduler itself has failed, the oldest first."""
        found = self._get("eventLogs", dag_id=dag_id, run_id=run_id, event="state mismatch", order_by="id", limit=100)
        return [StateMismatch.from_response(entry) for entry in found["event_logs"]]

    def set_state(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Mark a task, such as `failed`, as a user does."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        self._change("PATCH", path, {"new_state": state})

    def set_run_state(self, dag_id: str, run_id: str, state: str) -> None:
        """Mark a run, such as `failed`, as a user does."""
        self._change("PATCH", f"dags/{dag_id}/dagRuns/{run_id}", {"state": state})

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Clear a task, so that it runs again, whatever its state."""
        self._clear(dag_id, run_id, task_ids=[task_id], only_failed=False)

    def clear_failed(self, dag_id: str, run_id: str, tasks: Iterable[tuple[str, int]]) -> None:
        """Clear failed tasks, by id and map index, and the tasks downstream that failed because of them."""
        task_ids = [list(task) if task[1] >= 0 else task[0] for task in tasks]
        self._clear(dag_id, run_id, task_ids=task_ids, only_failed=True, include_downstream=True)

    def _clear(self, dag_id: str, run_id: str, **options: Any) -> None:
        self._change("POST", f"dags/{dag_id}/clearTaskInstances", {"dry_run": False, "dag_run_id": run_id, **options})

    def triggerers(self) -> set[int]:
        """Return the triggerers that have reported themselves lately, by the numbers of their jobs."""
        found = self._get("jobs", job_type="TriggererJob", job_state="running", is_alive=True)["jobs"]
        return {job["id"] for job in found}

    def _change(self, method: str, path: str, changes: dict[str, Any]) -> httpx.Response:
        return self._request(method, path, json=changes)

    def _get(self, path: str, **parameters: Any) -> Any:
        return self._request("GET", path, params=parameters).json()

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            if not self._logged_in:
                self._log_in()
            return repeated(self._http.request, method, f"/api/v2/{path}", **options).raise_for_status()
        except httpx.HTTPError as error:
            raise AirflowApiError(
                f"Airflow's API server on {self._http.base_url} failed: {method} {path}: {error}"
            ) from error

    def _log_in(self) -> None:
        token = repeated(self._http.get, "/auth/token").raise_for_status().json()["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"
        self._logged_in = True


def _event_text(event: dict[str, Any]) -> str:
    errors = [f"{error['exc_type']}: {error['exc_value']}" for error in event.get("error_detail") or ()]
    return "\n".join([str(event.get("event", "")), *errors])


def _seconds_between(start: str | None, end: str | None) -> float | None:
    if start is None or end is None:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
