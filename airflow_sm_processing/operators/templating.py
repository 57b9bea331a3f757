"""Render templates: texts without one are kept, other values keep their types, and missing values are found."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, MappingView, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions._internal.mixins import ResolveMixin

from airflow_sm_processing.exceptions import Problem
from airflow_sm_processing.processing.secrets import hidden
from airflow_sm_processing.processing.values import BOOLEANS, LATE, NativeFloat, NativeInt, from_json, rule_of_structure

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from jinja2 import Environment, Template

__all__ = [
    "LATE",
    "RecordedTemplate",
    "as_bool",
    "described",
    "gave_nothing",
    "has_template",
    "hide_unresolved",
    "is_resolved",
    "missing_value_problems",
    "one_for_each_source",
    "render_fields",
    "resolved",
    "template_problems",
    "without_left_out",
]


_TEMPLATE_MARKS = ("{{", "{%", "{#")


# Before a run


def is_resolved(value: Any) -> bool:
    """Return whether a value is entirely known before a run."""
    plain = hide_unresolved(value)
    return plain is not LATE and not (isinstance(plain, list) and LATE in plain)


def hide_unresolved(value: Any) -> Any:
    """Return a value with LATE in place of templates, XComArgs and anything else that only a run knows."""
    if isinstance(value, str):
        return LATE if any(mark in value for mark in _TEMPLATE_MARKS) else value
    if isinstance(value, dict):
        return {key: hide_unresolved(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [hide_unresolved(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float)) else LATE


def as_bool(value: object) -> bool | None:
    """Return a bool, also from text that a template wrote; None for anything else."""
    return BOOLEANS.get(str(value).lower())


def template_problems(
    fields: Mapping[str, Any], settings: Mapping[str, Any] | None, secret: Collection[str] = ()
) -> Iterator[Problem]:
    """Yield the templates that Jinja can't parse, which would otherwise fail only when a run renders them.

    Args:
        fields: The plain templated parameters.
        settings: The DAG's `jinja_environment_kwargs`.
        secret: The names of the parameters whose values aren't shown.
    """
    environment = _syntax() if not settings else _environment(**settings)
    marks = _marks(environment)
    read = _syntax_error if settings else _usual_syntax_error
    for path, text in _texts_in("", fields):
        if any(mark in text for mark in marks) and (reason := read(text, environment)):
            shown = hidden(text) if path.partition("[")[0] in secret else text
            yield Problem(path, shown, f"is a template that Jinja can't read: {reason}")


def _texts_in(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts_in(f"{path}[{key!r}]" if path else str(key), item)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _texts_in(f"{path}[{index}]", item)


def _environment(**settings: Any) -> Environment:
    from jinja2 import Environment

    return Environment(**{"extensions": ["jinja2.ext.do"], **settings})  # noqa: S701  # it renders nothing


@cache
def _syntax() -> Environment:
    """Return an environment that parses templates like Airflow's; cached, while Airflow creates one per DAG."""
    return _environment()


@lru_cache(maxsize=1024)
def _usual_syntax_error(text: str, environment: Environment) -> str | None:
    """Return the syntax error in an environment that all DAGs share; cached, as most tasks' templates are alike."""
    return _syntax_error(text, environment)


def _syntax_error(text: str, environment: Environment) -> str | None:
    from jinja2 import TemplateSyntaxError

    try:
        environment.parse(text)
    except TemplateSyntaxError as error:
        return str(error.message)
    return None


# Rendering: Airflow passes each string to Jinja, with or without a template in it. In a native DAG
# (`render_template_as_native_obj=True`), strings that look like numbers, lists or bools then become such values:
# `"1.10"` becomes 1.1. And in every DAG, the newline at the string's end is lost.


def has_template(text: str, environment: Environment, extensions: Iterable[str]) -> bool:
    """Return whether a text has a template in it, or names a template file by its extension."""
    return text.endswith(tuple(extensions)) or any(mark in text for mark in _marks(environment))


def render_fields(task: Any, names: Sequence[str], render: Callable[[Sequence[str]], None]) -> None:
    """Render a task's fields and fetch what they refer to, so that they have plain values afterwards.

    Args:
        task: The operator; its `written` keeps the fields as written in the DAG file.
        names: The fields.
        render: Renders the fields as Airflow does.
    """
    task.written = {**{name: getattr(task, name, None) for name in names}, **task.written}
    render(names)
    for name in names:
        setattr(task, name, resolved(getattr(task, name)))


