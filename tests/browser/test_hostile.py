"""What records say is shown as it is, and does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.acceptance.runs import Run

    from .eyes import Eyes

MARKUP = "<script>document.title = 'taken'</script>"


def test_markup_in_a_record_is_text(eyes: Eyes, runs: dict[str, Run]) -> None:
    runs["recorded"].end_of("hostile")
    eyes.open_job_alone(runs["recorded"], "hostile")
    for place in ("h1", "#reason", "#facts", "#places", "#log pre", "#request"):
        expect(eyes.page.locator(place).first).to_contain_text(MARKUP)
    assert eyes.page.title() == "Processing job"
    assert eyes.page.locator("img, main script").count() == 0


@pytest.mark.parametrize(
    "query", ["period=__proto__", "period=constructor", "sort=__proto__", "status=toString", "page=-7", "size=-1"]
)
def test_an_address_that_anybody_wrote_shows_the_jobs_all_the_same(
    eyes: Eyes, runs: dict[str, Run], query: str
) -> None:
    runs["recorded"].end_of("hostile")
    eyes.open(f"/sm-processing/jobs?name=script&{query}")
    expect(eyes.page.locator("#table td.job")).to_contain_text(MARKUP)


def test_no_link_leads_where_a_record_wants(eyes: Eyes, runs: dict[str, Run]) -> None:
    runs["recorded"].end_of("hostile")
    eyes.open_job_alone(runs["recorded"], "hostile")
    hrefs = eyes.page.locator("a").evaluate_all("links => links.map((link) => link.getAttribute('href'))")
    assert {href.partition("/runs/")[0] for href in hrefs} == {"/dags/recorded"}
    eyes.open("/sm-processing/jobs?name=script")
    expect(eyes.page.locator("#table td.job")).to_contain_text(MARKUP)
    hrefs = eyes.page.locator("#table a").evaluate_all("links => links.map((link) => link.getAttribute('href'))")
    assert {href.partition("/runs/")[0] for href in hrefs} == {"/dags/recorded"}
