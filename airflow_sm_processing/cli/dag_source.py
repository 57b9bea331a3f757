"""Read names and literal dicts from a DAG file's text, without running it."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["WIDTH", "DagSource", "UnknownValueError", "formatted"]

_QUOTED = re.compile(r"([a-zA-Z]*)'[^'\"\\]*'\Z")
_BEGIN, _END = (getattr(tokenize, name, None) for name in ("FSTRING_START", "FSTRING_END"))  # since Python 3.12
WIDTH = 100
"""The maximum width of a printed line of code or comment."""

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SCOPES = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, *_COMPREHENSIONS)
_NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)
_CHANGING = frozenset(
    {"append", "clear", "extend", "insert", "pop", "popitem", "remove", "reverse", "setdefault", "sort", "update"}
)
_HARMLESS = frozenset(
    {"copy", "deepcopy", "dict", "dumps", "enumerate", "expand", "items", "len", "list", "partial", "print", "sorted"}
)
"""Calls that don't change their arguments; neither do operators, sensors and DAGs."""
_COPYING = frozenset({"copy", "deepcopy", "dict"})


class UnknownValueError(LookupError):
    """A value can't be determined from the file's text; `reason` says why, with the line."""

    def __init__(self, node: ast.AST, reason: str) -> None:
        self.reason = f"{reason} (line {getattr(node, 'lineno', 1)})"
        super().__init__(self.reason)


