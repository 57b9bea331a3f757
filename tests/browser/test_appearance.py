"""Both pages, at both widths and in both themes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.acceptance.runs import Run

    from .eyes import Eyes

THEMES, WIDTHS = ("light", "dark"), (1280, 390)
TASKS = {"failed": ("shop_features", "join"), "hostile": ("recorded", "hostile"), "on_aws": ("recorded", "on_aws")}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("kind", TASKS)
def test_the_tab_fits_and_can_be_read(
    eyes_factory: Callable[..., Eyes], runs: dict[str, Run], kind: str, theme: str, width: int
) -> None:
    dag_id, task_id = TASKS[kind]
    runs[dag_id].until_task_is(task_id, "failed", "success", "deferred")
    eyes = eyes_factory(width=width, theme=theme)
    eyes.open_job_alone(runs[dag_id], task_id)
    assert (eyes.is_wider_than_window(), eyes.faint_texts()) == (False, [])


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
def test_the_page_of_all_jobs_fits_and_can_be_read(
    eyes_factory: Callable[..., Eyes], runs: dict[str, Run], theme: str, width: int
) -> None:
    runs["recorded"].end_of("earlier")
    eyes = eyes_factory(width=width, theme=theme)
    eyes.open("/sm-processing/jobs")
    expect(eyes.page.locator("#table tbody tr").first).to_be_visible()
    assert (eyes.is_wider_than_window(), eyes.faint_texts()) == (False, [])


def test_the_pages_follow_airflows_theme_when_it_changes(eyes: Eyes) -> None:
    frame = eyes.open_jobs()
    expect(frame.locator("html")).to_have_attribute("data-theme", "light")
    eyes.page.evaluate("document.documentElement.classList.replace('light', 'dark')")
    expect(frame.locator("html")).to_have_attribute("data-theme", "dark")


def test_whoever_tabs_through_the_page_sees_where_he_is(eyes: Eyes) -> None:
    eyes.open("/sm-processing/jobs")
    expect(eyes.page.locator("body[data-ready]")).to_be_attached()
    seen = []
    for _ in range(20):
        eyes.page.keyboard.press("Tab")
        seen.append(
            eyes.page.evaluate(
                "[document.activeElement.tagName, getComputedStyle(document.activeElement).outlineStyle]"
            )
        )
    assert {style for _, style in seen} == {"solid"}
    assert {tag for tag, _ in seen} >= {"INPUT", "SELECT", "BUTTON"}
