"""Stopping, time limits, queueing and listing."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from airflow_sm_processing.local import LocalSageMaker

from .bench import Bench, s3_output

if TYPE_CHECKING:
    from collections.abc import Iterator

SAVES_ON_SIGTERM = """
import signal, sys, time
def save(*_):
    open("/opt/ml/processing/out/checkpoint", "w").write("saved")
    print("saved", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
print("ready", flush=True)
time.sleep(600)
"""
IGNORES_SIGTERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


def _stop(bench: Bench, name: str) -> None:
    bench.sagemaker.stop_processing_job(ProcessingJobName=name)


def test_a_stopped_script_gets_sigterm_on_every_host_and_its_outputs_are_uploaded(bench: Bench):
    output = s3_output("out", f"s3://{bench.bucket}/out", "/opt/ml/processing/out")
    name = bench.create_script(SAVES_ON_SIGTERM, hosts=2, ProcessingOutputConfig={"Outputs": [output]})
    bench.wait_for_line(name, "ready")
    _stop(bench, name)
    assert bench.describe(name)["ProcessingJobStatus"] in {"Stopping", "Stopped"}
    job = bench.end(name)
    assert (job["ProcessingJobStatus"], "FailureReason" in job) == ("Stopped", False)
    assert bench.logs(name) == {"algo-1": ["ready", "saved"], "algo-2": ["ready", "saved"]}
    assert bench.objects("out/") == {"out/checkpoint": b"saved"}


def test_a_script_that_ignores_sigterm_is_killed_after_the_grace_time(bench_factory: Any):
    with LocalSageMaker(stop_grace=0.5) as server:
        bench = bench_factory(server)
        name = bench.create_script(IGNORES_SIGTERM)
        bench.wait_for_line(name, "ready")
        began = time.monotonic()
        _stop(bench, name)
        assert bench.end(name)["ProcessingJobStatus"] == "Stopped"
        assert 0.5 <= time.monotonic() - began < 300  # the script lasts ten minutes


def test_a_job_that_is_stopping_may_be_stopped_again(bench_factory: Any):
    with LocalSageMaker(stop_grace=600) as server:
        bench = bench_factory(server)
        name = bench.create_script(IGNORES_SIGTERM)
        bench.wait_for_line(name, "ready")
        _stop(bench, name)
        _stop(bench, name)
        assert bench.describe(name)["ProcessingJobStatus"] == "Stopping"


def test_a_job_that_is_stopped_at_once_ends_as_stopped(bench: Bench):
    for _ in range(5):
        name = bench.create(["sleep", "600"])
        _stop(bench, name)
        assert bench.end(name)["ProcessingJobStatus"] == "Stopped"


def test_an_ended_job_can_not_be_stopped(bench: Bench):
    name = bench.create(["true"])
    bench.end(name)
    with pytest.raises(ClientError, match="rejected because the processing job is in status Completed"):
        _stop(bench, name)


def test_a_job_that_outlives_its_max_runtime_is_stopped_and_keeps_its_outputs(bench: Bench):
    output = s3_output("out", f"s3://{bench.bucket}/out", "/opt/ml/processing/out")
    name = bench.create_script(
        SAVES_ON_SIGTERM,
        StoppingCondition={"MaxRuntimeInSeconds": 10},  # the script has to have begun by then
        ProcessingOutputConfig={"Outputs": [output]},
    )
    job = bench.end(name)
    assert job["ProcessingJobStatus"] == "Stopped"
    assert job["FailureReason"] == "ClientError: The job was stopped after its MaxRuntimeInSeconds of 10."
    assert bench.objects("out/") == {"out/checkpoint": b"saved"}


def test_jobs_beyond_the_limit_wait_in_progress_in_order(bench_factory: Any):
    with LocalSageMaker(max_jobs=1) as server:
        bench = bench_factory(server)
        first = bench.create(["sleep", "600"])
        bench.wait_for(first, field="ProcessingStartTime")
        second, third, fourth = (bench.create(["true"]) for _ in range(3))
        for name in (second, third, fourth):
            job = bench.describe(name)
            assert (job["ProcessingJobStatus"], "ProcessingStartTime" in job) == ("InProgress", False)
        _stop(bench, third)
        assert bench.describe(third)["ProcessingJobStatus"] == "Stopped"
        assert bench.describe(first)["ProcessingJobStatus"] == "InProgress"
        _stop(bench, first)
        ended = [bench.end(name) for name in (second, fourth)]
        assert [job["ProcessingJobStatus"] for job in ended] == ["Completed", "Completed"]
        assert ended[0]["ProcessingEndTime"] <= ended[1]["ProcessingStartTime"]


def test_job_folders_are_removed_unless_kept(bench_factory: Any, tmp_path):
    with LocalSageMaker(data_dir=tmp_path / "removed") as server:
        bench_factory(server).run(["true"])
    assert list((tmp_path / "removed" / "jobs").iterdir()) == []
    with LocalSageMaker(data_dir=tmp_path / "kept", keep_jobs=True) as server:
        name = (bench := bench_factory(server)).create(["sh", "-c", "echo hi > note.txt"])
        bench.end(name)
    (folder,) = (tmp_path / "kept" / "jobs").iterdir()
    assert folder.name.startswith(name)
    assert (folder / "algo-1" / "work" / "note.txt").read_text() == "hi\n"


@pytest.fixture(scope="module")
def listed() -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    """A server with seven ended jobs, and their summaries, oldest first."""
    with LocalSageMaker(account_id="111111111111") as server:
        bench = Bench(server, f"listed-{os.getpid()}")
        for number in range(7):
            bench.run(["true" if number % 2 else "false"], name=f"list-{'abcdefg'[(number * 3) % 7]}")
        yield server.client("sagemaker"), server.client("sagemaker").list_processing_jobs()["ProcessingJobSummaries"]


def _names(summaries: list[dict[str, Any]]) -> list[str]:
    return [summary["ProcessingJobName"][-1] for summary in summaries]


def test_jobs_are_listed_by_creation_time_ascending(listed: Any):
    client, everything = listed
    assert _names(everything) == list("adgcfbe")
    described = client.describe_processing_job(ProcessingJobName="list-a")
    fields = ("ProcessingJobName", "ProcessingJobArn", "ProcessingJobStatus", "CreationTime", "LastModifiedTime")
    assert everything[0] == {field: described[field] for field in (*fields, "ProcessingEndTime", "FailureReason")}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"SortOrder": "Descending"}, "ebfcgda"),
        ({"SortBy": "Name"}, "abcdefg"),
        ({"SortBy": "Name", "SortOrder": "Descending"}, "gfedcba"),
        ({"SortBy": "Status"}, "bcdaefg"),
        ({"StatusEquals": "Completed"}, "dcb"),
        ({"StatusEquals": "InProgress"}, ""),
        ({"NameContains": "LIST-F"}, "f"),
        ({"NameContains": "list", "StatusEquals": "Failed", "SortBy": "Name"}, "aefg"),
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [1, 2, 100])
def test_filters_and_orders_hold_over_pages_of_any_size(listed: Any, query: dict[str, str], names: str, size: int):
    client, _ = listed
    pages = client.get_paginator("list_processing_jobs").paginate(**query, PaginationConfig={"PageSize": size})
    assert _names([summary for page in pages for summary in page["ProcessingJobSummaries"]]) == list(names)


@pytest.mark.parametrize("field", ["CreationTime", "LastModifiedTime"])
def test_time_filters_exclude_their_bounds(listed: Any, field: str):
    client, everything = listed
    third = everything[2][field]
    step = timedelta(milliseconds=2)  # the wire's times are cut to milliseconds
    before = client.list_processing_jobs(**{f"{field}Before": third - step})["ProcessingJobSummaries"]
    after = client.list_processing_jobs(**{f"{field}After": third + step})["ProcessingJobSummaries"]
    assert (_names(before), _names(after)) == (list("ad"), list("cfbe"))


def test_a_token_is_good_for_its_own_query_only(listed: Any):
    client, _ = listed
    token = client.list_processing_jobs(SortBy="Name", MaxResults=2)["NextToken"]
    page = client.list_processing_jobs(SortBy="Name", MaxResults=3, NextToken=token)
    assert _names(page["ProcessingJobSummaries"]) == list("cde")
    for query in ({"SortBy": "Status", "NextToken": token}, {"SortBy": "Name", "NextToken": token[:-4] + "AAAA"}):
        with pytest.raises(ClientError, match="NextToken is invalid"):
            client.list_processing_jobs(**query)
    with pytest.raises(ClientError, match="NextToken is invalid"):
        client.list_processing_jobs(NextToken="nonsense")


def test_a_page_holds_at_most_100(listed: Any):
    client, _ = listed
    with pytest.raises(ClientError, match=r"maxResults.*less than or equal to 100"):
        client.list_processing_jobs(MaxResults=101)


def test_a_data_folder_serves_one_server_at_a_time(tmp_path):
    with LocalSageMaker(data_dir=tmp_path), pytest.raises(ValueError, match="is in use by another server"):  # noqa: SIM117
        with LocalSageMaker(data_dir=tmp_path):
            pass


def test_many_jobs_at_once_all_end_as_they_should(bench_factory: Any):
    with LocalSageMaker(max_jobs=6) as server:
        bench = bench_factory(server)
        names = [bench.create(["sh", "-c", f"echo {number}; exit {number % 2}"], hosts=2) for number in range(16)]
        jobs = [bench.end(name) for name in names]
        assert [job["ProcessingJobStatus"] for job in jobs] == ["Completed", "Failed"] * 8
        assert [job.get("FailureReason") for job in jobs] == [None, "AlgorithmError: , exit code: 1"] * 8
        # A host that was stopped because the other failed may not have got to say anything.
        said = [set(sum(bench.logs(name).values(), [])) for name in names]  # noqa: RUF017
        assert said == [{str(number)} for number in range(16)]


def test_the_servers_end_leaves_no_thread_and_ends_a_queue_of_jobs(bench_factory: Any):
    before = set(threading.enumerate())
    began = time.monotonic()
    with LocalSageMaker(max_jobs=1) as server:
        bench = bench_factory(server)
        for _ in range(4):
            bench.create(["sleep", "600"])
        server.set_faults("sts:*:latency=600")
        asked = threading.Thread(target=_ask_who_i_am, args=[server])
        asked.start()
    asked.join()
    assert set(threading.enumerate()) <= before
    assert time.monotonic() - began < 300  # the jobs and the answer last ten minutes


def _ask_who_i_am(server: LocalSageMaker) -> None:
    # Answered late, cut short (botocore's parser error is none of its BotoCoreErrors) or not at all: only not for ever.
    with contextlib.suppress(ClientError, BotoCoreError, ResponseParserError):
        server.client("sts").get_caller_identity()
