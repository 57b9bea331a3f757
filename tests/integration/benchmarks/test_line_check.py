"""What the benchmark calls a lost, repeated or misplaced line is one."""

from __future__ import annotations

import pytest

from benchmarks.fake_sagemaker.plan import job_name, line_text
from benchmarks.watching.line_check import LineCheck

JOB = job_name(7)


def shown(*numbers: int, host: int = 1) -> list[str]:
    return [f"[algo-{host}] {line_text(7, host, number)}" for number in numbers]


@pytest.fixture
def check() -> LineCheck:
    return LineCheck()


@pytest.mark.parametrize(
    ("numbers", "faults"),
    [
        ((0, 1, 2, 3), {}),
        ((0, 2, 1, 3), {"out of order": 1}),
        ((0, 1, 1, 2, 3), {"repeated": 1}),
        ((0, 3), {"lost": 2}),
        ((0, 1, 2), {"lost": 1}),
        ((), {"lost": 4}),
    ],
)
def test_each_of_four_lines_counts_once_in_its_place(
    check: LineCheck, numbers: tuple[int, ...], faults: dict[str, int]
):
    for line in shown(*numbers):
        check.show(JOB, line)
    check.count_lost({f"{JOB}/algo-1-1700000000": 4})
    assert dict(check.faults) == faults


def test_hosts_have_an_order_of_their_own(check: LineCheck):
    for line in [*shown(0, 1), *shown(0, 1, host=2), *shown(2)]:
        check.show(JOB, line)
    check.count_lost({f"{JOB}/algo-1-1700000000": 3, f"{JOB}/algo-2-1700000000": 2})
    assert dict(check.faults) == {}


def test_a_line_in_another_jobs_log_or_of_another_host_is_in_a_wrong_place(check: LineCheck):
    check.show(job_name(8), shown(0)[0])
    check.show(JOB, shown(1)[0].replace("[algo-1]", "[algo-2]"))
    assert dict(check.faults) == {"in a wrong place": 2}


def test_a_line_that_was_changed_is_found(check: LineCheck):
    check.show(JOB, shown(0)[0] + "…")
    assert dict(check.faults) == {"changed": 1}


def test_the_triggers_other_words_are_left_alone(check: LineCheck):
    check.show(JOB, f"Waiting for processing job {JOB}")
    assert dict(check.next) == {}
