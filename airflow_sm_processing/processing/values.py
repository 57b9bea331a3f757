"""What the definition objects have in common: wire names, and plain-JSON forms."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform(**_options):  # noqa: ANN003, ANN201  # mypy sees the other branch
        """Stand in for typing's, which Python 3.10 doesn't have; it only speaks to type checkers."""
        return lambda decorator: decorator


Late: TypeAlias = "Any"
"""A value that is known only when the task runs, such as Airflow's XComArg.

`str | Late` says: a string, or what becomes one before the core uses it."""


class _Late:
    """Stands for a value that only a run knows."""

    def __repr__(self) -> str:
        return "(known when the task runs)"

    def __deepcopy__(self, _memo: object) -> _Late:
        return self


LATE = _Late()
"""Stands in a definition for what isn't known yet; the checks pass over it."""

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True)
def value_object(cls: type[_T]) -> type[_T]:
    """Make a `Value` a dataclass of which only `__init__` is generated.

    `dataclass(frozen=True)` compiles seven functions for each class, over a millisecond, which every parse of every
    DAG file would pay for.
    """
    return dataclasses.dataclass(eq=False, repr=False)(cls)


class Value:
    """Base of frozen value objects: each field is set once, when the object is made."""

    def __setattr__(self, name: str, value: object) -> None:
        if name in self.__dict__ or name not in self._field_names():
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if isinstance(other, type(self)) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), *self._values()))

    def __repr__(self) -> str:
        fields = zip(self._field_names(), self._values(), strict=True)
        return f"{type(self).__qualname__}({', '.join(f'{name}={value!r}' for name, value in fields)})"

    @classmethod
    def _field_names(cls) -> tuple[str, ...]:
        names: tuple[str, ...] = tuple(cls.__dataclass_fields__)  # type: ignore[attr-defined]  # each is a dataclass
        return names

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self._field_names())


class WireObject(Value):
    """A value whose fields are SageMaker's, in snake_case.

    `to_boto` gives the request form and leaves out what is None; `from_boto` reads a response.
    """

    def to_boto(self) -> dict[str, Any]:
        """Give the object as SageMaker's API writes it."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]  # subclasses are dataclasses
        return {camel_case(name): as_boto(value) for name, value in fields.items() if value is not None}

    @classmethod
    def from_boto(cls, response: dict[str, Any] | None) -> Self | None:
        """Read the object from a response, in which what is absent is None; None gives None."""
        if response is None:
            return None
        names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]  # subclasses are dataclasses
        return cls(**{name: response.get(camel_case(name)) for name in names})


def as_boto(value: Any) -> Any:
    """Return an object's request form; what isn't one stays as it is, so that it is refused by name."""
    return value.to_boto() if isinstance(value, WireObject) else value


def as_list(items: Any) -> Any:
    """Copy a sequence to a list, but leave a string whole, so that it is refused and not taken apart into letters."""
    return items if isinstance(items, str) or items is LATE else list(items)


def as_dict(items: Any) -> Any:
    """Copy a mapping to a dict, but leave anything else as it is, so that it is refused by name."""
    return dict(items) if isinstance(items, Mapping) else items


def camel_case(snake_case: str) -> str:
    """Give a field's name as SageMaker writes it: `s3_uri` is `S3Uri`, `kms_key_id` is `KmsKeyId`."""
    return "".join(part[:1].upper() + part[1:] for part in snake_case.split("_"))


def to_plain(value: Any) -> Any:
    """Give a definition as plain dicts and lists, without the fields that are at their defaults; a path as a string.

    What isn't a definition passes through unchanged, and a structure without definitions in it is returned as it is,
    so that its identity is kept.
    """
    if isinstance(value, PurePath):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: to_plain(item) for name, item in _set_fields(value).items()}
    if isinstance(value, dict):
        return _same_or(value, {key: to_plain(item) for key, item in value.items()}, value.values())
    if isinstance(value, (list, tuple)):
        return _same_or(value, [to_plain(item) for item in value], value)
    return value


def _same_or(original: _T, converted: Any, items: Any) -> _T | Any:
    new_items = converted.values() if isinstance(converted, dict) else converted
    unchanged = all(new is old for new, old in zip(new_items, items, strict=True))
    return original if unchanged else converted


def read_dict(owner: object, field: str, read: Callable[[dict[str, Any]], object]) -> None:
    """Let a nested definition be given as a plain dict, which is how a templated or mapped one arrives."""
    value = getattr(owner, field)
    if isinstance(value, dict):
        object.__setattr__(owner, field, read(value))


def _set_fields(value: Any) -> dict[str, Any]:
    implied: frozenset[str] = getattr(value, "implied_fields", frozenset())
    return {
        field.name: getattr(value, field.name)
        for field in dataclasses.fields(value)
        if field.name not in implied and getattr(value, field.name) != field.default
    }


def snake_case(path: str) -> str:
    """Give SageMaker's names in a path as fields: `Tags[0].Key` is `tags[0].key`; what is quoted stays as it is."""
    names, quote, rest = path.partition("'")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", names).lower() + quote + rest
