"""The operators that go through the matrix: where they run, and how their XComs are read."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.watching.environments import python_of
from benchmarks.watching.scenarios import AMAZON

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OURS = "ours"
DAGS = Path(__file__).parent / "dags"


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One that runs a processing job."""

    name: str
    python: Callable[[], Path]
    """Returns the interpreter of its environment, which is made if need be."""
    job_names: Callable[[Mapping[str, Any]], set[str]]
    """Returns the jobs that a task's XComs name: one, if all is well."""
    result_uri: Callable[[Mapping[str, Any]], str | None]
    """Returns where the result is that a task's XComs name."""
    job_key: str | None
    """The XCom that it pushes for a job that it has created; None if it pushes none and polls the job next."""
    waits: str
    """What a try's log has, as a regular expression, when it waits for a job in a worker."""

    @property
    def dags(self) -> Path:
        """The folder of its DAGs."""
        return DAGS / self.name


def _our_job_names(xcoms: Mapping[str, Any]) -> set[str]:
    found = {xcoms.get("job_name"), (xcoms.get("return_value") or {}).get("job_name")}
    return {name for name in found if name}


def _our_result_uri(xcoms: Mapping[str, Any]) -> str | None:
    uris = {xcoms.get("result"), (xcoms.get("return_value") or {}).get("outputs", {}).get("result")}
    return uris.pop() if "return_value" in xcoms and len(uris) == 1 else None


def _amazon_job_names(xcoms: Mapping[str, Any]) -> set[str]:
    return {xcoms["return_value"]["Processing"]["ProcessingJobName"]} if "return_value" in xcoms else set()


def _amazon_result_uri(xcoms: Mapping[str, Any]) -> str | None:
    if "return_value" not in xcoms:
        return None
    (output,) = xcoms["return_value"]["Processing"]["ProcessingOutputConfig"]["Outputs"]
    uri: str = output["S3Output"]["S3Uri"]
    return uri


OPERATORS = {
    OURS: Operator(
        name=OURS,
        python=lambda: Path(sys.executable),
        job_names=_our_job_names,
        result_uri=_our_result_uri,
        job_key="job_name",
        waits=r"^\[algo-1\] .*line ",
    ),
    AMAZON: Operator(
        name=AMAZON,
        python=lambda: python_of(AMAZON),
        job_names=_amazon_job_names,
        result_uri=_amazon_result_uri,
        job_key=None,
        waits=r"^Resource still running",
    ),
}
