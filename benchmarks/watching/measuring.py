"""Runs one scenario for one contender, and puts what its two processes saw together."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import tempfile
import threading
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.watching.contenders import job_status
from benchmarks.watching.environments import ROOT, python_of, variables
from benchmarks.watching.gauges import private_kib
from benchmarks.watching.handover import handed_over
from benchmarks.watching.line_check import LineCheck
from benchmarks.watching.scenarios import POLL_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.watching.scenarios import Scenario


LOG_LINES = 30
COMPLAINT = re.compile(r"\[(warning|error|critical) *\]", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one contender needed and saw."""

    calls: dict[str, dict[str, int]]
    """By operation: `accepted`, `throttled`, and the most in any one second, `busiest_second`."""
    calls_to_start: int
    """Until all triggers had started and settled."""
    busiest_log_second: int
    """The most calls to CloudWatch Logs, whatever the operation, in any one second."""
    cpu_start: float
    cpu_wait: float
    blocked: list[float]
    """Seconds, the five longest."""
    collecting: float
    """Seconds of the longest garbage collection, which blocks every thread."""
    kib_per_trigger: float
    peak_mib: float
    delays: list[float]
    """Seconds from each job's end to its trigger's event, sorted."""
    failures: dict[str, str]
    """By job: no event, a wrong one, or an exception."""
    complaints: list[str]
    """Warnings and errors in the log of the process that waited, each once."""
    live_lines: int
    """Lines that the triggers showed."""
    lines: int
    """Lines that triggers and workers showed together."""
    line_faults: dict[str, int]

    def total(self, kind: str, name_part: str = "") -> int:
        """Count the `accepted` or `throttled` calls of the operations whose name has this part."""
        return sum(calls[kind] for operation, calls in self.calls.items() if name_part in operation)

    def busiest_second(self, operation: str) -> int:
        """Return the most calls of an operation in any one second."""
        return self.calls.get(operation, {}).get("busiest_second", 0)

    def percentile(self, share: float) -> float:
        """Return the delay that this share of the seen ends kept below; nan if none was seen."""
        return self.delays[math.ceil(share * len(self.delays)) - 1] if self.delays else math.nan


def measure(scenario: Scenario, contender: str) -> Result:
    """Run a scenario for a contender, in fresh processes."""
    with _fake(scenario) as port, tempfile.TemporaryDirectory(prefix="bench-watching-") as home:
        with _driver(contender, Path(home), port) as driver:
            order = {
                "contender": contender,
                "jobs": [[name, at] for name, (at, _) in _control(port, "ends").items()],
                "poll_seconds": POLL_SECONDS,
                "logs": scenario.logs,
                "round_seconds": scenario.round_seconds,
                "settle_seconds": scenario.settle_seconds,
                "timeout": scenario.timeout,
            }
            report, peak_kib = _waited(driver, order, port, Path(home))
        calls, ends = _control(port, "calls"), _control(port, "ends")
        lines = handed_over(report, port, _control(port, "lines")) if scenario.logs else LineCheck()
        return _result(contender, report | {"complaints": _complaints(Path(home))}, peak_kib, calls, ends, lines)


@contextmanager
def _fake(scenario: Scenario) -> Iterator[int]:
    """Run the fake AWS and return its port."""
    command = [sys.executable, "-m", "benchmarks.fake_sagemaker", scenario.plan.to_json()]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()


@contextmanager
def _driver(contender: str, home: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    command = [str(python_of(contender)), "-m", "benchmarks.watching.driver"]
    pipe, environment = subprocess.PIPE, variables(home, port)
    with (
        _log(home).open("w") as log,
        subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=log, text=True, env=environment) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def _log(home: Path) -> Path:
    return home / "driver.log"


def _complaints(home: Path) -> list[str]:
    lines = _log(home).read_text().splitlines()
    told = (line.partition(" ")[2] for line in lines if COMPLAINT.search(line))  # without the time
    return list(dict.fromkeys(told))


def _answer(driver: subprocess.Popen[str], home: Path) -> Any:
    assert driver.stdout
    if line := driver.stdout.readline():
        return json.loads(line)
    last = "\n".join(_log(home).read_text().splitlines()[-LOG_LINES:])
    raise RuntimeError(f"The process that waits ended too early. The last lines of its log:\n{last}")


def _waited(driver: subprocess.Popen[str], order: dict[str, Any], port: int, home: Path) -> tuple[dict[str, Any], int]:
    """Return the order, start the jobs when the triggers run, and read the report; sample the memory meanwhile."""
    assert driver.stdin
    print(json.dumps(order), file=driver.stdin, flush=True)
    with _peak_of(driver.pid) as peak:
        _answer(driver, home)
        calls = _control(port, "calls")["operations"].values()
        _control(port, "start")
        return {**_answer(driver, home), "calls_to_start": sum(of["accepted"] for of in calls)}, peak[0]


@contextmanager
def _peak_of(process: int) -> Iterator[list[int]]:
    """Keep the largest memory of a process, in KiB, in the list's one place."""
    peak, over = [0], threading.Event()

    def sample() -> None:
        while not over.wait(1):
            peak[0] = max(peak[0], private_kib(process))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield peak
    finally:
        over.set()
        sampler.join()


def _control(port: int, path: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/control/{path}") as answer:
        return dict(json.load(answer))


def _result(
    contender: str, report: dict[str, Any], peak_kib: int, calls: dict[str, Any], ends: dict[str, Any], lines: LineCheck
) -> Result:
    return Result(
        calls=calls["operations"],
        busiest_log_second=calls["busiest_log_second"],
        calls_to_start=report["calls_to_start"],
        cpu_start=report["cpu_start"],
        cpu_wait=report["cpu_wait"],
        blocked=report["blocked"],
        collecting=report["collecting"],
        kib_per_trigger=(report["kib_all"] - report["kib_first"]) / max(1, len(ends) - 1),
        peak_mib=peak_kib / 1024,
        delays=sorted(at - ends[job][0] for job, (at, _) in report["events"].items()),
        failures=dict(_failures(contender, report, ends)),
        complaints=report["complaints"],
        live_lines=sum(report["lines"].values()),
        lines=sum(lines.next.values()),
        line_faults={fault: count for fault, count in lines.faults.items() if count},
    )


def _failures(contender: str, report: dict[str, Any], ends: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for job, (ended_at, status) in ends.items():
        if job in report["errors"]:
            yield job, report["errors"][job]
        elif job not in report["events"]:
            yield job, "no event"
        else:
            at, payload = report["events"][job]
            said = job_status(contender, payload)
            if said not in {status, "ended"}:
                yield job, f"is {status}, the event says {said}"
            elif at < ended_at:
                yield job, f"its event came {ended_at - at:.3f} s before its end"
