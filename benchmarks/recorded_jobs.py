"""Recorded jobs in Airflow's database, made up: what tasks would have left there."""

from __future__ import annotations

import json
import random
import sys
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy.orm import Session

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
_RUNNING_OF = 500  # one of so many
_TASKS = 10  # of one run


def record(job_name: str = "preprocess-1a2b3c4d5e6f-1", **changes: Any) -> dict[str, Any]:
    """Return what a task records of a job that has completed, but for the changes."""
    console = "https://console.aws.amazon.com"
    return {
        "version": 1,
        "job_name": job_name,
        "job_arn": f"arn:aws:sagemaker:eu-west-1:123456789012:processing-job/{job_name}",
        "region": "eu-west-1",
        "status": "Completed",
        "submitted_at": NOW.isoformat(),
        "created_at": NOW.isoformat(),
        "started_at": (NOW + timedelta(minutes=4)).isoformat(),
        "ended_at": (NOW + timedelta(minutes=9)).isoformat(),
        "duration_seconds": 300.0,
        "instance_seconds": 600.0,
        "instance_type": "ml.m5.xlarge",
        "instance_count": 2,
        "instance_preferences": [],
        "image_uri": "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
        "exit_message": None,
        "failure_reason": None,
        "stop_requested_at": None,
        "error_line": None,
        "links": {
            "Job": f"{console}/sagemaker/home?region=eu-west-1#/processing-jobs/{job_name}",
            "Logs": f"{console}/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/$252Faws$252Fsagemaker",
            "Outputs": f"{console}/s3/buckets/lake?region=eu-west-1&prefix={job_name}%2F",
        },
        "try_number": 1,
        "awaited": True,
        "stop_on_kill": True,
        "aws_conn_id": "aws_default",
        **changes,
    }


def details(job_name: str = "preprocess-1a2b3c4d5e6f-1", **changes: Any) -> dict[str, Any]:
    """Return what a task records beside it, but for the changes."""
    place = {
        "name": "train",
        "uri": f"s3://lake/{job_name}/train",
        "container_path": "/opt/ml/processing/train",
        "link": f"https://console.aws.amazon.com/s3/buckets/lake?region=eu-west-1&prefix={job_name}%2Ftrain",
        "bytes": 1_234_567,
        "objects": 12,
        "complete": True,
    }
    return {
        "version": 1,
        "job_name": job_name,
        "request": {"ProcessingJobName": job_name, "Environment": {"TOKEN": "***"}},
        "inputs": [],
        "outputs": [place],
        "log_tail": [{"host": "algo-1", "lines": ["the last line"]}],
        **changes,
    }


@dataclass(frozen=True, kw_only=True)
class TaskRow:
    """A task instance, and what it left."""

    dag_id: str
    run_id: str = "manual__2026-11-20T12:00:00+00:00"
    task_id: str = "preprocess"
    map_index: int = -1
    state: str | None = "success"
    try_number: int = 1
    xcoms: Mapping[str, Any] = field(default_factory=dict)
    """By their keys."""
    stored: Mapping[str, Any] = field(default_factory=dict)
    """In `task_state_store`, where there is one; texts as they are, other values as JSON."""
    written_at: datetime = NOW + timedelta(minutes=9)


def insert(session: Session, rows: Sequence[TaskRow]) -> None:
    """Put task instances in Airflow's database, with the DAGs and runs that they need."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from sqlalchemy import insert as into
    from sqlalchemy import select

    if session.get(DagBundleModel, "made-up") is None:
        session.execute(into(DagBundleModel).values(name="made-up"))
    known = set(session.scalars(select(DagModel.dag_id)))
    for dag_id in {row.dag_id for row in rows} - known:
        session.execute(into(DagModel).values(dag_id=dag_id, **_dag_columns()))
    runs = dict.fromkeys((row.dag_id, row.run_id) for row in rows)
    for dag_id, run_id in runs:
        there = session.scalar(select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if there is None:
            run = into(DagRun).values(dag_id=dag_id, run_id=run_id, run_type="manual", state="success", run_after=NOW)
            there = session.execute(run.returning(DagRun.id)).scalar_one()
        runs[dag_id, run_id] = there
    session.execute(into(TaskInstance), [_task(row) for row in rows])
    xcoms = [
        _place(row, runs) | {"key": key, "value": value, "timestamp": row.written_at}
        for row in rows
        for key, value in row.xcoms.items()
    ]
    if xcoms:
        session.execute(into(XComModel), xcoms)
    _store(session, [(_place(row, runs), row) for row in rows if row.stored])
    session.commit()


def _dag_columns() -> dict[str, Any]:
    return {
        "bundle_name": "made-up",
        "is_stale": False,
        "is_paused": False,
        "max_active_tasks": 16,
        "max_consecutive_failed_dag_runs": 0,
        "has_task_concurrency_limits": False,
    }


def _task(row: TaskRow) -> dict[str, Any]:
    place = {"dag_id": row.dag_id, "run_id": row.run_id, "task_id": row.task_id, "map_index": row.map_index}
    return {**place, "state": row.state, "try_number": row.try_number, "pool": "default_pool", "pool_slots": 1}


def _place(row: TaskRow, runs: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    place = {"dag_id": row.dag_id, "run_id": row.run_id, "task_id": row.task_id, "map_index": row.map_index}
    return {"dag_run_id": runs[row.dag_id, row.run_id], **place}


def _store(session: Session, rows: Sequence[tuple[dict[str, Any], TaskRow]]) -> None:
    try:
        from airflow.models.task_state_store import TaskStateStoreModel
    except ImportError:  # before Airflow 3.3
        return
    from sqlalchemy import insert as into

    values = [
        place
        | {"key": key, "value": value if isinstance(value, str) else json.dumps(value), "updated_at": row.written_at}
        for place, row in rows
        for key, value in row.stored.items()
    ]
    if values:
        session.execute(into(TaskStateStoreModel), values)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def crowd(count: int) -> Iterator[TaskRow]:
    """Yield so many task instances with a job each, a minute apart, with a tenth failed and some running."""
    chance = random.Random(count)  # no secret: the same jobs every time
    for number in range(count):
        name = f"job-{number:06d}-1a2b3c4d5e6f"
        when = NOW - timedelta(minutes=number)
        dag_id, run_id = f"dag_{number // _TASKS % 50:02d}", f"scheduled__{number // _TASKS:06d}"
        status = "InProgress" if number % _RUNNING_OF == 0 else chance.choices(["Completed", "Failed"], [9, 1])[0]
        seconds = None if status == "InProgress" else float(chance.randrange(60, 7200))
        it = record(
            name,
            status=status,
            submitted_at=when.isoformat(),
            ended_at=None if seconds is None else (when + timedelta(seconds=seconds)).isoformat(),
            duration_seconds=seconds,
            instance_seconds=seconds and seconds * 2,
            failure_reason="AlgorithmError: exit code: 1, " + "x" * 300 if status == "Failed" else None,
        )
        yield TaskRow(
            dag_id=dag_id,
            run_id=run_id,
            task_id=f"task_{number % _TASKS}",
            state={"InProgress": "running", "Failed": "failed"}.get(status, "success"),
            xcoms={"_job": it, "_job_details": details(name)},
            stored={f"processing_job:{name}": it},
            written_at=when + timedelta(seconds=seconds or 1),
        )


def _fill(count: int) -> None:
    from airflow.utils.session import create_session

    with create_session() as session:
        insert(session, list(crowd(count)))


if __name__ == "__main__":
    _fill(int(sys.argv[1]))