def resolved(value: Any) -> Any:
    """Return a rendered value with lists and dicts in place of other sequences, iterators and mappings in it.

    Airflow resolves mapped tasks' XComs, and `.map()`, `.zip()` and `.concat()` of references, to its own sequences,
    which fetch their elements one by one. A list, tuple or dict without such values is returned unchanged, as the same
    object, whatever its class.
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
    return list(value[:] if is_lazy else value)  # one request to Airflow instead of one per element


class RecordedTemplate:
    """A template that records its rendered parts while Airflow renders it."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._nodes: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._template, name)

    def root_render_func(self, context: Any) -> Iterator[Any]:
        """Yield each rendered part of the template."""
        for node in self._template.root_render_func(context):
            self._nodes.append(node)
            yield node

    def value(self, rendered: Any) -> Any:
        """Return Airflow's rendered value; a number that a native DAG made of a text keeps that text."""
        if isinstance(rendered, str):
            return _without_surrogates(str.__str__(rendered))  # not Markup, which would escape what it is joined with
        text = self._text()
        return rendered if text is None else _as_written(rendered, text)

    def _text(self) -> str | None:
        """Return the rendered text; None if the template is a single expression whose value isn't text."""
        if len(self._nodes) == 1 and not isinstance(self._nodes[0], str):
            return None
        return "".join(str(node) for node in self._nodes)


def _marks(environment: Environment) -> tuple[str, ...]:
    """Return the marks that begin a template in this environment; a DAG may have changed them."""
    prefixes = (environment.line_statement_prefix, environment.line_comment_prefix)
    return (
        environment.variable_start_string,
        environment.block_start_string,
        environment.comment_start_string,
        *(prefix for prefix in prefixes if prefix),
    )


def _as_written(value: Any, text: str) -> Any:
    """Return Jinja's value of a text; numbers keep their text where Python would write them differently."""
    try:
        expression = ast.parse(text, mode="eval").body
        return _number(value, text) if _is_number(value) else _literal(expression, text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):  # Jinja's value isn't from this text
        return value


def _literal(node: ast.expr, text: str) -> Any:
    if isinstance(node, ast.Dict):
        pairs: Mapping[Any, ast.expr] = dict(zip((_literal(key, text) for key in node.keys), node.values, strict=True))  # type: ignore[arg-type]  # Jinja has parsed it, so it has no `**`
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
    """Return a text with surrogate pairs, as JSON escapes characters beyond the first plane, joined to characters."""
    if text.isascii():
        return text
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        return text


_PLACES = frozenset(
    {
        "source",
        "s3_uri",
        "destination",
        "local_path",
        "code",
        "source_dir",
        "role",
        "image",
        "image_uri",
        "submit_app",
        "submit_py_files",
        "submit_jars",
        "submit_files",
    }
)
"""The fields that can't be empty; in other text fields, an empty text means that there is no value."""
_TEXTS = (
    "role",
    "image",
    "image_uri",
    "instance_type",
    "code",
    "script_name",
    "source_dir",
    "dependencies",
    "submit_app",
    "submit_class",
    "submit_py_files",
    "submit_jars",
    "submit_files",
    "spark_event_logs_s3_uri",
    "base_job_name",
    "job_name",
    "volume_kms_key",
    "output_kms_key",
    "kms_key",
    "inputs",
    "outputs",
    "network_config",
)
"""The parameters whose texts, at any depth, are places and names. In others, such as `env`, `None` may be intended."""
_LEADING = r"(?s)\s*\{\{(?:(?!\}\}).)*\}\}"
_OPTIONAL = "optional"


def gave_nothing(written: Any, rendered: Any) -> bool:
    """Return whether a template or reference has no value: it rendered to None, to nothing, or to `None` as a text.

    Args:
        written: The value in the DAG file.
        rendered: The rendered value.
    """
    if hide_unresolved(written) is not LATE:
        return False
    if rendered is None or (isinstance(rendered, str) and rendered.strip() in {"", "None"}):
        return True
    return isinstance(written, str) and isinstance(rendered, str) and _begins_with_nothing(written, rendered)


def _begins_with_nothing(written: str, rendered: str) -> bool:
    """Return whether the template at a text's beginning has no value: `{{ none }}/a.csv` isn't a path."""
    found = re.match(_LEADING, written)
    if found is None:
        return False
    rest = written[found.end() :]
    if any(mark in rest for mark in _TEMPLATE_MARKS):
        return rest.startswith("/") and rendered.startswith("None/")
    return rendered in {rest, f"None{rest}"}


def without_left_out(written: Any, inputs: Any) -> Any:
    """Return a task's inputs with None for the source of each optional one whose template has no value."""
    if not isinstance(inputs, (list, tuple)):
        return inputs
    return [_or_left_out(_part(written, index), item) for index, item in enumerate(inputs)]


def _or_left_out(written: Any, item: Any) -> Any:
    if not isinstance(item, dict) or as_bool(item.get(_OPTIONAL)) is not True:
        return item
    fields = dict(item)
    if gave_nothing(_part(written, "source"), item.get("source")):
        fields["source"] = None
    nested = item.get("s3_input")
    if isinstance(nested, dict) and gave_nothing(_part(_part(written, "s3_input"), "s3_uri"), nested.get("s3_uri")):
        fields["s3_input"] = None
    return fields


