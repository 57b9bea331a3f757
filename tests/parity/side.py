"""A library in a separate process, which carries out cases one after the other."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKER = Path(__file__).with_name("worker.py")
SECONDS_TO_END = 10


class Side:
    """One of the two libraries under comparison: `sdk` or `ours`."""

    def __init__(self, name: str, process: subprocess.Popen[str], errors: Path) -> None:
        self.name = name
        self._process = process
        self._errors = errors

    def carry_out(self, order: dict[str, Any]) -> dict[str, Any]:
        """Send an order and wait for its answer."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._next_answer()
        while answer["access_key"] != order["access_key"]:  # of a test that timed out before
            answer = self._next_answer()
        return answer

    def _next_answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"The process of {self.name} ended:\n{self._errors.read_text()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def side(name: str, python: Path, scratch: Path, endpoint_url: str) -> Iterator[Side]:
    """Start a library's process, which calls the endpoint; closing its standard input ends it."""
    errors = scratch / f"{name}.stderr"
    with (
        errors.open("w") as stderr,
        subprocess.Popen(
            [python, "-I", WORKER, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=_environment(scratch, endpoint_url),
            cwd=scratch,
        ) as process,
    ):
        try:
            yield Side(name, process, errors)
        finally:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.close()
    try:
        process.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()


def _environment(scratch: Path, endpoint_url: str) -> dict[str, str]:
    """Return an environment without the user's own AWS or SDK configuration."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(scratch),
        "XDG_CONFIG_HOME": str(scratch),
        "XDG_CONFIG_DIRS": str(scratch),
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_CONFIG_FILE": str(scratch / "no-aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(scratch / "no-aws-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAGEMAKER_SUPPRESS_V2_WARNING": "1",
        "TZ": "Asia/Kolkata",  # not UTC, which the generated names must be in
    }
