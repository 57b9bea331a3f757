"""Compile the function from its source, with the DAG file's line numbers, so that tracebacks point to that file."""

from __future__ import annotations
import __future__

import ast
import linecache
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["load_function"]

_MODULE = "airflow_task_function"
_WRAPPER = "if True:\n"  # keeps an indented function indented: dedenting would change multi-line strings


def load_function(call: Mapping[str, Any]) -> Callable[..., Any]:
    """Compile the function without its decorators, type hints and defaults: they use names that only the DAG file has.

    The call brings every argument, including those with default values.
    """
    source, file, first_line = call["source"], call["file"], call["first_line"]
    wrapper = _WRAPPER if source[:1].isspace() else ""
    tree = ast.parse(wrapper + source, file)
    node = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == call["function"])
    _strip(node)
    module = ast.Module(body=[node], type_ignores=[])
    ast.increment_lineno(module, first_line - 1 - wrapper.count("\n"))
    flags = 0
    for feature in call["future"]:
        flags |= getattr(__future__, feature).compiler_flag
    linecache.cache[file] = (len(source), None, ["\n"] * (first_line - 1) + source.splitlines(keepends=True), file)
    namespace = types.ModuleType(_MODULE)
    sys.modules[_MODULE] = namespace  # dataclasses, for instance, look up the function's definitions there
    exec(compile(module, file, "exec", flags=flags, dont_inherit=True), namespace.__dict__)  # noqa: S102  # its purpose
    function: Callable[..., Any] = getattr(namespace, call["function"])
    return function


def _strip(node: ast.FunctionDef) -> None:
    arguments = node.args
    nothing = ast.copy_location(ast.Constant(None, None), node)
    arguments.defaults = [nothing for _ in arguments.defaults]
    arguments.kw_defaults = [None if default is None else nothing for default in arguments.kw_defaults]
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    for argument in every:
        if argument is not None:
            argument.annotation = None
    node.decorator_list, node.returns = [], None
