"""The page "SageMaker Processing"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.acceptance.runs import Run

    from .window import Window


@pytest.fixture(autouse=True)
def recorded(runs: dict[str, Run]) -> Run:
    """The run that recorded the jobs of forty days, which no longer changes."""
    run = runs["recorded"]
    for task_id in ("earlier", "forged"):
        assert run.end_of(task_id) == "success"
    run.until_task_is("on_aws", "deferred")
    return run


def test_it_is_in_the_navigation(window: Window) -> None:
    window.open("/")
    window.page.get_by_text("Browse", exact=True).click()
    window.page.get_by_text("SageMaker Processing").click()
    expect(window.frame.get_by_role("heading", name="SageMaker Processing")).to_be_visible()
    expect(window.frame.locator("#table tbody tr").first).to_be_visible()


def test_filters_are_in_the_address_and_the_back_button_undoes_them(window: Window) -> None:
    frame = window.open_jobs()
    frame.get_by_label("Job name").fill("HISTORY-3")
    expect(frame.locator("#pager")).to_contain_text("1 to 10 of 10 jobs")
    frame.get_by_role("checkbox", name="Failed").check()
    expect(frame.locator("#pager")).to_contain_text("1 to 1 of 1 job")
    expect(window.page).to_have_url(re.compile(r"\?name=HISTORY-3&status=Failed$"))
    window.page.reload()
    expect(frame.locator("#pager")).to_contain_text("1 to 1 of 1 job")
    expect(frame.get_by_label("Job name")).to_have_value("HISTORY-3")
    frame.get_by_role("checkbox", name="Failed").uncheck()
    expect(frame.locator("#pager")).to_contain_text("1 to 10 of 10 jobs")
    window.page.go_back()
    expect(frame.locator("#pager")).to_contain_text("1 to 1 of 1 job")
    expect(frame.get_by_role("checkbox", name="Failed")).to_be_checked()


def test_a_period_selects_the_jobs_submitted_in_it(window: Window) -> None:
    frame = window.open_jobs("?name=history")
    frame.get_by_label("Submitted").select_option("custom range")
    frame.get_by_label("From").fill("2026-10-03T00:00")
    frame.get_by_label("Until").fill("2026-10-05T00:00")
    expect(frame.locator("#table td.job")).to_have_text(["history-03", "history-02"])
    frame.get_by_role("button", name="Clear filters").click()
    expect(frame.locator("#pager")).not_to_contain_text("of 2 jobs")


def test_column_titles_sort_by_mouse_and_by_keyboard(window: Window) -> None:
    frame = window.open_jobs("?name=history")
    head = frame.get_by_role("columnheader", name="Run time")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    expect(frame.locator("#table td.job").first).to_contain_text("history-39")
    window.page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "ascending")
    expect(frame.locator("#table td.job").first).to_have_text("history-00")


def test_pages_continue_where_the_previous_one_ended(window: Window) -> None:
    frame = window.open_jobs("?name=history&sort=job_name&order=ascending")
    expect(frame.locator("#pager")).to_contain_text("1 to 25 of 40 jobs")
    frame.get_by_role("button", name="Next").click()
    expect(frame.locator("#pager")).to_contain_text("26 to 40 of 40 jobs")
    expect(frame.locator("#table td.job").first).to_contain_text("history-25")
    expect(frame.get_by_role("button", name="Next")).to_be_disabled()


def test_totals_and_charts_are_of_the_filtered_jobs(window: Window) -> None:
    frame = window.open_jobs("?name=history")
    expect(frame.locator(".tile strong")).to_have_text(["40", "1", "0", "93,600 s"])
    chart = frame.get_by_role("img", name=re.compile(r"Jobs over time\..*2026-10-01.*: 1 completed; .*: 1 failed\."))
    expect(chart.locator("rect")).to_have_count(40)
    expect(frame.locator(".dags tbody tr")).to_have_text(["recorded93,600 s40, 1 failed"])


def test_a_row_links_to_its_task_and_to_the_console(window: Window, recorded: Run) -> None:
    frame = window.open_jobs("?name=shop-1")
    with window.page.context.expect_page() as opened:
        frame.get_by_role("link", name="Console").click()
    expect(opened.value.locator("body")).to_contain_text("eu-west-1.console.aws.amazon.com")  # which isn't reached
    frame.get_by_role("link", name="Task instance of shop-1").click()
    expect(window.page.get_by_role("link", name="Job", exact=True)).to_be_visible()
    assert "/dags/recorded/runs/" in window.page.url
    assert window.page.url.endswith("/tasks/on_aws")


def test_an_empty_result_is_explained(window: Window) -> None:
    frame = window.open_jobs("?name=there-is-none")
    expect(frame.get_by_role("heading", name="No jobs match these filters")).to_be_visible()
