"""A function travels as its source, and what would be missing elsewhere is told when the DAG is parsed."""

from __future__ import annotations

import ast
import functools
import json
from pathlib import Path

import pytest

from airflow_sm_processing import DefinitionError
from airflow_sm_processing.decorators import sm_processing_task
from airflow_sm_processing.decorators.container.function import load_function
from airflow_sm_processing.decorators.source import CONTAINER, FunctionSource, check_function

GREETING = "hello"


def loaded(function):
    source = FunctionSource.of(function)
    fields = {"function": source.name, "source": source.text, "file": source.file, "future": source.future}
    return load_function(json.loads(json.dumps({**fields, "first_line": source.first_line})))


def problems(function) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        check_function(function)
    return [str(problem) for problem in caught.value.problems]


def test_it_is_the_same_function_elsewhere():
    @functools.cache
    @functools.cache
    def text(one: Unknown, *, two=GREETING) -> Unknown:  # noqa: F821
        def inner(three: int = 3) -> int:
            return three

        return f"""\
{one}
  {two}{inner()}""" + str(inner.__annotations__)

    here = text.__wrapped__.__wrapped__
    there = loaded(here)
    assert there(1, two=2) == "1\n  23{'three': 'int', 'return': 'int'}"
    assert there.__code__.co_firstlineno == here.__code__.co_firstlineno + 2  # here, decorators count
    assert list(there.__code__.co_lines())[-1][2] == list(here.__code__.co_lines())[-1][2]


def test_a_function_may_call_itself_and_make_its_own_names():
    def factorial(number):
        global made  # noqa: PLW0603
        import math

        made = math.e
        return 1 if number < 2 else number * factorial(number - 1) + int(made) * 0

    check_function(factorial)
    assert loaded(factorial)(5) == 120


def test_names_of_the_dag_file_are_told():
    near = 1

    def use():
        return GREETING, near, json.dumps, [Path for _ in range(3)]

    stays = "which stays behind: import or define it in the function, or pass it as an argument"
    assert problems(use) == [
        f"function='near': belongs to a function around it, {stays}",
        f"function='GREETING': is a global name of the DAG file, {stays}",
        f"function='Path': is a global name of the DAG file, {stays}",
        f"function='json': is a global name of the DAG file, {stays}",
    ]


def test_what_has_no_source_of_its_own_is_refused():
    async def later():
        return 1

    def many():
        yield 1

    @functools.wraps(many)
    def wrapped():
        return 1

    defined: dict = {}
    exec("def made(): return 1", defined)
    assert "must be a function that is defined with def" in problems(lambda: 1)[0]
    assert "must be a function that is defined with def" in problems(functools.partial(len))[0]
    assert (
        problems(later)
        == problems(later)[:1]
        == ["function='later': must return a value: it is asynchronous, or a generator"]
    )
    assert "it is asynchronous, or a generator" in problems(many)[0]
    assert "has a decorator between it and @task.sm_processing" in problems(wrapped)[0]
    assert "must have its source in a file" in problems(defined["made"])[0]


def test_the_decorator_says_so_when_the_dag_is_parsed():
    with pytest.raises(DefinitionError, match=r"the function .*use for @task.sm_processing"):

        @sm_processing_task(image_uri="i")
        def use():
            return GREETING


@pytest.mark.parametrize("file", sorted(CONTAINER.glob("*.py")), ids=lambda file: file.name)
def test_what_runs_in_the_container_is_python_3_8_and_the_standard_library(file: Path):
    import sys

    tree = ast.parse(file.read_text(), feature_version=(3, 8))
    absolute = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
    names = {node.module for node in absolute} | {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    assert {str(name).partition(".")[0] for name in names} <= sys.stdlib_module_names
