"""The benchmark's figures are only as good as its fake: what it lists, logs, throttles and counts."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from benchmarks.fake_sagemaker.errors import ServiceError
from benchmarks.fake_sagemaker.limits import Bucket, Window, busiest_second
from benchmarks.fake_sagemaker.listing import list_jobs
from benchmarks.fake_sagemaker.logs import GROUP, PAGE_BYTES
from benchmarks.fake_sagemaker.plan import Plan, job_name, line_text
from benchmarks.fake_sagemaker.trouble import Trouble, Troubles
from tests.integration.benchmarks.accounts import NOW
from tests.time_limits import HANGS_AFTER_SECONDS
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.benchmarks.accounts import Account

LATER = NOW + 1000
"""When every job has ended, and every line can be read."""


def names(page: dict[str, Any]) -> list[str]:
    return [summary["ProcessingJobName"] for summary in page["ProcessingJobSummaries"]]


def pages(account: Account, now: float, **request: Any) -> Iterator[list[str]]:
    while True:
        page = list_jobs(account.jobs, request, now)
        yield names(page)
        if "NextToken" not in page:
            return
        request["NextToken"] = page["NextToken"]


def test_a_plan_ends_the_same_jobs_at_the_same_moments_each_time():
    assert Plan(jobs=50).endings() == Plan(jobs=50).endings()


def test_jobs_end_over_the_spread_and_in_an_order_of_their_own():
    afters = [ending.after for ending in Plan(jobs=1000, spread=60).endings()]
    assert 1 <= min(afters) < 2
    assert 60 < max(afters) <= 61
    assert afters != sorted(afters)


def test_pages_give_every_job_once_in_the_order_of_creation(account_factory: Callable[..., Account]):
    found = list(pages(account_factory(jobs=250), NOW, MaxResults=100))
    assert [len(page) for page in found] == [100, 100, 50]
    assert [name for page in found for name in page] == [job_name(index) for index in range(250)]


def test_descending_pages_run_backwards(account_factory: Callable[..., Account]):
    found = list(pages(account_factory(jobs=5), NOW, MaxResults=2, SortBy="Name", SortOrder="Descending"))
    assert found == [[job_name(4), job_name(3)], [job_name(2), job_name(1)], [job_name(0)]]


def test_a_page_has_ten_jobs_unless_the_call_says_otherwise(account_factory: Callable[..., Account]):
    assert len(next(pages(account_factory(jobs=30), NOW))) == 10


@pytest.mark.parametrize("size", [0, 101])
def test_other_page_sizes_than_the_api_allows_are_refused(account_factory: Callable[..., Account], size: int):
    with pytest.raises(ServiceError, match="MaxResults"):
        list_jobs(account_factory(jobs=1).jobs, {"MaxResults": size}, NOW)


def test_a_listing_is_live_a_job_that_changed_meanwhile_is_on_its_later_page(account_factory: Callable[..., Account]):
    account = account_factory(jobs=20, spread=10)
    first = list_jobs(account.jobs, {"MaxResults": 10, "StatusEquals": "InProgress"}, NOW)
    rest = {"MaxResults": 10, "StatusEquals": "InProgress", "NextToken": first["NextToken"]}
    assert len(names(first)) == 10
    assert names(list_jobs(account.jobs, rest, LATER)) == []


def test_last_modified_filters_give_the_jobs_that_changed_between(account_factory: Callable[..., Account]):
    account = account_factory(jobs=300)
    low, high = NOW + 20, NOW + 25
    expected = [
        job_name(index) for index, ending in enumerate(account.plan.endings()) if low < NOW + ending.after < high
    ]
    request = {"MaxResults": 100, "LastModifiedTimeAfter": low, "LastModifiedTimeBefore": high}
    assert [name for page in pages(account, LATER, **request) for name in page] == expected


def test_a_job_that_goes_on_was_last_modified_when_it_was_created(account_factory: Callable[..., Account]):
    jobs = account_factory(jobs=10).jobs
    created = jobs[job_name(6)].created
    assert names(list_jobs(jobs, {"LastModifiedTimeAfter": created}, NOW)) == [job_name(index) for index in (7, 8, 9)]


def test_creation_filters_leave_out_their_own_moment(account_factory: Callable[..., Account]):
    jobs = account_factory(jobs=10).jobs
    request = {"CreationTimeAfter": jobs[job_name(3)].created, "CreationTimeBefore": jobs[job_name(6)].created}
    assert names(list_jobs(jobs, request, LATER)) == [job_name(4), job_name(5)]


def test_status_and_name_filters_hold_together(account_factory: Callable[..., Account]):
    account = account_factory(jobs=100)
    failed = [job_name(index) for index, ending in enumerate(account.plan.endings()) if ending.status == "Failed"]
    assert len(failed) > 2
    request = {"StatusEquals": "Failed", "NameContains": failed[1].upper()}
    assert names(list_jobs(account.jobs, request, LATER)) == [failed[1]]


def test_a_summary_and_a_description_agree(account_factory: Callable[..., Account]):
    account = account_factory(jobs=100)
    index, ending = next((n, ending) for n, ending in enumerate(account.plan.endings()) if ending.status == "Failed")
    job = account.jobs[job_name(index)]
    summary = job.summary(LATER)
    assert summary == {
        "ProcessingJobName": job_name(index),
        "ProcessingJobArn": f"arn:aws:sagemaker:eu-west-1:123456789012:processing-job/{job_name(index)}",
        "CreationTime": job.created,
        "LastModifiedTime": NOW + ending.after,
        "ProcessingEndTime": NOW + ending.after,
        "ProcessingJobStatus": "Failed",
        "FailureReason": "AlgorithmError: , exit code: 1",
    }
    assert summary.items() <= job.description(LATER).items()


def test_a_stopped_job_stops_two_seconds_later_whatever_was_planned(account_factory: Callable[..., Account]):
    jobs = account_factory(jobs=3).jobs
    job = jobs[job_name(1)]
    jobs.stop(job, NOW)
    assert [job.change(NOW + seconds).status for seconds in (0, 1.9, 2, 1000)] == [
        "Stopping",
        "Stopping",
        "Stopped",
        "Stopped",
    ]
    assert names(list_jobs(jobs, {"LastModifiedTimeAfter": NOW + 1.9, "StatusEquals": "Stopped"}, NOW + 2)) == [
        job.name
    ]


def test_an_ended_job_cannot_be_stopped(account_factory: Callable[..., Account]):
    jobs = account_factory(jobs=1).jobs
    with pytest.raises(ServiceError, match="in status Completed"):
        jobs.stop(jobs[job_name(0)], LATER)


def all_events(account: Account, now: float, **request: Any) -> Iterator[list[dict[str, Any]]]:
    request["logGroupName"] = GROUP
    while True:
        page = account.logs.filter_events(request, now)
        yield page["events"]
        if "nextToken" not in page:
            return
        request["nextToken"] = page["nextToken"]


def test_filtering_gives_each_hosts_lines_once_and_all_by_time(account_factory: Callable[..., Account]):
    account = account_factory(jobs=4, hosts=2, lines_per_second=10, spread=5)
    events = [event for page in all_events(account, LATER, limit=37) for event in page]
    assert all(left["timestamp"] <= right["timestamp"] for left, right in pairwise(events))
    shown = Counter(event["message"] for event in events)
    expected = {
        line_text(index, host, number)
        for index, ending in enumerate(account.plan.endings())
        for host in (1, 2)
        for number in range(int((ending.after * 1000 - (index * 7 + host * 3) % 100) // 100) + 1)
    }
    assert shown == Counter(expected)


def test_filtering_by_names_gives_these_streams_only(account_factory: Callable[..., Account]):
    account = account_factory(jobs=4, lines_per_second=10)
    streams = account.logs.describe_streams({"logGroupName": GROUP}, LATER)["logStreams"]
    chosen = [streams[1]["logStreamName"], streams[3]["logStreamName"]]
    events = [event for page in all_events(account, LATER, logStreamNames=chosen) for event in page]
    assert {event["logStreamName"] for event in events} == set(chosen)


def test_both_ends_of_a_time_range_belong_to_it(account_factory: Callable[..., Account]):
    account = account_factory(jobs=1, lines_per_second=10)
    first = account.logs.filter_events({"logGroupName": GROUP, "limit": 6}, LATER)["events"]
    between = {"startTime": first[2]["timestamp"], "endTime": first[4]["timestamp"]}
    assert [event for page in all_events(account, LATER, **between) for event in page] == first[2:5]


def test_a_page_stops_at_a_megabyte(account_factory: Callable[..., Account]):
    account = account_factory(jobs=20, lines_per_second=100)
    sizes = [sum(len(event["message"]) + 26 for event in page) for page in all_events(account, LATER)]
    assert all(PAGE_BYTES - 200 < size <= PAGE_BYTES for size in sizes[:-1])
    assert len(sizes) > 2


def test_the_latest_lines_come_first_when_asked(account_factory: Callable[..., Account]):
    account = account_factory(jobs=3, lines_per_second=10)
    forwards = [event for page in all_events(account, LATER) for event in page]
    backwards = [event for page in all_events(account, LATER, startFromHead=False, limit=100) for event in page]
    assert backwards == forwards[::-1]


def test_a_line_is_seen_after_its_time(account_factory: Callable[..., Account]):
    account = account_factory(jobs=1, lines_per_second=10)
    request = {"logGroupName": GROUP}
    with pytest.raises(ServiceError, match="log stream does not exist"):
        account.logs.get_events({"logStreamName": f"{job_name(0)}/algo-1-1700000000"}, NOW)
    events = account.logs.filter_events(request, NOW + 0.5)["events"]
    assert [event["message"] for event in events] == [line_text(0, 1, number) for number in (0, 1)]
    assert all(event["ingestionTime"] <= (NOW + 0.5) * 1000 for event in events)


def test_streams_come_fifty_a_page_and_by_prefix(account_factory: Callable[..., Account]):
    account = account_factory(jobs=60, hosts=2, lines_per_second=10)
    request: dict[str, Any] = {"logGroupName": GROUP}
    sizes = []
    while not sizes or "nextToken" in request:
        page = account.logs.describe_streams(request, LATER)
        sizes.append(len(page["logStreams"]))
        request = {"logGroupName": GROUP} | {key: page[key] for key in ("nextToken",) if key in page}
    assert sizes == [50, 50, 20]
    one = account.logs.describe_streams({"logGroupName": GROUP, "logStreamNamePrefix": f"{job_name(7)}/"}, LATER)
    assert [stream["logStreamName"].partition("-17")[0] for stream in one["logStreams"]] == [
        f"{job_name(7)}/algo-1",
        f"{job_name(7)}/algo-2",
    ]


@pytest.mark.parametrize("from_head", [True, False])
def test_reading_a_stream_ends_where_the_token_repeats(account_factory: Callable[..., Account], from_head: bool):
    account = account_factory(jobs=1, lines_per_second=10)
    stream = account.logs.describe_streams({"logGroupName": GROUP}, LATER)["logStreams"][0]["logStreamName"]
    token_name = "nextForwardToken" if from_head else "nextBackwardToken"
    request: dict[str, Any] = {"logStreamName": stream, "startFromHead": from_head, "limit": 7}
    messages: list[str] = []
    while True:
        page = account.logs.get_events(request, LATER)
        found = [event["message"] for event in page["events"]]
        messages = messages + found if from_head else found + messages
        if page[token_name] == request.get("nextToken"):
            break
        request["nextToken"] = page[token_name]
    last = int((account.plan.endings()[0].after * 1000 - 3) // 100)
    assert messages == [line_text(0, 1, number) for number in range(last + 1)]


def test_a_bucket_gives_its_rate_and_a_second_of_it_at_once():
    bucket = Bucket(2, now=0.0)
    assert [bucket.take(at) for at in (0.0, 0.0, 0.0, 0.5, 0.5, 9.0, 9.0, 9.0)] == [
        True,
        True,
        False,
        True,
        False,
        True,
        True,
        False,
    ]


def test_a_window_lets_no_more_through_in_any_one_second():
    window = Window(2)
    assert [window.take(at) for at in (0.0, 0.9, 0.95, 1.0, 1.5, 1.95)] == [True, True, False, True, False, True]


def test_the_busiest_second_starts_anywhere():
    assert busiest_second([0.0, 0.9, 1.0, 1.1, 1.89, 3.0]) == 4
    assert busiest_second([]) == 0


def test_boto3_reads_what_is_served(server_factory: Any):
    with server_factory(jobs=150, throttle=1000, latency=0) as server:
        client = server.client("sagemaker")
        listed = client.get_paginator("list_processing_jobs").paginate(PaginationConfig={"PageSize": 100})
        statuses = Counter(job["ProcessingJobStatus"] for page in listed for job in page["ProcessingJobSummaries"])
        described = client.describe_processing_job(ProcessingJobName=job_name(149))
        with pytest.raises(ClientError, match=r"ValidationException.*Could not find requested job with name: unknown"):
            client.describe_processing_job(ProcessingJobName="unknown")
        calls = server.control("calls")
    assert statuses == {"InProgress": 150}
    assert described["ProcessingJobName"] == job_name(149)
    assert {name: (count["accepted"], count["throttled"]) for name, count in calls["operations"].items()} == {
        "DescribeProcessingJob": (2, 0),
        "ListProcessingJobs": (2, 0),
    }


def test_throttled_calls_are_counted_apart(server_factory: Any):
    with server_factory(jobs=1, throttle=0.001, latency=0) as server:
        client = server.client("sagemaker")
        client.list_processing_jobs()
        with pytest.raises(ClientError, match=r"ThrottlingException.*Rate exceeded"):
            client.list_processing_jobs()
        calls = server.control("calls")
    assert calls["operations"] == {"ListProcessingJobs": {"accepted": 1, "throttled": 1, "busiest_second": 2}}


def test_the_start_signal_lets_the_planned_ends_come(server_factory: Any):
    with server_factory(jobs=3, latency=0) as server:
        before = server.control("ends")
        started = server.control("start")["started_at"]
        after = server.control("ends")
    assert {status for _, status in before.values()} == {"InProgress"}
    assert after == {
        job_name(index): [round(started + ending.after, 3), ending.status]
        for index, ending in enumerate(Plan(jobs=3).endings())
    }


REQUEST = {"ProcessingJobName": "made", "RoleArn": "a-role", "Tags": [{"Key": "a", "Value": "b"}]}


def test_a_name_makes_one_job_and_its_answer_gives_what_was_asked_for(account_factory: Callable[..., Account]):
    jobs = account_factory(jobs=0, seconds=10).jobs
    made = jobs.create(REQUEST, NOW)
    assert [made.change(NOW + seconds).status for seconds in (0, 4.9, 15)] == ["InProgress", "InProgress", "Completed"]
    assert (made.description(NOW)["RoleArn"], made.tags()) == ("a-role", [{"Key": "a", "Value": "b"}])
    with pytest.raises(ServiceError, match="ResourceInUse"):
        jobs.create(REQUEST, LATER)


def test_an_account_runs_as_many_jobs_at_once_as_its_quota_allows(account_factory: Callable[..., Account]):
    jobs = account_factory(jobs=1, running=2, seconds=10).jobs
    jobs.create(REQUEST, NOW)
    other = REQUEST | {"ProcessingJobName": "other"}
    with pytest.raises(ServiceError, match="ResourceLimitExceeded"):
        jobs.create(other, NOW)
    assert jobs.create(other, LATER).name == "other"


@pytest.mark.parametrize("trouble", Trouble)
def test_trouble_reaches_the_client_and_carries_out_the_call_or_not(server_factory: Any, trouble: Trouble):
    seed = next(seed for seed in range(1000) if Troubles(1.0, seed).next() is trouble)
    codes = {Trouble.ERROR: "InternalFailure", Trouble.THROTTLE: "ThrottlingException"}
    timeouts = {Trouble.SILENCE, Trouble.LATE, Trouble.UNHEARD}
    lost: tuple[type[Exception], ...] = (ReadTimeoutError, ConnectionClosedError)  # a slow client finds it closed
    kind = ClientError if trouble in codes else lost if trouble in timeouts else ConnectionClosedError
    patience = 0.2 if trouble in timeouts else HANGS_AFTER_SECONDS
    with server_factory(jobs=0, latency=0, trouble=1.0, seed=seed, hold=0.5) as server:
        with pytest.raises(kind, match=codes.get(trouble, "time|closed")):
            server.client("sagemaker", read_timeout=patience).stop_processing_job(ProcessingJobName="unknown")
        carried_out = trouble in {Trouble.LOST, Trouble.LATE, Trouble.UNHEARD}
        look = lambda: server.control("calls")  # noqa: E731
        if carried_out:
            wait_until(lambda: look()["operations"], shows=look)
        report = look()
    assert list(report["operations"]) == ["StopProcessingJob"] * carried_out
    assert report["troubles"] == {trouble.value: 1}
