"""The path of a definition from `execute` to CreateProcessingJob reads in one sitting, as ARCHITECTURE.md has it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import airflow_sm_processing
from airflow_sm_processing import ProcessingOperator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    import pytest
    from airflow.sdk import DAG

    from airflow_sm_processing.local import LocalSageMaker
    from tests.task_runner import Runner

STEPS = (
    ("processing/definition.py", "read"),
    ("processing/submission.py", "with_defaults"),
    ("processing/validation.py", "check_definition"),
    ("processing/request.py", "plan_submission"),
    ("processing/submission.py", "create_job"),
)
"""Where the definition is read, gets the organisation's defaults, is checked, and becomes a request, which is sent."""
MOST_VISITS = 14
PACKAGE = Path(airflow_sm_processing.__file__).parent


class Walk:
    """The files in which a reader follows a definition from step to step, in order, with each return to a file."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []
        self._files: list[str] = []
        self._stack: list[FrameType] = []

    def follow(self, frame: FrameType, event: str, arg: Any) -> None:
        """Note the way to a step that is reached for the first time; this is a profile function."""
        del arg
        if event != "call" or not _is_ours(frame):
            return
        step = (_file(frame), frame.f_code.co_name)
        if step not in STEPS or step in self.steps:
            return
        self.steps.append(step)
        stack = _stack(frame)
        shared = sum(1 for _ in _common(self._stack, stack))
        begin = max(shared - 1, 0)  # a reader comes back to the function that called both
        self._files += [_file(each) for each in stack[begin:]]
        self._stack = stack

    def visits(self) -> list[str]:
        """Return the files in order, those that are come back to once more."""
        return [name for name, _ in groupby(self._files)]


def _is_ours(frame: FrameType) -> bool:
    return Path(frame.f_code.co_filename).is_relative_to(PACKAGE)


def _file(frame: FrameType) -> str:
    return Path(frame.f_code.co_filename).relative_to(PACKAGE).as_posix()


def _stack(frame: FrameType) -> list[FrameType]:
    """Return our functions on the way to this one, from `execute` on."""
    found: list[FrameType] = []
    at: FrameType | None = frame
    while at is not None:
        if _is_ours(at):
            found.append(at)
        if at.f_code.co_name == "execute":
            break
        at = at.f_back
    return found[::-1]


def _common(first: list[FrameType], second: list[FrameType]) -> Iterator[FrameType]:
    for one, other in zip(first, second, strict=False):
        if one is not other:
            return
        yield one


@contextmanager
def walked() -> Iterator[Walk]:
    walk = Walk()
    sys.setprofile(walk.follow)
    try:
        yield walk
    finally:
        sys.setprofile(None)


def test_a_reader_follows_a_definition_through_few_files(
    sagemaker: LocalSageMaker, dag: DAG, runner: Runner, monkeypatch: pytest.MonkeyPatch
):
    for name, value in sagemaker.environment().items():
        monkeypatch.setenv(name, value)
    with dag:
        task = ProcessingOperator(
            task_id="task",
            role="SageMakerRole",
            image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/tools:1",
            instance_count=1,
            instance_type="ml.m5.large",
            entrypoint=["true"],
            outputs=["/opt/ml/processing/output"],
            wait_for_completion=False,
        )
    with walked() as walk:
        assert runner.run(task).state == "success"
    assert walk.steps == [*STEPS]
    visits = walk.visits()
    assert len(visits) <= MOST_VISITS, "\n".join(visits)
