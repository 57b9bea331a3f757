"""The tab "Job"."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.acceptance.runs import Run

    from .window import Window

MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


def test_a_completed_job_shows_its_times_figures_data_and_log(window: Window, runs: dict[str, Run]) -> None:
    run = runs["shop_features"]
    assert run.end_of("clean") == "success"
    frame, pushed = window.open_job_tab(run, "clean"), run.xcoms("clean")
    expect(frame.locator("h1")).to_have_text(f"Completed {pushed['job_name']}")
    expect(frame.locator(".said")).to_have_text(["Exit message4,000 orders kept, 12 dropped"])
    expect(frame.locator(".moments li")).to_have_text(
        [re.compile(f"^{title}{MOMENT}$") for title in ("Submitted", "Started", "Ended")]
    )
    expect(frame.locator(".piece")).to_have_text([re.compile(r"^waited \d"), re.compile(r"^ran \d")])
    expect(frame.locator(".facts > div").first).to_have_text(re.compile("^Instances1 . ml.m5.large$"))
    outputs = frame.locator("#places .box").nth(1).locator("tbody tr")
    expect(outputs.locator("th, td")).to_have_text(
        ["orders", f"{pushed['orders']} Copy", "/opt/ml/processing/orders", "27.4 KiB in 2 objects"]
    )
    expect(frame.locator("#log pre")).to_contain_text("reading 4,000 orders, locale en\ndone")


def test_the_request_can_be_copied_with_its_environment_hidden(window: Window, runs: dict[str, Run]) -> None:
    run = runs["shop_features"]
    run.end_of("clean")
    frame = window.open_job_tab(run, "clean")
    frame.get_by_text("Request (CreateProcessingJob)").click()
    frame.get_by_role("button", name="Copy as JSON").click()
    expect(frame.get_by_role("button", name=re.compile("Copied|Selected"))).to_be_visible()
    request = json.loads(window.page.evaluate("navigator.clipboard.readText()"))
    assert (request["ProcessingJobName"], request["Environment"]) == (run.xcoms("clean")["job_name"], {"LOCALE": "***"})


def test_the_arn_and_the_uris_can_be_copied(window: Window, runs: dict[str, Run]) -> None:
    run = runs["shop_features"]
    run.end_of("clean")
    frame, pushed = window.open_job_tab(run, "clean"), run.xcoms("clean")
    for button, text in {"Copy the ARN": pushed["job_arn"], "Copy the URI of orders": pushed["orders"]}.items():
        frame.get_by_role("button", name=button).click()
        window.page.wait_for_function(
            "text => navigator.clipboard.readText().then((copied) => copied === text)", arg=text
        )


def test_a_page_says_that_it_loads_until_there_is_an_answer(window: Window, runs: dict[str, Run]) -> None:
    run, held = runs["shop_features"], []
    run.end_of("clean")
    window.page.route("**/sm-processing/api/**", lambda route: held.append(route))  # noqa: PLW0108  # it looks at functions
    window.open(window.job_path(run, "clean"))
    expect(window.page.get_by_role("status")).to_have_text("Loading…")
    window.page.wait_for_function(
        "performance.getEntriesByType('resource').some((item) => item.name.endsWith('job.js'))"
    )
    with window.page.expect_response("**/sm-processing/api/**"):
        held[0].continue_()
    expect(window.page.locator("h1")).to_contain_text("Completed")
    expect(window.page.locator("#loading")).to_have_count(0)


def test_a_pages_files_are_loaded_once(window: Window, runs: dict[str, Run]) -> None:
    run = runs["shop_features"]
    run.end_of("clean")
    window.open_job_alone(run, "clean")
    window.open_job_alone(run, "clean")
    sizes = window.page.evaluate(
        "performance.getEntriesByType('resource').filter((item) => item.name.includes('/static/'))"
        ".map((item) => item.transferSize)"
    )
    assert len(sizes) > 20
    assert set(sizes) == {0}  # all of them came from the browser's cache


def test_a_running_job_is_followed_to_its_end_without_a_reload(window: Window, runs: dict[str, Run]) -> None:
    run = runs["shop_nightly"]
    run.until_task_waits("followed", "deferred")
    frame = window.open_job_tab(run, "followed")
    expect(frame.locator(".badge").first).to_have_text("In progress")
    frame.locator("body").evaluate("() => { window.stillHere = true; }")
    run.open_gate()
    expect(frame.locator(".badge").first).to_have_text("Completed")
    assert frame.locator("body").evaluate("() => window.stillHere") is True


def test_a_running_job_is_stopped_after_a_confirmation(window: Window, runs: dict[str, Run]) -> None:
    run = runs["shop_nightly"]
    run.until_task_waits("stopped", "running")
    frame = window.open_job_tab(run, "stopped")
    expect(frame.locator(".bar")).to_contain_text("running for")
    frame.get_by_role("button", name="Stop job").click()
    dialog = frame.get_by_role("dialog", name="Stop this processing job?")
    expect(dialog).to_contain_text("Airflow marks the task instance as failed, and the task stops its job.")
    window.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert run.task("stopped").state == "running"
    frame.get_by_role("button", name="Stop job").click()
    dialog.get_by_role("button", name="Stop the job").click()
    expect(frame.locator(".badge").first).to_have_text(re.compile("Stopped|Stopping"))
    assert run.end_of("stopped") == "failed"
    expect(frame.locator(".piece.going")).to_have_count(0)
    expect(frame.locator(".moments")).to_have_text(re.compile("Stop requested|Ended" + MOMENT))


def test_the_bar_of_a_job_whose_end_nothing_sees_ends_where_its_stop_was_requested(
    window: Window, runs: dict[str, Run]
) -> None:
    run = runs["recorded"]
    assert run.end_of("stopping") == "success"
    frame = window.open_job_tab(run, "stopping")
    expect(frame.locator(".badge").first).to_have_text("Stopping")
    expect(frame.locator(".piece")).to_have_text(["waited 3 min 05 s", "ran 2 min 00 s"])
    expect(frame.locator(".moments li").nth(2)).to_have_text(re.compile(f"^Stop requested{MOMENT}$"))
    expect(frame.get_by_text("A stop was requested and the task has ended")).to_be_visible()


def test_the_end_of_a_deferred_tasks_stopped_job_is_recorded(window: Window, runs: dict[str, Run]) -> None:
    run = runs["shop_nightly"]
    run.until_task_waits("stopped_deferred", "deferred")
    frame = window.open_job_tab(run, "stopped_deferred")
    run.mark("stopped_deferred", "failed")
    expect(frame.locator(".badge").first).to_have_text("Stopped")
    expect(frame.locator(".piece")).to_have_text([re.compile(r"^waited \d"), re.compile(r"^ran \d")])
    expect(frame.locator(".moments li")).to_have_text(
        [re.compile(f"^{title}{MOMENT}$") for title in ("Submitted", "Started", "Ended")]
    )


def test_an_earlier_try_shows_with_its_reason(window: Window, runs: dict[str, Run]) -> None:
    run = runs["shop_forecast"]
    assert run.ended()[0].state == "success"
    frame = window.open_job_tab(run, "train")
    expect(frame.locator("h1 .badge")).to_have_text("Completed")
    cells = frame.locator("#earlier tbody td")
    expect(cells.nth(0)).to_have_text("Failed")
    expect(cells.nth(2)).to_have_text("1")
    expect(cells.nth(5)).to_have_text("first try: yesterday's data is late · AlgorithmError: , exit code: 1")


def test_a_task_without_a_job_says_so(window: Window, runs: dict[str, Run]) -> None:
    run = runs["shop_nightly"]
    assert run.end_of("nothing") == "success"
    frame = window.open_job_tab(run, "nothing")
    expect(frame.get_by_role("heading")).to_have_text("No processing job recorded for this task instance")
    expect(frame.get_by_text("The task has ended.")).to_be_visible()


def test_a_task_that_failed_before_its_job_leads_to_its_log(window: Window, runs: dict[str, Run]) -> None:
    run = runs["shop_nightly"]
    assert run.end_of("rejected") == "failed"
    frame = window.open_job_tab(run, "rejected")
    expect(frame.get_by_role("heading")).to_have_text("The task failed before it submitted a processing job")
    frame.get_by_role("link", name="the task's log").click()
    expect(window.page.get_by_text("1 problem in the definition of task rejected").first).to_be_visible()


def test_a_task_that_does_not_exist_is_named(window_factory: Callable[..., Window]) -> None:
    window = window_factory(expected_error="404")
    window.open("/sm-processing/job?dag_id=recorded&run_id=never&task_id=gone&map_index=-1")
    expect(window.page.get_by_role("alert")).to_contain_text("There is no task instance 'gone'")


def test_a_lost_connection_is_shown_while_it_lasts(window_factory: Callable[..., Window], runs: dict[str, Run]) -> None:
    window, run = window_factory(expected_error="ERR_INTERNET_DISCONNECTED"), runs["recorded"]
    run.until_task_is("on_aws", "deferred")
    window.open_job_alone(run, "on_aws")
    window.page.context.set_offline(True)
    expect(window.page.get_by_role("alert")).to_contain_text("Not connected. Can't reach Airflow's API server.")
    expect(window.page.locator("h1")).to_contain_text("shop-1")
    window.page.context.set_offline(False)
    expect(window.page.locator("#error > *")).to_have_count(0)
