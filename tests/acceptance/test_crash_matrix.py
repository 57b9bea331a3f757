"""Exactly one job, whatever dies: every row of the crash matrix, played with real Airflow processes and SIGKILL.

`make soak` plays it again and again. How rows are written, and how they are played: `crash_matrix/`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from demo.airflow_home import CHECKOUT

from .crash_matrix.operators import OPERATORS, OURS
from .crash_matrix.playing import play
from .crash_matrix.rows import ROWS
from .crash_matrix.seen import Seen
from .crash_matrix.stage import staged
from .crash_matrix.summary import PLAYED, SOAK
from .crash_matrix.table import MODES, in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .crash_matrix.playing import Outcome
    from .crash_matrix.rows import Row
    from .crash_matrix.stage import Stage


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Play as many rounds as asked for."""
    if "soak_round" in metafunc.fixturenames:
        rounds = metafunc.config.getoption(SOAK, default=1)
        metafunc.parametrize("soak_round", range(1, rounds + 1), ids=lambda number: f"round {number}", scope="module")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An Airflow of the matrix's own: its scheduler and its triggerer are killed."""
    with staged(OPERATORS[OURS], [row.name for row in ROWS], tmp_path_factory.mktemp("crash_matrix")) as running:
        yield running


@pytest.fixture(scope="module")
def outcomes(stage: Stage, soak_round: int, request: pytest.FixtureRequest) -> Mapping[str, Outcome]:
    """What came of each row whose test is selected, by its name."""
    selected = [item.callspec.params.get("row") for item in request.session.items if hasattr(item, "callspec")]
    return play(stage, [row for row in ROWS if row in selected])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_one_job_with_its_own_result_and_none_left_running(
    row: Row, outcomes: Mapping[str, Outcome], record_property: Callable[[str, object], None]
) -> None:
    outcome = outcomes[row.name]
    record_property(PLAYED, [row.name, in_words(outcome)])
    assert isinstance(outcome, Seen), outcome
    assert outcome == row.expected, outcome.differences(row.expected)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_documentation_says_what_is_expected_of_each_row(row: Row) -> None:
    lines = CHECKOUT.joinpath("docs", "exactly-one-job.md").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"| {row.text} | {MODES[row.mode]} |")]
    assert re.fullmatch(r"\| .* \| (.*?) \|", line)[1].rpartition(" | ")[2] == str(row.expected)
