"""A browser window on Airflow's UI."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from playwright.sync_api import FrameLocator, expect

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page, Request

    from tests.acceptance.runs import Run

JOB_TAB = "sagemaker-processing-job"
# The visible texts whose contrast to their background is below 4.5 by WCAG 2.2's formula.
_LOW_CONTRAST = """() => {
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (color) => {
    paint.clearRect(0, 0, 1, 1); paint.fillStyle = color; paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgb(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255];
  };
  const words = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  return [...document.body.querySelectorAll("*")]
    .filter((element) => words(element) && element.checkVisibility() && !element.disabled)
    .map((element) => {
      const [a, b] = [light(rgb(getComputedStyle(element).color)), light(behind(element))];
      return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.textContent.slice(0, 40)];
    })
    .filter(([ratio]) => ratio < 4.5);
}"""


class Window:
    """A window, and the errors in it: in the console, and requests to any server but Airflow's."""

    def __init__(self, page: Page, url: str, *, expected_error: str) -> None:
        self.page = page
        self.errors: list[str] = []
        self._url = url
        self._expected_error = expected_error
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        page.on("request", self._on_request)

    @property
    def frame(self) -> FrameLocator:
        """The package's page, in Airflow's."""
        return self.page.frame_locator("iframe")

    def open(self, path: str) -> None:
        """Open a page of Airflow, or a page of the package by itself."""
        self.page.goto(self._url + path)

    def open_job_tab(self, run: Run, task_id: str) -> FrameLocator:
        """Open the tab in Airflow's page of a task instance, and wait until it is loaded."""
        self.open(f"/dags/{run.dag_id}/runs/{quote(run.run_id, safe='')}/tasks/{task_id}/plugin/{JOB_TAB}")
        expect(self.frame.locator("body[data-ready]")).to_be_attached()
        return self.frame

    def job_path(self, run: Run, task_id: str) -> str:
        """Return the address of the tab's page by itself, below Airflow's."""
        names = {"dag_id": run.dag_id, "run_id": run.run_id, "task_id": task_id, "map_index": "{MAP_INDEX}"}
        return f"/sm-processing/job?{urlencode(names, quote_via=quote)}"

    def open_job_alone(self, run: Run, task_id: str) -> None:
        """Open the tab's page by itself, as wide as the window."""
        self.open(self.job_path(run, task_id))
        expect(self.page.locator("body[data-ready]")).to_be_attached()

    def open_jobs(self, query: str = "") -> FrameLocator:
        """Open the page of all jobs in Airflow's, with a query."""
        inner = f"/sm-processing/jobs{query}" if query else ""
        self.open(f"/plugin/sagemaker-processing{inner}")
        expect(self.frame.locator("body[data-ready]")).to_be_attached()
        return self.frame

    def low_contrast_texts(self) -> list[tuple[float, str]]:
        """Return the texts of the page whose contrast is below WCAG's level AA."""
        found: list[tuple[float, str]] = self.page.evaluate(_LOW_CONTRAST)
        return found

    def is_wider_than_window(self) -> bool:
        """Return whether the page scrolls sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and self._expected_error not in message.text:
            self.errors.append(f"console: {message.text}")

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((self._url, "data:", "blob:")):
            self.errors.append(f"request to another server: {request.url}")