def missing_value_problems(written: Mapping[str, Any], rendered: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the places and names for which a template or reference has no value.

    Args:
        written: The task's parameters as written in the DAG file.
        rendered: The rendered parameters.
    """
    for name in _TEXTS:
        if name in written and name in rendered:
            yield from _missing_in(name, name, written[name], rendered[name])


def _missing_in(path: str, field: str, written: Any, rendered: Any) -> Iterator[Problem]:
    if isinstance(written, dict) and isinstance(rendered, dict):
        for key in written.keys() & rendered.keys() if not _is_left_out(rendered) else ():
            yield from _missing_in(f"{path}.{key}", key, written[key], rendered[key])
    elif isinstance(written, (list, tuple)) and isinstance(rendered, (list, tuple)):
        for index, (before, after) in enumerate(zip(written, rendered, strict=False)):
            yield from _missing_in(f"{path}[{index}]", field, before, after)
    elif gave_nothing(written, rendered) and (field in _PLACES or str(rendered or "").strip()):
        yield Problem(path, rendered, f"{described(written)} has no value{_way_out(path)}")


def _is_left_out(item: Mapping[str, Any]) -> bool:
    is_optional = as_bool(item.get(_OPTIONAL)) is True
    return is_optional and not item.get("source") and not item.get("s3_input")


def _way_out(path: str) -> str:
    is_source = path.startswith("inputs[") and path.endswith(("source", "s3_uri"))
    return "; if its upstream task may be skipped, optional=True leaves the input out then" if is_source else ""


def described(written: Any) -> str:
    """Return the description of a template or reference for an error: its text, or the XComs it refers to."""
    if isinstance(written, ResolveMixin):
        named = [f"XCom {key!r} of task {operator.task_id}" for operator, key in written.iter_references()]
        return f"the reference to {' and '.join(named)}"
    return f"the template {written!r}"


def _part(value: Any, key: Any) -> Any:
    """Return an item of a value in the DAG file; None if the value is itself a template or reference."""
    try:
        return value[key] if isinstance(value, (dict, list, tuple)) else None
    except (KeyError, IndexError):
        return None


# Inputs whose source is a list of places, such as an output of a mapped task: each place becomes a separate input


def one_for_each_source(path: str, item: Any, problems: list[Problem]) -> list[Any]:
    """Return an input's fields, or, if its source is a list, those of one input per place, in numbered folders.

    Args:
        path: The input as its user writes it, such as `inputs[0]`.
        item: Its fields.
        problems: The list to which problems with the source are added.
    """
    nested = item.get("s3_input") if isinstance(item, dict) else None
    fields, field = (nested, "s3_uri") if isinstance(nested, dict) else (item, "source")
    sources = _listed_places(fields.get(field)) if isinstance(fields, dict) else None
    if not isinstance(sources, (list, tuple)):
        if _is_pythons_text(sources):
            rule = rule_of_structure(sources, "place or a list of places")
            problems.append(Problem(f"{path}.{field}", sources, rule))
            return []
        return [item]
    if as_bool(item.get("optional")) is True:
        sources = [source for source in sources if source is not None]
        if not sources:
            return []
    wrong = [source for source in sources if not _may_be_place(source)]
    if wrong:
        rule = "must be S3 URIs or local paths: name an output of the upstream task, such as task.output['train']"
        problems.append(Problem(f"{path}.{field}", wrong[0], rule))
        return []
    if not sources:
        problems.append(Problem(f"{path}.{field}", [], "is an empty list: no upstream task has returned a URI"))
    if fields is item:
        return [_numbered(item, position, source=source) for position, source in enumerate(sources)]
    return [
        _numbered(item, position, s3_input=_in_folder({**fields, "s3_uri": source}, "local_path", position))
        for position, source in enumerate(sources)
    ]


def _listed_places(source: Any) -> Any:
    """Return the list in a JSON text, such as a template makes of a list of places; anything else unchanged."""
    if not isinstance(source, str) or source.lstrip()[:1] != "[":
        return source
    try:
        places = from_json(source)
    except (ValueError, RecursionError):
        return source
    are_texts = isinstance(places, list) and all(isinstance(place, str) for place in places)
    return places if are_texts else source  # `[1]` is the name of a folder


def _is_pythons_text(source: Any) -> bool:
    """Return whether a place is the `str` of a Python list of texts."""
    return isinstance(source, str) and source.lstrip()[:2] == "['" and source.rstrip()[-2:] == "']"


def _may_be_place(source: Any) -> bool:
    return isinstance(source, str) or not isinstance(source, (bool, int, float, dict, list, tuple, type(None)))


def _numbered(item: dict[str, Any], position: int, **places: Any) -> dict[str, Any]:
    name = item.get("input_name")
    named = {"input_name": f"{name}-{position}"} if isinstance(name, str) else {}
    return _in_folder({**item, **places, **named}, "destination", position)


def _in_folder(fields: dict[str, Any], field: str, position: int) -> dict[str, Any]:
    folder = fields.get(field)
    return {**fields, field: f"{folder.rstrip('/')}/{position}"} if isinstance(folder, str) else fields
