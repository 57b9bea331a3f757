"""The reason of a failed job, for somebody who has never seen the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.acceptance.runs import Run

    from .eyes import Eyes


def test_the_reason_is_two_clicks_from_the_grid(eyes: Eyes, runs: dict[str, Run]) -> None:
    run = runs["shop_features"]
    assert run.end_of("join") == "failed"
    eyes.open(f"/dags/{run.dag_id}")
    square = eyes.page.locator(f'[id="grid-{run.run_id}-join"]')
    expect(square).to_be_in_viewport()
    square.click()
    tab = eyes.page.get_by_role("link", name="Processing job")
    expect(tab).to_be_in_viewport()
    tab.click()
    expect(eyes.frame.get_by_text("AlgorithmError: , exit code: 3")).to_be_in_viewport()
    expect(eyes.frame.get_by_text("orders have no column customer_id: was the export changed?")).to_be_in_viewport()
