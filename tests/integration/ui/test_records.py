"""Reading recorded jobs from Airflow's own tables."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, event, update

from benchmarks.recorded_jobs import NOW, TaskRow, insert, record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

OPEN: dict[str, Any] = {"status": "InProgress", "ended_at": None, "duration_seconds": None, "instance_seconds": None}


def xcom(job_name: str, **changes: Any) -> dict[str, Any]:
    return {"_job": record(job_name, **changes)}


def stored(*records: dict[str, Any]) -> dict[str, Any]:
    return {f"processing_job:{item['job_name']}": item for item in records}


def names(recorded: Any) -> list[tuple[str, bool]]:
    return sorted((row.job_name, row.superseded) for row in recorded.rows)


@pytest.fixture
def reader():
    from airflow_sm_processing.ui.records import RecordReader

    return RecordReader()


@pytest.fixture
def statements(session: Session) -> Iterator[list[str]]:
    """The SQL that is sent."""
    sent: list[str] = []

    def keep(_connection, _cursor, statement, *_more) -> None:
        sent.append(statement)

    event.listen(session.get_bind(), "before_cursor_execute", keep)
    yield sent
    event.remove(session.get_bind(), "before_cursor_execute", keep)


def test_jobs_are_read_from_xcom_and_those_of_earlier_tries_from_the_store(session, reader):
    first = record("first", **OPEN, submitted_at=(NOW - timedelta(hours=1)).isoformat())
    retried = record("second", try_number=2)
    insert(session, [TaskRow(dag_id="dag", xcoms={"_job": retried}, stored=stored(first, retried), try_number=2)])
    recorded = reader.read(session, {"dag"})
    assert names(recorded) == [("first", True), ("second", False)]
    assert {row.job_name: row.stored for row in recorded.rows} == {"first": True, "second": False}


def test_the_xcom_is_the_newer_truth_of_one_job(session, reader):
    insert(session, [TaskRow(dag_id="dag", xcoms=xcom("job"), stored=stored(record("job", **OPEN)))])
    assert [(row.job_name, row.status.value) for row in reader.read(session, {"dag"}).rows] == [("job", "Completed")]


def test_a_cleared_tasks_job_is_an_earlier_one(session, reader):
    insert(session, [TaskRow(dag_id="dag", state=None, stored=stored(record("job")))])
    assert names(reader.read(session, {"dag"})) == [("job", True)]


def test_mapped_tasks_and_runs_are_kept_apart(session, reader):
    rows = [
        TaskRow(dag_id=dag_id, run_id=run_id, map_index=index, xcoms=xcom(f"{dag_id}-{run_id}-{index}"))
        for dag_id in ("a", "b")
        for run_id in ("one", "two")
        for index in (0, 1)
    ]
    insert(session, rows)
    found = {
        (*row.task_instance[1:3], row.task_instance.map_index): row.job_name
        for row in reader.read(session, {"a", "b"}).rows
    }
    assert found == {key: "-".join(map(str, key)) for key in found}
    assert len(found) == 8


def test_only_what_belongs_to_the_dags_is_given(session, reader):
    rows = [TaskRow(dag_id=dag_id, xcoms=xcom(f"of-{dag_id}")) for dag_id in ("a", "b")]
    insert(session, [*rows, TaskRow(dag_id="b", task_id="bad", xcoms={"_job": "bad"})])
    assert names(reader.read(session, {"a"})) == [("of-a", False)]
    assert len(reader.read(session, {"a"}).unreadable) == 0
    assert len(reader.read(session, {"a", "b"}).unreadable) == 1
    assert names(reader.read(session, set())) == []


FORGED = {
    "no record": {"surprise": 1},
    "null": None,
    "text": "s3://bucket/xcom/1",
    "number": 7,
    "list": [record("in-a-list")],
    "too long": record("long", failure_reason="x" * 200_000),
    "not a number": record("nan", duration_seconds=float("nan")),
    "deep": json.loads("[" * 500 + "]" * 500),
    "surrogate": record("\ud800", status="Gone"),
}


def test_what_is_no_record_is_passed_over_and_counted(session, reader):
    bad = [TaskRow(dag_id="dag", task_id=name, xcoms={"_job": value}) for name, value in FORGED.items()]
    torn = TaskRow(dag_id="dag", task_id="torn", stored={"processing_job:torn": '{"job_name": '})
    insert(session, [*bad, torn, TaskRow(dag_id="dag", xcoms=xcom("good"))])
    recorded = reader.read(session, {"dag"})
    assert names(recorded) == [("good", False)]
    assert len(recorded.unreadable) == len(FORGED) + 1


def test_a_record_beyond_reckoning_costs_the_readers_of_other_dags_nothing(session, reader):
    bad = TaskRow(dag_id="bad", xcoms=xcom("bad", duration_seconds=10**400))
    insert(session, [bad, TaskRow(dag_id="good", xcoms=xcom("good"))])
    assert names(reader.read(session, {"good"})) == [("good", False)]


@pytest.mark.parametrize("name", ["another", "\ud800", "\0"])
def test_a_stored_record_under_another_jobs_key_is_passed_over(session, reader, name):
    from airflow_sm_processing.ui.records import load_jobs

    insert(session, [TaskRow(dag_id="dag", xcoms=xcom("good"), stored={"processing_job:one": record(name)})])
    recorded = reader.read(session, {"dag"})
    assert [job.job_name for job in load_jobs(session, recorded.rows, "")] == ["good"]
    assert len(recorded.unreadable) == 1


def test_the_store_stands_in_for_xcoms_that_a_backend_keeps_elsewhere(session, reader):
    older = record("older", submitted_at=(NOW - timedelta(hours=1)).isoformat())
    row = TaskRow(dag_id="dag", xcoms={"_job": "s3://xcoms/1"}, stored=stored(older, record("newer")))
    insert(session, [row])
    recorded = reader.read(session, {"dag"})
    assert names(recorded) == [("newer", False), ("older", True)]
    assert len(recorded.unreadable) == 0


def test_a_record_is_parsed_again_only_when_it_was_written_again(session, reader, statements):
    from airflow.models.xcom import XComModel

    insert(session, [TaskRow(dag_id="dag", task_id=str(number), xcoms=xcom(f"job-{number}")) for number in range(3)])
    reader.read(session, {"dag"})
    statements.clear()
    reader.read(session, {"dag"})
    assert [statement.split()[1] for statement in statements] == ["count(*)"] * 2  # one for each table
    later = update(XComModel).where(XComModel.task_id == "1").values(value=record("new-1"))
    session.execute(later.values(timestamp=NOW + timedelta(days=1)))
    statements.clear()
    assert names(reader.read(session, {"dag"})) == [("job-0", False), ("job-2", False), ("new-1", False)]
    (contents,) = [statement for statement in statements if "xcom.value" in statement]
    assert contents.count("?") < 12  # of one row's key, and the bound of its length


def test_a_deleted_record_is_gone(session, reader):
    from airflow.models.xcom import XComModel

    insert(session, [TaskRow(dag_id="dag", task_id=str(number), xcoms=xcom(f"job-{number}")) for number in range(2)])
    assert len(reader.read(session, {"dag"}).rows) == 2
    session.execute(delete(XComModel).where(XComModel.task_id == "0"))
    assert names(reader.read(session, {"dag"})) == [("job-1", False)]


def test_what_a_mark_hides_is_found_when_its_trust_is_over(session):
    from airflow.models.xcom import XComModel

    from airflow_sm_processing.ui.records import RecordReader

    times = iter([0.0, 29.0, 31.0])
    reader = RecordReader(clock=lambda: next(times))
    insert(session, [TaskRow(dag_id="dag", task_id=str(number), xcoms=xcom(f"job-{number}")) for number in range(2)])
    reader.read(session, {"dag"})
    hidden = update(XComModel).where(XComModel.task_id == "0").values(value=record("new"))
    session.execute(hidden.values(timestamp=NOW))  # earlier than the other's, as of a transaction that took its time
    assert names(reader.read(session, {"dag"})) == [("job-0", False), ("job-1", False)]
    assert names(reader.read(session, {"dag"})) == [("job-1", False), ("new", False)]


def test_many_records_are_read_at_once(session, reader, statements):
    rows = [TaskRow(dag_id="dag", map_index=number, xcoms=xcom(f"job-{number}")) for number in range(600)]
    insert(session, rows)
    statements.clear()
    assert len(reader.read(session, {"dag"}).rows) == 600
    assert len([statement for statement in statements if "xcom.value" in statement]) == 1


def test_of_too_many_records_the_newest_are_read(session):
    from airflow_sm_processing.ui.records import RecordReader

    times = [NOW + timedelta(hours=number) for number in range(3)]
    rows = [TaskRow(dag_id="dag", map_index=at.hour, xcoms=xcom(f"job-{at.hour}"), written_at=at) for at in times]
    insert(session, rows)
    recorded = RecordReader(limit=2).read(session, {"dag"})
    assert (names(recorded), recorded.truncated) == ([("job-13", False), ("job-14", False)], True)


def test_one_task_is_read_by_itself(session):
    from airflow_sm_processing.ui.models import TaskInstanceKey
    from airflow_sm_processing.ui.records import read_task_instance

    first, second = record("first", **OPEN), record("second", try_number=2)
    task = TaskRow(dag_id="dag", xcoms={"_job": second, "_job_details": {}}, stored=stored(first, second), try_number=2)
    insert(session, [task, TaskRow(dag_id="dag", task_id="other", xcoms=xcom("other"))])
    assert names(read_task_instance(session, TaskInstanceKey(1, "dag", task.run_id, "preprocess", -1))) == [
        ("first", True),
        ("second", False),
    ]


def test_statuses_are_judged_by_the_task_instances(session, reader):
    from airflow_sm_processing.ui.records import Filters, filter_rows, load_jobs

    states = {"runs": "running", "ended": "failed", "waits": "deferred"}
    insert(
        session, [TaskRow(dag_id="dag", task_id=task, state=states[task], xcoms=xcom(task, **OPEN)) for task in states]
    )
    rows = reader.read(session, {"dag"}).rows
    assert {row.job_name: row.current_status for row in filter_rows(session, rows, Filters())} == {
        "runs": "InProgress",
        "ended": "Unknown",
        "waits": "InProgress",
    }
    unknown = filter_rows(session, rows, Filters(statuses=frozenset({"Unknown"})))
    expected = record("ended", **OPEN)
    del expected["version"]
    url = "/base/dags/dag/runs/manual__2026-11-20T12%3A00%3A00%2B00%3A00/tasks/ended"
    assert [job.model_dump(mode="json") for job in load_jobs(session, unknown, "/base")] == [
        {
            **expected,
            "status": "Unknown",
            "status_note": "The task ended before the job's end was recorded (task state: failed).",
            "dag_id": "dag",
            "run_id": "manual__2026-11-20T12:00:00+00:00",
            "task_id": "ended",
            "map_index": -1,
            "superseded": False,
            "task_state": "failed",
            "dag_url": "/base/dags/dag",
            "task_url": url,
            "tab_url": f"{url}/plugin/sagemaker-processing-job",
        }
    ]
