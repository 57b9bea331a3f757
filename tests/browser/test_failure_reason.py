"""The reason for a failure, for someone who has never seen the project."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.acceptance.runs import Run

    from .window import Window


def test_the_reason_is_two_clicks_from_the_grid(window: Window, runs: dict[str, Run]) -> None:
    run = runs["shop_features"]
    assert run.end_of("join") == "failed"
    window.open(f"/dags/{run.dag_id}")
    square = window.page.locator(f'[id="grid-{run.run_id}-join"]')
    expect(square).to_be_in_viewport()
    square.click()
    tab = window.page.get_by_role("link", name="Job", exact=True)
    expect(tab).to_be_in_viewport()
    tab.click()
    expect(window.frame.get_by_text("AlgorithmError: , exit code: 3")).to_be_in_viewport()
    expect(window.frame.get_by_text("orders have no column customer_id: was the export changed?")).to_be_in_viewport()


@pytest.mark.parametrize(
    ("dag_id", "task_id", "causes"),
    [
        (
            "shop_features",
            "join",
            ["orders have no column customer_id: was the export changed?", "KeyError: 'customer_id'"],
        ),
        ("shop_nightly", "raises", ["ValueError: orders have no customer_id"]),
    ],
)
@pytest.mark.parametrize("width", [1280, 390])
def test_what_the_script_said_is_on_the_first_screen_before_what_sagemaker_said(
    window_factory: Callable[..., Window],
    runs: dict[str, Run],
    dag_id: str,
    task_id: str,
    causes: list[str],
    width: int,
) -> None:
    run = runs[dag_id]
    assert run.end_of(task_id) == "failed"
    window = window_factory(width=width)
    window.open_job_alone(run, task_id)
    told = window.page.locator("#reason dd")
    expect(told).to_have_text([*causes, re.compile("^AlgorithmError: , exit code: [13]$")])
    expect(told.first).to_be_in_viewport()
    log = window.page.locator("#log pre")
    expect(log).to_be_in_viewport()
    tops = [section.bounding_box()["y"] for section in (log, window.page.locator("#facts"))]  # type: ignore[index]
    assert tops == sorted(tops)
    at_end = "pre => pre.scrollTop + pre.clientHeight >= pre.scrollHeight - 1"
    assert log.evaluate(at_end) is True
    window.open(f"/sm-processing/jobs?dag_id={dag_id}&task_id={task_id}")
    expect(window.page.locator("#table .why")).to_have_text(re.compile(f"^{re.escape(causes[0])} · "))
