"""Forged records are shown as text and have no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.acceptance.runs import Run

    from .window import Window

MARKUP = "<script>document.title = 'taken'</script>"


def test_markup_in_a_record_is_text(window: Window, runs: dict[str, Run]) -> None:
    runs["recorded"].end_of("forged")
    window.open_job_alone(runs["recorded"], "forged")
    for selector in ("h1", "#reason", "#facts", "#places", "#log pre", "#request"):
        expect(window.page.locator(selector).first).to_contain_text(MARKUP)
    assert window.page.title() == "Job"
    assert window.page.locator("img, main script").count() == 0


@pytest.mark.parametrize(
    "query", ["period=__proto__", "period=constructor", "sort=__proto__", "status=toString", "page=-7", "size=-1"]
)
def test_an_address_with_invalid_values_still_shows_the_jobs(window: Window, runs: dict[str, Run], query: str) -> None:
    runs["recorded"].end_of("forged")
    window.open(f"/sm-processing/jobs?name=script&{query}")
    expect(window.page.locator("#table td.job")).to_contain_text(MARKUP)


def test_no_link_leads_to_an_address_in_a_forged_record(window: Window, runs: dict[str, Run]) -> None:
    runs["recorded"].end_of("forged")
    window.open_job_alone(runs["recorded"], "forged")
    hrefs = window.page.locator("a").evaluate_all("links => links.map((link) => link.getAttribute('href'))")
    assert {href.partition("/runs/")[0] for href in hrefs} == {"/dags/recorded"}
    window.open("/sm-processing/jobs?name=script")
    expect(window.page.locator("#table td.job")).to_contain_text(MARKUP)
    hrefs = window.page.locator("#table a").evaluate_all("links => links.map((link) => link.getAttribute('href'))")
    assert {href.partition("/runs/")[0] for href in hrefs} == {"/dags/recorded"}
