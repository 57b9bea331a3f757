"""Templates as Airflow renders them, and text without one as its author wrote it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_sm_processing.processing.values import NativeFloat, NativeInt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.sdk import DAG
    from jinja2 import Environment, Template

__all__ = ["TemplatedTask"]


class TemplatedTask(BaseOperator):
    """A task whose text reaches the job as it was written.

    Airflow hands each string to Jinja, with or without a template in it. In a native DAG
    (`render_template_as_native_obj=True`) that makes numbers, lists and truth values of what looks like one: `"1.10"`
    is 1.1 then. And in every DAG it takes the last line's end.
    """

    def render_template(
        self,
        content: Any,
        context: Any,
        jinja_env: Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:
        """Render what has a template in it, at any depth; other text is returned as it is."""
        if isinstance(content, str):
            jinja_env = jinja_env or self.get_template_env()
            if not self._is_template(content, jinja_env):
                return content
        return super().render_template(content, context, jinja_env, seen_oids)

    def _is_template(self, text: str, environment: Environment) -> bool:
        names_a_file = bool(self.template_ext) and text.endswith(tuple(self.template_ext))
        return names_a_file or any(mark in text for mark in _marks(environment))

    def _render(self, template: Template, context: Any, dag: DAG | None = None) -> Any:
        """Render by Airflow's own means; a number that a native DAG makes of text keeps that text."""
        recorded = _RecordedTemplate(template)
        value = super()._render(recorded, context, dag)
        if isinstance(value, str):
            return _without_surrogates(str.__str__(value))  # not Markup, which escapes what it meets
        text = recorded.text
        return value if text is None else _as_written(value, text)


class _RecordedTemplate:
    """A template that notes what it is rendered to, for Airflow to render."""

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

    @property
    def text(self) -> str | None:
        """The text that the template was rendered to; None if it is one expression whose value is no text."""
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
