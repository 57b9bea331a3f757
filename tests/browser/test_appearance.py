"""Both pages, at both widths and in both themes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.acceptance.runs import Run

    from .window import Window

THEMES, WIDTHS = ("light", "dark"), (1280, 390)
TASKS = {"failed": ("shop_features", "join"), "forged": ("recorded", "forged"), "on_aws": ("recorded", "on_aws")}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("kind", TASKS)
def test_the_tab_fits_and_can_be_read(
    window_factory: Callable[..., Window], runs: dict[str, Run], kind: str, theme: str, width: int
) -> None:
    dag_id, task_id = TASKS[kind]
    runs[dag_id].until_task_is(task_id, "failed", "success", "deferred")
    window = window_factory(width=width, theme=theme)
    window.open_job_alone(runs[dag_id], task_id)
    assert (window.is_wider_than_window(), window.low_contrast_texts()) == (False, [])


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
def test_the_page_of_all_jobs_fits_and_can_be_read(
    window_factory: Callable[..., Window], runs: dict[str, Run], theme: str, width: int
) -> None:
    runs["recorded"].end_of("earlier")
    window = window_factory(width=width, theme=theme)
    window.open("/sm-processing/jobs")
    expect(window.page.locator("#table tbody tr").first).to_be_visible()
    assert (window.is_wider_than_window(), window.low_contrast_texts()) == (False, [])


def test_the_pages_follow_airflows_theme_when_it_changes(window: Window) -> None:
    frame = window.open_jobs()
    expect(frame.locator("html")).to_have_attribute("data-theme", "light")
    window.page.evaluate("document.documentElement.classList.replace('light', 'dark')")
    expect(frame.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_control_with_the_keyboard_focus_has_an_outline(window: Window) -> None:
    window.open("/sm-processing/jobs")
    expect(window.page.locator("body[data-ready]")).to_be_attached()
    seen = []
    for _ in range(20):
        window.page.keyboard.press("Tab")
        seen.append(
            window.page.evaluate(
                "[document.activeElement.tagName, getComputedStyle(document.activeElement).outlineStyle]"
            )
        )
    assert {style for _, style in seen} == {"solid"}
    assert {tag for tag, _ in seen} >= {"INPUT", "SELECT", "BUTTON"}
