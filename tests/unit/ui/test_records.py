"""What becomes of records that anybody may have written."""

from __future__ import annotations

import json

import pytest

from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.processing.s3_uris import job_links
from airflow_sm_processing.ui.hostile import MalformedError
from airflow_sm_processing.ui.rows import JobRow, Place, row_of
from airflow_sm_processing.ui.shown import shown_details, shown_record
from benchmarks.recorded_jobs import NOW, details, record

PLACE = Place(1, "dag", "run", "task", -1)


def test_a_record_becomes_a_row():
    row = row_of(PLACE, json.dumps(record("name", status="Failed", ended_at=None)), stored=True)
    assert row == JobRow(
        place=PLACE,
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
    assert row_of(PLACE, json.dumps(once), stored=False) == row_of(PLACE, once, stored=False)


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
def test_what_is_no_record_is_refused(content: str):
    with pytest.raises(MalformedError):
        row_of(PLACE, content, stored=False)


@pytest.mark.parametrize("value", [-1, "300", True, None, [], {}, 10**400, 1.7e308])
def test_a_number_that_is_none_is_left_out(value: object):
    content = json.dumps(record("name", duration_seconds=value, instance_seconds=value))
    row = row_of(PLACE, content, stored=False)
    assert (row.duration_seconds, row.instance_seconds) == (None, None)


def test_what_tasks_record_is_shown_but_for_the_version():
    it = record("name", instance_preferences=["ml.m5.xlarge"], failure_reason="<b>no</b>")
    assert shown_record(json.dumps(it)) == {name: value for name, value in it.items() if name != "version"}


def test_fields_of_other_types_and_unknown_ones_are_not_shown():
    it = record("name", exit_message={"a": 1}, instance_count="2", instance_preferences="ml", region=1, surprise="x")
    known = record("name", exit_message=None, instance_count=None, instance_preferences=[], region=None)
    del known["version"]
    assert shown_record(json.dumps(it)) == known


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
    it = shown_record(json.dumps(record("name", links={"Job": url, "Logs": logs, "Other": logs})))
    assert it["links"] == {"Logs": logs}
    (place,) = shown_details(json.dumps(details("name", outputs=[{"name": "a", "link": url}])))["outputs"]
    assert place["link"] is None


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov", "elsewhere"])
def test_the_addresses_that_tasks_record_are_links(partition: str):
    links = job_links("name", region="cn-north-1", partition=partition, output_uris=["s3://bucket/a b/ü"])
    assert shown_record(json.dumps(record("name", links=links)))["links"] == links


def test_a_record_that_is_too_large_for_a_page_of_hundreds_is_shown_in_short():
    names = ("exit_message", "failure_reason", "image_uri", "region", "job_arn", "aws_conn_id", "instance_type")
    shown = shown_record(json.dumps(record("n" * 4000, **dict.fromkeys(names, "\U0001f600" * 4000))))
    assert len(json.dumps(shown)) <= 16_384
    assert shown["failure_reason"] == "This job's record is too large to be shown whole."
    assert (shown["job_name"], shown["status"], shown["duration_seconds"]) == ("n" * 100, "Completed", 300.0)


def test_a_text_longer_than_sagemakers_is_cut():
    shown = shown_record(json.dumps(record("name", failure_reason="x" * 30_000)))
    assert shown["failure_reason"] == "x" * 4_000 + "…"


def test_details_are_shown_but_for_the_version():
    it = details("name")
    assert shown_details(json.dumps(it)) == {name: value for name, value in it.items() if name != "version"}


def test_details_of_other_types_are_left_out():
    it = details("name", request=[], inputs={"a": 1}, outputs=["x"], log_tail=[{"host": 1, "lines": ["a", 2]}, None])
    nothing = {"name": None, "uri": None, "container_path": None, "link": None, "bytes": None, "objects": None}
    assert shown_details(json.dumps(it)) == {
        "job_name": "name",
        "request": None,
        "inputs": [],
        "outputs": [{**nothing, "complete": False}],
        "log_tail": [{"host": None, "lines": ["a"]}, {"host": None, "lines": []}],
    }


@pytest.mark.parametrize("content", ["{}", "[]", json.dumps(details("name")).replace("{}", "1")[:-1]])
def test_what_are_no_details_is_refused(content: str):
    with pytest.raises(MalformedError):
        shown_details(content)


def test_a_request_nested_too_deep_to_be_written_again_is_refused():
    deep = '{"a":' * 60 + "1" + "}" * 60
    with pytest.raises(MalformedError, match="nested too deep"):
        shown_details(json.dumps(details("name", request=None)).replace("null", deep, 1))
