"""The worker that finishes: it shows the rest of an ended job's log, from where the trigger's event says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3

from airflow_sm_processing.processing.log_events import LogPosition
from airflow_sm_processing.processing.waiter import JobLogs
from benchmarks.watching.contenders import REGION
from benchmarks.watching.line_check import LineCheck

if TYPE_CHECKING:
    from collections.abc import Mapping


def handed_over(report: Mapping[str, Any], port: int, written: dict[str, int]) -> LineCheck:
    """Judge what triggers and workers showed together, against the lines that were written."""
    check = LineCheck()
    check.next.update(report["lines"])
    for key, numbers in report["missing"].items():
        check.missing[key].update(numbers)
    check.faults.update(report["line_faults"])
    client: Any = boto3.client(
        "logs",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name=REGION,
        aws_access_key_id="bench",
        aws_secret_access_key="bench",
    )
    for job, (_, payload) in report["events"].items():
        position = payload.get("log_position")
        logs = JobLogs(client, job, position=LogPosition.from_plain(position) if position else None)
        for line in logs.new_lines():
            check.show(job, str(line))
    check.count_lost(written)
    return check
