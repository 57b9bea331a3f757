"""What a script really gets in a DAG with `render_template_as_native_obj=True`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dag_runs import Run


@pytest.fixture(scope="module")
def finished(run_dag: Callable[[str], Run]) -> Run:
    return run_dag("native")


@pytest.mark.parametrize(
    ("task", "arguments", "env"),
    [
        ("literals", ["1.10", "2024_01", "0x10", "1e5", "[1, 2]", "True"], ("1.10", "ends with a line\n", None)),
        ("templates", ["1.10", "1.10", "1.1", "7"], ("1.10", "True", "0.5")),
        ("mapped[0]", ["1.10"], (None, None, None)),
        ("mapped[1]", ["2024_01"], (None, None, None)),
    ],
)
def test_the_script_gets_the_text(finished: Run, task: str, arguments: list[str], env: tuple[str | None, ...]):
    assert finished.states[task] == "success", finished.logs[task]
    assert finished.xcoms[task]["call"] == {
        "arguments": arguments,
        "env": dict(zip(("VERSION", "FLAG", "NUMBER"), env, strict=True)),
    }


def test_a_number_that_could_have_been_another_text_fails_the_task_at_once(finished: Run):
    assert (finished.states["ambiguous"], finished.tries["ambiguous"]) == ("failed", 1)
    assert "arguments[1]='1.10': was text of which a native DAG made a number" in finished.logs["ambiguous"]


def test_a_function_gets_the_text(finished: Run):
    assert finished.xcoms["returned"]["return_value"] == ["1.10", "1.10"], finished.logs["returned"]
