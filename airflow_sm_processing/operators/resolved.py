"""Rendered parameters as plain lists and dicts.

Airflow resolves what mapped tasks left, and `.map()`, `.zip()` and `.concat()` of references, to sequences of its own
that ask for their elements one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MappingView, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.operators.templating import TemplatedTask

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ResolvedFields", "resolved"]


class ResolvedFields(TemplatedTask):
    """A task whose templated fields are plain lists and dicts once they are rendered."""

    written: Mapping[str, Any] = MappingProxyType({})
    """The templated fields as they stand in the DAG file, once they are rendered."""

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], *args: Any, **kwargs: Any
    ) -> None:
        """Render, then fetch what the fields refer to, before anything asks what kind of value they have."""
        names = [*template_fields]
        if parent is self:
            self.written = {**{name: getattr(self, name, None) for name in names}, **self.written}
        super()._do_render_template_fields(parent, names, *args, **kwargs)
        if parent is self:
            for name in names:
                setattr(self, name, resolved(getattr(self, name)))


def resolved(value: Any) -> Any:
    """Return a rendered value with lists and dicts in the place of other sequences, iterators and mappings in it.

    A list, tuple or dict without such a thing in it is returned as it is, whatever its class.
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
