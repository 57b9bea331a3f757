from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.watcher.queries import Page, is_terminal, named_alike, pages, server_time

from .account import Account, Job
from .virtual_time import START, run

if TYPE_CHECKING:
    from collections.abc import Mapping


async def listed(account: Account, **options: Any) -> tuple[list[Page], list[dict[str, Any]]]:
    """The pages of a listing and its requests."""
    client, requests = account.client("sagemaker"), []

    async def call(request: Mapping[str, Any]) -> Mapping[str, Any]:
        requests.append(dict(request))
        answer: Mapping[str, Any] = client.list_processing_jobs(**request)
        return answer

    return [page async for page in pages(call, **options)], requests


def test_pages_hold_a_hundred_jobs_with_their_statuses_and_the_services_time() -> None:
    async def main() -> None:
        account = Account((Job(f"job-{n:03}", history=[(-n, "Completed")]) for n in range(150)), clock_ahead=7.0)
        found, requests = await listed(account)
        assert [(len(page.statuses), page.is_last, page.answered_at) for page in found] == [
            (100, False, START + 7),
            (50, True, START + 7),
        ]
        assert found[1].statuses == {f"job-{n:03}": "Completed" for n in range(100, 150)}
        assert requests == [{"MaxResults": 100}, {"MaxResults": 100, "NextToken": "-36000.0 job-099"}]

    run(main())


def test_a_listing_of_nothing_is_one_empty_page() -> None:
    async def main() -> None:
        found, _ = await listed(Account())
        assert found == [Page({}, is_last=True, answered_at=START)]

    run(main())


def test_a_listing_asks_for_a_span_of_time_and_one_status() -> None:
    async def main() -> None:
        account = Account([Job("early", history=[(5, "Failed")]), Job("in", history=[(15, "Failed")]), Job("other")])
        account.add("late", (25.0, "Failed"))
        await asyncio.sleep(50)
        found, requests = await listed(account, modified_after=START + 10, modified_before=START + 20, status="Failed")
        assert [page.statuses for page in found] == [{"in": "Failed"}]
        assert requests == [
            {
                "MaxResults": 100,
                "LastModifiedTimeAfter": datetime.fromtimestamp(START + 10, timezone.utc),
                "LastModifiedTimeBefore": datetime.fromtimestamp(START + 20, timezone.utc),
                "StatusEquals": "Failed",
            }
        ]

    run(main())


@pytest.mark.parametrize("headers", [{}, {"date": ""}, {"date": "yesterday"}])
def test_a_service_that_does_not_tell_its_time_is_no_error(headers: dict[str, str]) -> None:
    assert server_time({"ResponseMetadata": {"HTTPHeaders": headers}}) is None
    assert server_time({}) is None


@pytest.mark.parametrize(
    ("names", "most", "groups"),
    [
        ([], 2, []),
        (["a"], 2, [("a", 1)]),
        (["job-1", "job-2"], 2, [("job-", 2)]),
        (["job-1", "job-10", "job-2"], 2, [("job-1", 2), ("job-2", 1)]),
        (["a", "ab", "abc", "b"], 2, [("a", 1), ("ab", 2), ("b", 1)]),
        ([f"job-{n:04}" for n in range(250)], 100, [("job-00", 100), ("job-01", 100), ("job-02", 50)]),
    ],
)
def test_names_are_put_into_groups_of_those_that_begin_alike(
    names: list[str], most: int, groups: list[tuple[str, int]]
) -> None:
    found = list(named_alike(names, most=most))
    assert [(prefix, len(group)) for prefix, group in found] == groups
    assert all(name.startswith(prefix) for prefix, group in found for name in group)
    assert sorted(name for _, group in found for name in group) == sorted(names)


def test_a_listing_by_a_part_of_the_name_gives_the_newest_first() -> None:
    async def main() -> None:
        account = Account([Job("old-job", created_at=-9), Job("new-JOB", created_at=-1), Job("other")])
        found, requests = await listed(account, name_contains="job")
        assert [list(page.statuses) for page in found] == [["new-JOB", "old-job"]]
        assert requests == [
            {"MaxResults": 100, "NameContains": "job", "SortBy": "CreationTime", "SortOrder": "Descending"}
        ]

    run(main())


def test_pages_by_name_leave_out_none_of_those_that_were_created_at_once() -> None:
    async def main() -> None:
        account = Account((Job(f"job-{n:03}") for n in range(250)), loses_ties=True)
        by_creation, _ = await listed(account)
        by_name, _ = await listed(account, by_name=True)
        assert [len(page.statuses) for page in by_creation] == [100, 0]
        assert [len(page.statuses) for page in by_name] == [100, 100, 50]

    run(main())


def test_a_job_ends_with_the_statuses_that_job_status_calls_terminal() -> None:
    assert {status.value for status in JobStatus if is_terminal(status.value)} == {"Completed", "Failed", "Stopped"}
    assert not is_terminal("SomethingNew")