class DagSource:
    """A parsed DAG file.

    A name is replaced by its assigned value only where that can't have changed: it is assigned once, nothing alters
    the value, and the names in the value mean the same where it would be pasted.
    """

    def __init__(self, text: bytes | str, file: str = "<DAG file>") -> None:
        """Parse the text.

        Raises:
            SyntaxError: It isn't valid Python.
            ValueError: The same, on some versions of Python.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about invalid escapes in the file, which only its author can fix
            self.tree = ast.parse(text, file)
        self._parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def parent(self, node: ast.AST) -> ast.AST | None:
        """Return the node that contains a node."""
        return self._parents.get(node)

    def qualified(self, node: ast.AST | None) -> str | None:
        """Return the dotted name that a name or attribute was imported as; follows `as` and assignments."""
        if isinstance(node, ast.Attribute):
            owner = self.qualified(node.value)
            return f"{owner}.{node.attr}" if owner else None
        if not isinstance(node, ast.Name):
            return None
        if node.id in self._imports:
            return self._imports[node.id]
        values = self._bound(node.id, node)[1]
        is_alias = len(values) == 1 and self._root(values[0]) in self._imports
        return self.qualified(values[0]) if is_alias else None

    def star_imports(self) -> set[str]:
        """Return the modules that are imported with `*`."""
        found = [node for node in ast.walk(self.tree) if isinstance(node, ast.ImportFrom)]
        return {node.module or "" for node in found if any(alias.name == "*" for alias in node.names)}

    def value(self, node: ast.expr, at: ast.AST) -> ast.expr:
        """Return the expression assigned to a name; any other expression is returned unchanged.

        Args:
            node: The expression, possibly a name.
            at: Where the result would be pasted.

        Raises:
            UnknownValueError: The name may have another value there.
        """
        seen = set()
        while isinstance(node, ast.Name):
            _, values = self._bound(node.id, node)
            value = values[0] if len(values) == 1 else None
            if value is None or node.id in seen:
                raise UnknownValueError(node, f"{node.id} isn't a constant of this file")
            if node.id in self._changed and not isinstance(value, ast.Constant):
                raise UnknownValueError(node, f"{node.id} may be changed after its assignment")
            self._check_names_in(value, at)
            seen.add(node.id)
            node = value
        return node

    def fields(self, node: ast.expr, at: ast.AST) -> dict[str, ast.expr]:
        """Return the items of a dict that the file spells out: a literal, with `**` and `|`, by `dict(…)`, or a copy.

        Raises:
            UnknownValueError: The file doesn't spell out the dict or one of its keys.
        """
        node = self.value(node, at)
        if isinstance(node, ast.Dict):
            return self._literal(node, at)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return {**self.fields(node.left, at), **self.fields(node.right, at)}
        if isinstance(node, ast.Call):
            return self._called(node, at)
        raise UnknownValueError(node, f"{ast.unparse(node)[:40]} isn't a literal dict in this file")

    def text(self, node: ast.expr, at: ast.AST) -> str | None:
        """Return the text of a string literal; None for anything else."""
        try:
            node = self.value(node, at)
        except UnknownValueError:
            return None
        return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None

    def is_task_result(self, node: ast.expr) -> bool:
        """Return whether an expression is recognizably another task's result."""
        while isinstance(node, ast.Subscript):
            node = node.value
        if isinstance(node, ast.Name):
            values = self._bound(node.id, node)[1]
            value = values[0] if len(values) == 1 else None
            return value is not None and not isinstance(value, ast.Name) and self.is_task_result(value)
        if isinstance(node, ast.Call):
            return isinstance(node.func, ast.Name) and node.func.id in self._task_functions
        return isinstance(node, ast.Attribute) and node.attr == "output"

    @cached_property
    def _task_functions(self) -> set[str]:
        """The functions decorated with `@task` or one of its variants."""
        functions = [node for node in ast.walk(self.tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
        return {
            function.name
            for function in functions
            for decorator in function.decorator_list
            if re.match(r"task\b", ast.unparse(decorator))
        }

    def _literal(self, node: ast.Dict, at: ast.AST) -> dict[str, ast.expr]:
        found: dict[str, ast.expr] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            name = None if key is None else self.text(key, at)
            if key is None:
                found |= self.fields(value, at)
            elif name is None:
                raise UnknownValueError(key, f"the key {ast.unparse(key)} isn't written down here")
            else:
                found[name] = value
        return found

    def _called(self, node: ast.Call, at: ast.AST) -> dict[str, ast.expr]:
        if _last_name(node.func) not in _COPYING or len(node.args) > 1:
            raise UnknownValueError(node, f"{ast.unparse(node.func)}() is only known when the file runs")
        copied = node.args or _owner_of_copy(node)
        found = self.fields(copied[0], at) if copied else {}
        for item in node.keywords:
            found |= self.fields(item.value, at) if item.arg is None else {item.arg: item.value}
        return found

    def _check_names_in(self, value: ast.expr, at: ast.AST) -> None:
        """Check that the names in a value are known where it would be pasted, and mean the same there."""
        own = {node.id for node in ast.walk(value) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        for node in ast.walk(value):
            if isinstance(node, ast.Name) and node.id not in own:
                scope, values = self._bound(node.id, node)
                if self._bound(node.id, at)[0] is not scope or len(values) > 1:
                    raise UnknownValueError(node, f"{node.id} may be something else by then")

    def _bound(self, name: str, at: ast.AST) -> tuple[ast.AST | None, list[ast.expr | None]]:
        """Return the scope that binds a name used at `at`, and the values assigned to it there."""
        scope: ast.AST | None = self._scope(at)
        while scope is not None:
            if name in self._bindings.get(scope, {}):
                return scope, self._bindings[scope][name]
            scope = self._scope(scope)
        return None, []

    def _scope(self, node: ast.AST) -> ast.AST | None:
        scope = self.parent(node)
        while scope is not None and not isinstance(scope, _SCOPES):
            scope = self.parent(scope)
        return scope

    @cached_property
    def _bindings(self) -> dict[ast.AST, dict[str, list[ast.expr | None]]]:
        found: dict[ast.AST, dict[str, list[ast.expr | None]]] = {}
        for node in ast.walk(self.tree):
            for name, value in self._bound_by(node):
                scope = self._scope(node)
                if scope is not None:
                    found.setdefault(scope, {}).setdefault(name, []).append(value)
        return found

    def _bound_by(self, node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
        """Yield the names that a node itself binds, each with its value if that is one expression."""
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id, self._assigned(node)
        elif isinstance(node, ast.arg):
            yield node.arg, None
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name.partition(".")[0]), None
        elif isinstance(node, _NAMED) and node.name:
            yield node.name, None

    def _assigned(self, name: ast.Name) -> ast.expr | None:
        statement = self.parent(name)
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not name:
            return statement.value
        return None

    @cached_property
    def _imports(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                whole = {alias.asname or alias.name.partition(".")[0]: alias for alias in node.names}
                found |= {name: alias.name if alias.asname else name for name, alias in whole.items()}
            elif isinstance(node, ast.ImportFrom):
                found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        return found

    @cached_property
    def _changed(self) -> set[str]:
        """The names whose values something may alter."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Global):
                found.update(node.names)
            elif isinstance(node, (ast.Subscript, ast.Attribute)) and not isinstance(node.ctx, ast.Load):
                found.add(self._root(node))
            elif isinstance(node, ast.Call):
                found |= self._changed_by(node)
            elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.Return, ast.Yield)):
                found |= {node.value.id} if isinstance(node.value, ast.Name) else set()
        return found

    def _changed_by(self, call: ast.Call) -> set[str]:
        name = (self.qualified(call.func) or _last_name(call.func)).rpartition(".")[2]
        if isinstance(call.func, ast.Attribute) and name in _CHANGING:
            return {self._root(call.func), *_names_among(call)}
        if name in _HARMLESS or name.lower().endswith(("operator", "sensor", "dag")):
            return set()
        return _names_among(call)

    def _root(self, node: ast.AST | None) -> str:
        while isinstance(node, (ast.Subscript, ast.Attribute)):
            node = node.value
        return node.id if isinstance(node, ast.Name) else ""


def _names_among(call: ast.Call) -> set[str]:
    given = [*call.args, *(item.value for item in call.keywords if item.arg is not None)]
    return {item.id for item in given if isinstance(item, ast.Name)}


def _last_name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _owner_of_copy(node: ast.Call) -> list[ast.expr]:
    """Return what `x.copy()` copies; nothing for `dict(…)`."""
    return [node.func.value] if isinstance(node.func, ast.Attribute) and not node.keywords else []


def formatted(node: ast.expr, indent: str = "", taken: int = 0) -> str:
    """Return an expression's code: on one line if it fits, else each item on its own line.

    Args:
        node: The expression.
        indent: The indentation of the lines after the first.
        taken: The number of characters before it on its first line, not counting the indentation.
    """
    line, inner = _one_line(node), f"{indent}    "
    if len(indent) + taken + len(line) <= WIDTH:
        return line
    if isinstance(node, ast.ListComp):
        loops = line[len(_one_line(node.elt)) + 1 : -1].strip()
        return f"[\n{inner}{formatted(node.elt, inner)}\n{inner}{loops}\n{indent}]"
    parts = _opened(node, indent)
    if parts is None:
        return line
    head, items, tail = parts
    body = "".join(f"{inner}{name}{formatted(item, inner, len(name) + 1)},\n" for name, item in items)
    return f"{head}\n{body}{indent}{tail}"


def _opened(node: ast.expr, indent: str) -> tuple[str, list[tuple[str, ast.expr]], str] | None:
    """Return an expression's opening text, its items with the text before each, and its closing text."""
    if isinstance(node, ast.Call) and (node.args or node.keywords):
        keywords = [("**" if item.arg is None else f"{item.arg}=", item.value) for item in node.keywords]
        is_chained = isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call)
        method = f".{node.func.attr}" if is_chained else ""  # type: ignore[attr-defined]  # it is an attribute
        owner: ast.expr = node.func.value if is_chained else node.func  # type: ignore[attr-defined]  # as above
        head = f"{formatted(owner, indent, len(method) + 1)}{method}("
        return head, [*(("", item) for item in node.args), *keywords], ")"
    if isinstance(node, ast.List) and node.elts:
        return "[", [("", item) for item in node.elts], "]"
    if isinstance(node, ast.Dict) and node.keys:
        keys = ["**" if key is None else f"{_one_line(key)}: " for key in node.keys]
        return "{", [*zip(keys, node.values, strict=True)], "}"
    return None


def _one_line(node: ast.expr) -> str:
    """Return an expression's code with double quotes; `ast.unparse` writes single ones."""
    code = ast.unparse(node)
    if "\n" in code:
        return code
    letters, depth = [*code], 0
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        depth += (token.type == _BEGIN) - (token.type == _END)
        if depth == 0 and (found := _QUOTED.match(token.string)):
            letters[token.start[1] + len(found[1])] = letters[token.end[1] - 1] = '"'
    return "".join(letters)
