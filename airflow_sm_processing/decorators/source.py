"""A function's source and its call, as files that are the job's code in the container."""

from __future__ import annotations
import __future__

import builtins
import dis
import inspect
import json
import linecache
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import DefinitionError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import CodeType, FunctionType


__all__ = ["CONTAINER", "SCRIPT", "FunctionCall", "FunctionSource", "check_function"]


_NOT_RETURNING = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
_ELSEWHERE = "import or define it in the function, or pass it as an argument"


@dataclass(frozen=True, kw_only=True)
class FunctionSource:
    """The text of a function, with its decorators, as it is in its file."""

    name: str
    text: str
    file: str
    """The file's name, without its folder: the same on every worker."""
    first_line: int
    """The line of the first decorator, counted from 1."""
    future: tuple[str, ...]
    """The names that the file imports from `__future__`."""

    @classmethod
    def of(cls, function: Callable[..., Any]) -> FunctionSource:
        """Read the source of a function that `check_function` accepts."""
        lines, first_line = inspect.getsourcelines(function)
        code = function.__code__
        features = [name for name in __future__.all_feature_names if _flag(name) & code.co_flags]
        return cls(
            name=function.__name__,
            text="".join(lines),
            file=Path(code.co_filename).name,
            first_line=first_line,
            future=tuple(features),
        )


def check_function(function: Callable[..., Any]) -> None:
    """Make sure that a function can run by itself, from its source.

    Raises:
        DefinitionError: It can't; every reason at once.
    """
    problems = list(_problems(function))
    if problems:
        name = getattr(function, "__qualname__", repr(function))
        raise DefinitionError(problems, subject=f"the function {name} for @task.sm_processing")


def _problems(function: Callable[..., Any]) -> Iterator[Problem]:
    if not inspect.isfunction(function) or function.__name__ == "<lambda>":
        yield Problem("function", function, "must be a function that is defined with def: its source is what travels")
        return
    if any(is_one(function) for is_one in _NOT_RETURNING):
        yield Problem("function", function.__name__, "must return a value: it is asynchronous, or a generator")
    if hasattr(function, "__wrapped__"):
        yield Problem(
            "function", function.__name__, "has a decorator between it and @task.sm_processing, that stays behind"
        )
    yield from _missing(function)
    if not linecache.getlines(function.__code__.co_filename, function.__globals__):  # cheaper than finding its lines
        yield Problem("function", function.__name__, "must have its source in a file: that is what travels")


def _missing(function: FunctionType) -> Iterator[Problem]:
    """Yield the names that the function uses without defining them, and that don't exist in the container."""
    code, name = function.__code__, function.__name__
    for outer in sorted({*code.co_freevars} - {name}):
        yield Problem("function", outer, f"belongs to a function around it, which stays behind: {_ELSEWHERE}")
    for outer in sorted(_globals_of(code) - {name, *vars(builtins)}):
        yield Problem("function", outer, f"is a global name of the DAG file, which stays behind: {_ELSEWHERE}")


def _globals_of(code: CodeType) -> set[str]:
    """Return the global names that a function uses and doesn't define itself; type hints aren't evaluated."""
    needed, made = set(), set()
    for each in _with_inner(code):
        for instruction in dis.get_instructions(each):
            if instruction.opname == "LOAD_GLOBAL":
                needed.add(str(instruction.argval))
            elif instruction.opname == "STORE_GLOBAL":
                made.add(str(instruction.argval))
    return needed - made


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from _with_inner(constant)


def _flag(feature: str) -> int:
    flag: int = getattr(__future__, feature).compiler_flag
    return flag


CONTAINER = Path(__file__).parent / "container"
"""The package that runs there."""
SCRIPT = "run.py"
_PACKAGE = "airflow_sm_container"
_START = f"""\
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # not there under PYTHONSAFEPATH

from {_PACKAGE}.runner import main

main()
"""


@dataclass(frozen=True, kw_only=True)
class FunctionCall:
    """A call of a function, with everything that the container needs for it."""

    source: FunctionSource
    arguments: dict[str, Any]
    """As JSON, by the function's parameters."""
    requirements: Sequence[str]
    multiple_outputs: bool
    max_xcom_bytes: int

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Yield a folder with the call, which no other user can read and which is removed after the block."""
        with TemporaryDirectory(prefix="sm-processing-call-") as name:
            folder = Path(name)
            shutil.copytree(CONTAINER, folder / _PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
            (folder / SCRIPT).write_text(_START, encoding="utf-8")
            (folder / "call.json").write_text(json.dumps(self._to_plain()), encoding="utf-8")
            yield folder

    def _to_plain(self) -> dict[str, Any]:
        return {
            "function": self.source.name,
            "source": self.source.text,
            "file": self.source.file,
            "first_line": self.source.first_line,
            "future": self.source.future,
            "arguments": self.arguments,
            "requirements": list(self.requirements),
            "multiple_outputs": self.multiple_outputs,
            "max_xcom_bytes": self.max_xcom_bytes,
        }
