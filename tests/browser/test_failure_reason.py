"""The reason for a failure, for someone who has never seen the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.acceptance.runs import Run

    from .window import Window


def test_the_reason_is_two_clicks_from_the_grid(window: Window, runs: dict[str, Run]) -> None:
    run = runs["shop_features"]
    assert run.end_of("join") == "failed"
    window.open(f"/dags/{run.dag_id}")
    square = window.page.locator(f'[id="grid-{run.run_id}-join"]')
    expect(square).to_be_in_viewport()
    square.click()
    tab = window.page.get_by_role("link", name="Processing job")
    expect(tab).to_be_in_viewport()
    tab.click()
    expect(window.frame.get_by_text("AlgorithmError: , exit code: 3")).to_be_in_viewport()
    expect(window.frame.get_by_text("orders have no column customer_id: was the export changed?")).to_be_in_viewport()
