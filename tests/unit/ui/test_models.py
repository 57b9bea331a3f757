"""Records as the pages show them, also malformed and forged ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.processing.models import job_links
from airflow_sm_processing.ui.models import JobRow, TaskInstanceKey, parse_details, parse_record
from airflow_sm_processing.ui.records import parse_row
from airflow_sm_processing.ui.sanitize import MalformedRecordError
from benchmarks.recorded_jobs import NOW, details, record

KEY = TaskInstanceKey(1, "dag", "run", "task", -1)


def record_fields(content: str) -> dict[str, Any]:
    """Return a record as the API answers with it."""
    return parse_record(content).model_dump(mode="json")


def details_fields(content: str) -> dict[str, Any]:
    """Return the details of a record as the API answers with them, and whose they are."""
    details = parse_details(content)
    return {"job_name": details.job_name, **details.model_dump(mode="json")}


def test_a_record_becomes_a_row():
    row = parse_row(KEY, json.dumps(record("name", status="Failed", ended_at=None)), stored=True)
    assert row == JobRow(
        task_instance=KEY,
        job_name="name",
        status=JobStatus.FAILED,
        submitted_at=NOW,
        ended_at=None,
        duration_seconds=300.0,
        instance_seconds=600.0,
        try_number=1,
        awaited=True,
        stored=True,
    )


def test_a_record_that_was_serialized_twice_is_read():
    once = json.dumps(record("name"))
    assert parse_row(KEY, json.dumps(once), stored=False) == parse_row(KEY, once, stored=False)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "null",
        "[]",
        '"s3://bucket/xcom"',
        "[" * 100_000,
        json.dumps(record("name")).replace("300.0", "NaN"),
        json.dumps(record("name")).replace("300.0", "1e999"),
        json.dumps(record("name", try_number=1)).replace('"try_number": 1', '"try_number": ' + "1" * 5000),
        json.dumps(record("")),
        json.dumps(record(None)),
        json.dumps(record({"a": 1})),
        json.dumps(record("name", status="Unknown")),
        json.dumps(record("name", status=["Completed"])),
        json.dumps(record("name", submitted_at=None)),
        json.dumps(record("name", submitted_at="yesterday")),
        json.dumps(record("name", submitted_at="2026-11-20T12:00:00")),
        json.dumps(record("name", submitted_at="0001-01-01T00:00:00+14:00")),
        json.dumps(record("name", submitted_at="0001-06-01T00:00:00+00:00")),
        json.dumps(record("name", submitted_at="9999-12-31T23:59:59+00:00")),
    ],
)
def test_a_malformed_record_is_rejected(content: str):
    with pytest.raises(MalformedRecordError):
        parse_row(KEY, content, stored=False)


@pytest.mark.parametrize("value", [-1, "300", True, None, [], {}, 10**400, 1.7e308])
def test_an_invalid_number_is_left_out(value: object):
    content = json.dumps(record("name", duration_seconds=value, instance_seconds=value))
    row = parse_row(KEY, content, stored=False)
    assert (row.duration_seconds, row.instance_seconds) == (None, None)


def test_all_fields_of_a_record_but_its_version_are_shown():
    it = record("name", instance_preferences=["ml.m5.xlarge"], failure_reason="<b>no</b>")
    assert record_fields(json.dumps(it)) == {name: value for name, value in it.items() if name != "version"}


def test_fields_of_other_types_and_unknown_ones_are_not_shown():
    it = record("name", exit_message={"a": 1}, instance_count="2", instance_preferences="ml", region=1, surprise="x")
    known = record("name", exit_message=None, instance_count=None, instance_preferences=[], region=None)
    del known["version"]
    assert record_fields(json.dumps(it)) == known


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "http://console.aws.amazon.com/",
        "//console.aws.amazon.com/",
        "data:text/html,x",
        "https://logs/",
        "https://console.aws.amazon.com",
        "https://console.aws.amazon.com.evil.example/",
        "https://evilconsole.aws.amazon.com/",
        "https://127.0.0.1:8080@evil.example/",
        "https://console.aws.amazon.com@evil.example/",
        "https://console.aws.amazon.com:443/",
        "https://evil.example\\@console.aws.amazon.com/",
        "https://evil.example/https://console.aws.amazon.com/",
        "https://console.aws.amazon.com/\\evil",
        "https://console.aws.amazon.com/a b",
        "https://console.aws.amazon.com/\n",
        "https://console.aws.amazon.com/" + "x" * 5000,
        7,
        None,
    ],
)
def test_only_addresses_of_the_aws_console_are_links(url: object):
    logs = "https://eu-west-1.console.aws.amazon.com/cloudwatch/home"
    it = record_fields(json.dumps(record("name", links={"Job": url, "Logs": logs, "Other": logs})))
    assert it["links"] == {"Logs": logs}
    (output,) = details_fields(json.dumps(details("name", outputs=[{"name": "a", "link": url}])))["outputs"]
    assert output["link"] is None


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov", "elsewhere"])
def test_the_addresses_that_tasks_record_are_links(partition: str):
    links = job_links("name", region="cn-north-1", partition=partition, output_uris=["s3://bucket/a b/ü"])
    assert record_fields(json.dumps(record("name", links=links)))["links"] == links


def test_a_record_that_is_too_large_is_shortened():
    names = ("exit_message", "failure_reason", "image_uri", "region", "job_arn", "aws_conn_id", "instance_type")
    shown = record_fields(json.dumps(record("n" * 4000, **dict.fromkeys(names, "\U0001f600" * 4000))))
    assert len(json.dumps(shown)) <= 16_384
    assert shown["failure_reason"] == "This job's record is too large to show in full."
    assert (shown["job_name"], shown["status"], shown["duration_seconds"]) == ("n" * 100, "Completed", 300.0)


def test_a_text_longer_than_sagemakers_is_cut():
    shown = record_fields(json.dumps(record("name", failure_reason="x" * 30_000)))
    assert shown["failure_reason"] == "x" * 4_000 + "…"


def test_all_fields_of_the_details_but_their_version_are_shown():
    it = details("name")
    assert details_fields(json.dumps(it)) == {name: value for name, value in it.items() if name != "version"}


def test_details_of_other_types_are_left_out():
    it = details("name", request=[], inputs={"a": 1}, outputs=["x"], log_tail=[{"host": 1, "lines": ["a", 2]}, None])
    nothing = {"name": None, "uri": None, "container_path": None, "link": None, "bytes": None, "objects": None}
    assert details_fields(json.dumps(it)) == {
        "job_name": "name",
        "request": None,
        "inputs": [],
        "outputs": [{**nothing, "complete": False}],
        "log_tail": [{"host": None, "lines": ["a"]}, {"host": None, "lines": []}],
    }


@pytest.mark.parametrize("content", ["{}", "[]", json.dumps(details("name")).replace("{}", "1")[:-1]])
def test_malformed_details_are_rejected(content: str):
    with pytest.raises(MalformedRecordError):
        details_fields(content)


def test_a_request_that_is_nested_too_deeply_is_rejected():
    deep = '{"a":' * 60 + "1" + "}" * 60
    with pytest.raises(MalformedRecordError, match="nested too deeply"):
        details_fields(json.dumps(details("name", request=None)).replace("null", deep, 1))


@pytest.mark.parametrize("text", ["\ud800", "ok \udfff"])
def test_lone_surrogates_in_a_request_are_replaced(text: str):
    fields = details_fields(json.dumps(details("name", request={text: [{text: text}]})))
    clean = text.encode(errors="replace").decode()
    assert fields["request"] == {clean: [{clean: clean}]}
