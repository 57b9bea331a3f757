"""What the definition objects have in common: wire names, and plain-JSON forms."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from typing import TypeAlias

    from typing_extensions import Self

Late: TypeAlias = "Any"
"""A value that is known only when the task runs, such as Airflow's XComArg.

`str | Late` says: a string, or what becomes one before the core uses it."""

_T = TypeVar("_T")


class WireObject:
    """A frozen dataclass whose fields are SageMaker's, in snake_case.

    `to_boto` gives the request form and leaves out what is None; `from_boto` reads a response.
    """

    def to_boto(self) -> dict[str, Any]:
        """Give the object as SageMaker's API writes it."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]  # subclasses are dataclasses
        return {
            camel_case(name): value.to_boto() if isinstance(value, WireObject) else value
            for name, value in fields.items()
            if value is not None
        }

    @classmethod
    def from_boto(cls, response: dict[str, Any] | None) -> Self | None:
        """Read the object from a response, in which what is absent is None; None gives None."""
        if response is None:
            return None
        names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]  # subclasses are dataclasses
        return cls(**{name: response.get(camel_case(name)) for name in names})


def as_list(items: Any) -> Any:
    """Copy a sequence to a list, but leave a string whole, so that it is refused and not taken apart into letters."""
    return items if isinstance(items, str) else list(items)


def camel_case(snake_case: str) -> str:
    """Give a field's name as SageMaker writes it: `s3_uri` is `S3Uri`, `kms_key_id` is `KmsKeyId`."""
    return "".join(part[:1].upper() + part[1:] for part in snake_case.split("_"))


def to_plain(value: Any) -> Any:
    """Give a definition as plain dicts and lists, without the fields that are at their defaults.

    What isn't a definition passes through unchanged, and a structure without definitions in it is returned as it is,
    so that its identity is kept.
    """
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
