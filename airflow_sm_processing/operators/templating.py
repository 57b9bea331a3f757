"""How templates are rendered: text without one stays as it was written, and what only a run knows is told apart."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, MappingView, Sequence
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.processing.values import BOOLEANS, LATE, NativeFloat, NativeInt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jinja2 import Environment, Template

__all__ = [
    "LATE",
    "RecordedTemplate",
    "as_bool",
    "has_template",
    "hide_unresolved",
    "is_resolved",
    "render_fields",
    "resolved",
]

_TEMPLATE_MARKS = ("{{", "{%", "{#")


# Before a run


def is_resolved(value: Any) -> bool:
    """Return whether all of a value is known before a run."""
    plain = hide_unresolved(value)
    return plain is not LATE and not (isinstance(plain, list) and LATE in plain)


def hide_unresolved(value: Any) -> Any:
    """Return a value with LATE in place of templates, XComArgs and whatever else only a run knows."""
    if isinstance(value, str):
        return LATE if any(mark in value for mark in _TEMPLATE_MARKS) else value
    if isinstance(value, dict):
        return {key: hide_unresolved(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [hide_unresolved(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float)) else LATE


def as_bool(value: object) -> bool | None:
    """Return a truth value, or the one that a template wrote as text; None for anything else."""
    return BOOLEANS.get(str(value).lower())


# Rendering: Airflow hands each string to Jinja, with or without a template in it. In a native DAG
# (`render_template_as_native_obj=True`) that makes numbers, lists and truth values of what looks like one: `"1.10"`
# is 1.1 then. And in every DAG it takes the last line's end.


def has_template(text: str, environment: Environment, extensions: Iterable[str]) -> bool:
    """Return whether a text has a template in it, or names a file that is one by its extension."""
    return text.endswith(tuple(extensions)) or any(mark in text for mark in _marks(environment))


def render_fields(task: Any, names: Sequence[str], render: Callable[[Sequence[str]], None]) -> None:
    """Render a task's fields, and fetch what they refer to, before anything asks what kind of value they have.

    Args:
        task: The operator; its `written` keeps the fields as they stand in the DAG file.
        names: The fields.
        render: Renders the fields as Airflow does.
    """
    task.written = {**{name: getattr(task, name, None) for name in names}, **task.written}
    render(names)
    for name in names:
        setattr(task, name, resolved(getattr(task, name)))


def resolved(value: Any) -> Any:
    """Return a rendered value with lists and dicts in place of other sequences, iterators and mappings in it.

    Airflow resolves what mapped tasks left, and `.map()`, `.zip()` and `.concat()` of references, to sequences of its
    own that ask for their elements one by one. A list, tuple or dict without such a thing in it is returned as it is,
    whatever its class.
    """
    if value is None or isinstance(value, (str, bytes, bytearray)):
        return value
    if isinstance(value, Mapping):
        items = {key: resolved(item) for key, item in value.items()}
        return value if isinstance(value, dict) and all(value[key] is item for key, item in items.items()) else items
    if not isinstance(value, (Sequence, Iterator, MappingView)):
        return value
    before = _elements(value)
    after = [resolved(item) for item in before]
    if not isinstance(value, (list, tuple)):
        return after
    changed = any(new is not old for new, old in zip(after, before, strict=True))
    return (tuple(after) if isinstance(value, tuple) else after) if changed else value


def _elements(value: Any) -> list[Any]:
    from airflow.sdk.execution_time.lazy_sequence import LazyXComSequence

    is_lazy = isinstance(value, LazyXComSequence)
    return list(value[:] if is_lazy else value)  # one question to Airflow instead of one for each element


class RecordedTemplate:
    """A template that records what it is rendered to, for Airflow to render."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._nodes: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._template, name)

    def root_render_func(self, context: Any) -> Iterator[Any]:
        """Yield what Jinja makes of each part of the template."""
        for node in self._template.root_render_func(context):
            self._nodes.append(node)
            yield node

    def value(self, rendered: Any) -> Any:
        """Return the value that Airflow rendered; a number that a native DAG made of text keeps that text."""
        if isinstance(rendered, str):
            return _without_surrogates(str.__str__(rendered))  # not Markup, which escapes what it meets
        text = self._text()
        return rendered if text is None else _as_written(rendered, text)

    def _text(self) -> str | None:
        """Return the text that the template was rendered to; None if it is one expression whose value is no text."""
        if len(self._nodes) == 1 and not isinstance(self._nodes[0], str):
            return None
        return "".join(str(node) for node in self._nodes)


def _marks(environment: Environment) -> tuple[str, ...]:
    """Return what begins a template in this environment, which a DAG may have changed."""
    prefixes = (environment.line_statement_prefix, environment.line_comment_prefix)
    return (
        environment.variable_start_string,
        environment.block_start_string,
        environment.comment_start_string,
        *(prefix for prefix in prefixes if prefix),
    )


def _as_written(value: Any, text: str) -> Any:
    """Return what Jinja made of a text, its numbers with the text of each that Python writes otherwise."""
    try:
        expression = ast.parse(text, mode="eval").body
        return _number(value, text) if _is_number(value) else _literal(expression, text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):  # it isn't what Jinja read
        return value


def _literal(node: ast.expr, text: str) -> Any:
    if isinstance(node, ast.Dict):
        pairs: Mapping[Any, ast.expr] = dict(zip((_literal(key, text) for key in node.keys), node.values, strict=True))  # type: ignore[arg-type]  # Jinja has read it: no `**` in it
        return {key: _literal(item, text) for key, item in pairs.items()}
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [_literal(item, text) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    value = ast.literal_eval(node)
    if isinstance(value, str):
        return _without_surrogates(value)
    return _number(value, ast.get_source_segment(text, node) or "") if _is_number(value) else value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: float, text: str) -> float:
    if str(value) == text:
        return value
    number = NativeInt(value) if isinstance(value, int) else NativeFloat(value)
    number.written = text
    return number


def _without_surrogates(text: str) -> str:
    """Return a text whose characters beyond the first plane JSON wrote as two, which Python reads as two."""
    if text.isascii():
        return text
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        return text
