"""One Airflow for the tier, with runs of its DAGs, and windows of a headless Chromium."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.acceptance.runs import Gate, Run

from .shop import open_shop
from .window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from demo.airflow_services import RunningAirflow

HERE = Path(__file__).parent
SCREENSHOTS = HERE.parent.parent / ".screenshots"
PATIENCE = 300_000  # milliseconds: for a machine that is busy with other things
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # nothing leaves this machine
)


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAirflow]:
    with open_shop(tmp_path_factory.mktemp("shop") / "airflow") as running:
        yield running


@pytest.fixture(scope="session")
def runs(airflow: RunningAirflow, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """A run of each DAG, by DAG id; all run at once."""
    folder = tmp_path_factory.mktemp("gates")
    gates = {"shop_forecast": Gate(folder / "forecast"), "shop_nightly": Gate(folder / "nightly")}
    dag_ids = ("shop_features", "shop_forecast", "shop_nightly", "recorded")
    return {dag_id: Run(airflow, dag_id, gate=gates.get(dag_id)) for dag_id in dag_ids}


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The system's Chromium."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert path, "No Chromium found: install Debian's package chromium, or set CHROMIUM to the path of one."
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def window_factory(
    airflow: RunningAirflow, chromium: Browser, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Window]]:
    """A function that opens browser windows. At the end each is saved as a screenshot, and must have had no errors."""
    opened: list[Window] = []

    def open_window(*, width: int = 1280, theme: str = "light", expected_error: str = "none") -> Window:
        context = chromium.new_context(viewport={"width": width, "height": 860}, color_scheme=theme)
        context.set_default_timeout(PATIENCE)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        context.add_init_script(f"localStorage.setItem('theme', '{theme}')")
        opened.append(Window(context.new_page(), airflow.url, expected_error=expected_error))
        return opened[-1]

    yield open_window
    SCREENSHOTS.mkdir(exist_ok=True)
    for number, window in enumerate(opened):
        window.page.screenshot(path=SCREENSHOTS / f"{request.node.name}-{number}.png".replace("/", "_"))
        window.page.context.close()
    assert [window.errors for window in opened] == [[]] * len(opened)


@pytest.fixture
def window(window_factory: Callable[..., Window]) -> Window:
    """A wide window in the light theme."""
    return window_factory()
