"""Shared rules for the values of a definition: wire names, plain-JSON forms, and what users may write.

The SDK-like classes and Airflow's operators read values by the same rules: strings may be numbers, bools or paths, and
a list or dict may be JSON text, which is what a template makes of a Variable.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from numbers import Integral, Number
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from airflow_sm_processing.exceptions import Problem
from airflow_sm_processing.processing.secrets import hidden

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable, Collection
    from typing import TypeAlias, TypeVar

    from typing_extensions import Self, dataclass_transform

    _T = TypeVar("_T")
else:

    def dataclass_transform(**_options):  # noqa: ANN003, ANN202  # mypy sees the other branch
        """Stand in for typing's function, which Python 3.10 doesn't have and only type checkers use."""
        return lambda decorator: decorator


__all__ = [
    "BOOLEANS",
    "DEFAULT_MAX_CAPACITY_WAIT",
    "DEFAULT_MAX_TRANSIENT_SECONDS",
    "DEFAULT_POLL_INTERVAL",
    "LATE",
    "NATIVE_NUMBER_RULE",
    "Late",
    "NativeFloat",
    "NativeInt",
    "Value",
    "ValueReader",
    "WireObject",
    "as_boto",
    "as_dict",
    "as_list",
    "as_text",
    "camel_case",
    "from_json",
    "json_or_as_is",
    "local_path",
    "no_such_path",
    "read_dict",
    "rule_of_structure",
    "snake_case",
    "to_plain",
    "value_object",
]


DEFAULT_POLL_INTERVAL = 10.0
"""How often a job is polled, in seconds."""
DEFAULT_MAX_TRANSIENT_SECONDS = 3600.0
"""How long throttling, 5xx errors and lost connections are retried, in seconds."""
DEFAULT_MAX_CAPACITY_WAIT = 6 * 3600.0
"""How long to wait for capacity for a job, in seconds: the end of throttling, a free quota, or free instances."""


Late: TypeAlias = "Any"
"""A value that is known only when the task runs, such as Airflow's XComArg.

`str | Late` means a string, or something that becomes one before the core uses it."""


class _Late:
    """A placeholder for a value that only a run knows."""

    def __repr__(self) -> str:
        return "(known when the task runs)"

    def __deepcopy__(self, _memo: object) -> _Late:
        return self


LATE = _Late()
"""Used in a definition for what isn't known yet; checks skip it."""


@dataclass_transform(frozen_default=True)
def value_object(cls: type[_T]) -> type[_T]:
    """Make a `Value` a dataclass when its fields are first asked for, without generating any methods.

    `dataclass(frozen=True)` compiles seven functions for each class, which would add over a millisecond to every parse
    of every DAG file, and reading the fields of all classes takes another; most DAG files use few of them.
    """
    cls.__dataclass_fields__ = _Fields(cls)  # type: ignore[attr-defined]  # it is what makes a class a dataclass
    return cls


class _Fields:
    """The fields of a value's class, read from its annotations on first use; `dataclass` then replaces this object.

    Threads that come first at the same time all read them, with the same result.
    """

    def __init__(self, cls: type[Any]) -> None:
        self._cls = cls

    def __get__(self, _value: object, _owner: type[Any]) -> dict[str, dataclasses.Field[Any]]:
        dataclasses.dataclass(init=False, eq=False, repr=False)(self._cls)
        fields: dict[str, dataclasses.Field[Any]] = self._cls.__dataclass_fields__
        return fields


class _Signature:
    """The signature of a value's class, created when it is needed."""

    def __get__(self, _value: object, owner: type[Any]) -> inspect.Signature:
        import inspect

        kinds = {False: inspect.Parameter.POSITIONAL_OR_KEYWORD, True: inspect.Parameter.KEYWORD_ONLY}
        return inspect.Signature(
            [
                inspect.Parameter(
                    field.name,
                    kinds[bool(field.kw_only)],
                    default=inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default,
                    annotation=field.type,
                )
                for field in dataclasses.fields(owner)
            ]
        )


class Value:
    """Base of frozen value objects: each field is set once, when the object is created."""

    __signature__ = _Signature()

    def __init__(self, *positional: Any, **given: Any) -> None:
        """Set the fields, as the `__init__` of a dataclass does."""
        fields: dict[str, dataclasses.Field[Any]] = self.__dataclass_fields__  # type: ignore[attr-defined]  # each is a dataclass
        call = f"{type(self).__qualname__}.__init__()"
        names = [name for name, field in fields.items() if not field.kw_only]
        if len(positional) > len(names):
            most, count = len(names) + 1, len(positional) + 1
            raise TypeError(f"{call} takes from 1 to {most} positional arguments but {count} were given")
        values = dict(zip(names, positional, strict=False))
        for name, value in given.items():
            if name in values:
                raise TypeError(f"{call} got multiple values for argument {name!r}")
            if name not in fields:
                raise TypeError(f"{call} got an unexpected keyword argument {name!r}")
            values[name] = value
        for name, field in fields.items():
            if name not in values and field.default is dataclasses.MISSING:
                raise TypeError(f"{call} missing 1 required positional argument: {name!r}")
            self.__dict__[name] = values.get(name, field.default)
        self.__post_init__()

    def __post_init__(self) -> None:
        """Hook for a class to do something after its fields are set."""

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
        fields: dict[str, dataclasses.Field[Any]] = self.__dataclass_fields__  # type: ignore[attr-defined]  # each is a dataclass
        told = {
            name: value
            for (name, field), value in zip(fields.items(), self._values(), strict=True)
            if name not in self._repeated() and (field.default is dataclasses.MISSING or value != field.default)
        }
        return f"{type(self).__qualname__}({', '.join(f'{name}={value!r}' for name, value in told.items())})"

    def _repeated(self) -> Collection[str]:
        """Return the fields that only repeat others, which `repr` leaves out."""
        return ()

    @classmethod
    def _field_names(cls) -> tuple[str, ...]:
        names: tuple[str, ...] = tuple(cls.__dataclass_fields__)  # type: ignore[attr-defined]  # each is a dataclass
        return names

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self._field_names())


class WireObject(Value):
    """A value with SageMaker's fields in snake_case.

    `to_boto` returns the request form and leaves out what is None; `from_boto` reads a response.
    """

    def to_boto(self) -> dict[str, Any]:
        """Return the object as SageMaker's API writes it."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]  # subclasses are dataclasses
        return {camel_case(name): as_boto(value) for name, value in fields.items() if value is not None}

    @classmethod
    def from_boto(cls, response: dict[str, Any] | None) -> Self | None:
        """Read the object from a response; absent fields become None, and None returns None."""
        if response is None:
            return None
        names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]  # subclasses are dataclasses
        return cls(**{name: response.get(camel_case(name)) for name in names})


def as_boto(value: Any) -> Any:
    """Return an object's request form; anything else is returned unchanged, so that it is refused by name."""
    return value.to_boto() if isinstance(value, WireObject) else value


def as_list(items: Any) -> Any:
    """Copy a sequence to a list; a string is returned unchanged, so that it is refused and not split into letters."""
    return items if isinstance(items, str) or items is LATE else list(items)


def as_dict(items: Any) -> Any:
    """Copy a mapping to a dict; anything else is returned unchanged, so that it is refused by name."""
    return dict(items) if isinstance(items, Mapping) else items


def camel_case(snake_case: str) -> str:
    """Return a field's name in SageMaker's form: `S3Uri` for `s3_uri`, `KmsKeyId` for `kms_key_id`."""
    return "".join(part[:1].upper() + part[1:] for part in snake_case.split("_"))


def to_plain(value: Any) -> Any:
    """Return a definition as plain dicts and lists, without the fields that are at their defaults; a path as a string.

    Objects of the SageMaker SDK, v2's and v3's, become plain too: see `models.own_fields` for their names.

    Anything that isn't a definition is returned unchanged; a structure without definitions in it is returned as the
    same object.
    """
    if isinstance(value, PurePath):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: to_plain(item) for name, item in _set_fields(value).items()}
    if isinstance(value, dict):
        return _same_or(value, {key: to_plain(item) for key, item in value.items()}, value.values())
    if isinstance(value, (list, tuple)):
        return _same_or(value, [to_plain(item) for item in value], value)
    return {name: to_plain(item) for name, item in _sdk_fields(value).items()} if _is_of_the_sdk(value) else value


_SDK_CLASSES = frozenset(
    {
        "AthenaDatasetDefinition",
        "DatasetDefinition",
        "FeatureStoreOutput",
        "NetworkConfig",
        "ProcessingFeatureStoreOutput",
        "ProcessingInput",
        "ProcessingInstancePreference",
        "ProcessingOutput",
        "ProcessingS3Input",
        "ProcessingS3Output",
        "RedshiftDatasetDefinition",
        "S3Input",
        "VpcConfig",
    }
)
_MIRRORS_OF_S3_INPUT = (
    "source",
    "destination",
    "s3_data_type",
    "s3_input_mode",
    "s3_data_distribution_type",
    "s3_compression_type",
)


def _is_of_the_sdk(value: object) -> bool:
    """Return whether an object is a part of a job from the SageMaker SDK, v2 or v3, without importing the SDK."""
    return any(
        cls.__name__ in _SDK_CLASSES and cls.__module__.partition(".")[0] in {"sagemaker", "sagemaker_core"}
        for cls in type(value).__mro__
    )


def _sdk_fields(value: object) -> dict[str, Any]:
    """Return the fields of one of the SDK's objects that are set; v3 marks the others with a special object."""
    fields = {
        name: item
        for name, item in vars(value).items()
        if item is not None and not name.startswith("_") and type(item).__name__ != "Unassigned"
    }
    if "s3_input" in fields:  # v2 repeats it in the input's other fields
        return {name: item for name, item in fields.items() if name not in _MIRRORS_OF_S3_INPUT}
    return fields


def _same_or(original: _T, converted: Any, items: Any) -> _T | Any:
    new_items = converted.values() if isinstance(converted, dict) else converted
    unchanged = all(new is old for new, old in zip(new_items, items, strict=True))
    return original if unchanged else converted


def read_dict(owner: object, field: str, read: Callable[[dict[str, Any]], object]) -> None:
    """Replace a nested definition that is a plain dict, as after templating or mapping, by its object."""
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


FILE_SCHEME = "file://"


def local_path(text: str) -> Path | None:
    """Return the path of a plain path or a `file://` URI; None for a URI of any other scheme.

    A plain path is taken literally, including `#`, `?` and `%`. An empty one isn't accepted: `Path("")` would be the
    current folder, and everything in it would be uploaded.
    """
    if text[: len(FILE_SCHEME)].lower() == FILE_SCHEME:
        parts = urlsplit(text)
        text = unquote(parts.path) if parts.netloc in ("", "localhost") else ""
    elif "://" in text:
        return None
    return Path(text) if text else None


def no_such_path(path: Path) -> str:
    """Return the message for a path that doesn't exist, with the most similar name in its last existing folder."""
    import difflib  # only needed for errors

    missing = path.absolute()
    while not missing.parent.exists():
        missing = missing.parent
    try:
        names = sorted(found.name for found in missing.parent.iterdir())
    except OSError:
        names = []
    near = difflib.get_close_matches(missing.name, names, n=1)
    hint = f"; did you mean {missing.with_name(near[0])}?" if near else ""
    return f"no such file or folder: {path.absolute()}{hint}"


def snake_case(path: str) -> str:
    """Return a path with SageMaker's names as fields, `tags[0].key` for `Tags[0].Key`; quoted parts aren't changed."""
    names, quote, rest = path.partition("'")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", names).lower() + quote + rest


BOOLEANS = {"true": True, "false": False}
"""Bools by their text in lower case, which covers Python's and JSON's spelling."""

NATIVE_NUMBER_RULE = (
    "was text of which a native DAG made a number that is written otherwise: to keep the text, write {{ … | tojson }}, "
    "or quotes around all of it as in \"'{{ … }}'\"; for the number, {{ … | float }} or {{ … | int }}"
)
"""The message for a `NativeInt` or `NativeFloat` where its text may have been meant."""


class NativeInt(int):
    """A number that a native template made of a text, such as `1_0`, that Python would write differently."""

    written: str
    """The text that the template was rendered to."""


class NativeFloat(float):
    """The same as `NativeInt`, for a number such as `1.10`."""

    written: str


class _JsonInt(int):
    """A number in a JSON text that Python would write differently: `-0`."""

    written: str


class _JsonFloat(float):
    """A number in a JSON text, which keeps its text for where a string is needed."""

    written: str


def as_text(value: object) -> str:
    """Return a value as a string for a request.

    Bools and numbers are written by Python's `str`, as in templates and the SDK's tags: `True`, `10`, `0.1`, `1e-05`. A
    number from a JSON text is written as it was there.

    Raises:
        ValueError: The value can't be a string; the text is the rule that it breaks.
    """
    if isinstance(value, str):
        return str.__str__(value)  # not the subclass's own: an enum's name, a template's Markup
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, (NativeInt, NativeFloat)):
        raise ValueError(NATIVE_NUMBER_RULE)  # noqa: TRY004  # the text is wrong, not the type
    if isinstance(value, (_JsonFloat, _JsonInt)):
        return value.written
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, Number) and not isinstance(value, complex):
        return str(int(value) if isinstance(value, Integral) else value)
    if value is None:
        raise ValueError("is None, which has no text: leave it out")
    raise ValueError(f"must be a string, a number, a boolean or a path, not {_kind_of(value)}")


def from_json(text: str) -> Any:
    """Return the value of a JSON text, whose numbers keep their text.

    Raises:
        ValueError: It isn't JSON, or a dict in it has a key twice.
    """
    return json.loads(
        text, parse_float=_json_float, parse_int=_json_int, parse_constant=_json_float, object_pairs_hook=_unique
    )


def json_or_as_is(value: Any) -> Any:
    """Return the value of a string that is JSON, as a template may have written it; any other value unchanged."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def rule_of_structure(value: object, wanted: str) -> str:
    """Return the rule that a value breaks if it isn't the `wanted` list or dict."""
    rule = f"must be a {wanted}"
    if not isinstance(value, str):
        return rule
    rule += ", or the JSON of one"
    if value.lstrip()[:1] not in {"{", "[", "("}:
        return rule
    try:
        json.loads(value)
    except (ValueError, RecursionError) as error:
        if _is_repr(value):
            return f"{rule}; this is Python's own text of one: write {{{{ … | tojson }}}}"
        return f"{rule}; this isn't JSON: {getattr(error, 'msg', 'it is nested too deeply')}"
    return rule


class ValueReader:
    """Reads values, and collects what is wrong with them; values that only a run knows are passed through."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def text(self, path: str, value: Any, *, secret: bool = False) -> Any:
        """Return a value as a string; if that isn't possible, add a problem and return the value itself."""
        if value is LATE:
            return value
        try:
            return as_text(value)
        except ValueError as error:
            shown = getattr(value, "written", value)
            self.problems.append(Problem(path, hidden(shown) if secret else shown, str(error)))
            return LATE

    def optional_text(self, path: str, value: Any) -> Any:
        """Return a value as a string, or None for None."""
        return None if value is None else self.text(path, value)

    def texts(self, path: str, value: Any) -> Any:
        """Return a list of strings."""
        return [self.text(f"{path}[{index}]", item) for index, item in enumerate(self.structure(path, value, "list"))]

    def text_map(self, path: str, value: Any, *, secret: bool = False) -> dict[str, Any]:
        """Return a dict whose values are strings."""
        items = self.structure(path, value, "dict", secret=secret)
        named = ((self.text(path, key), f"{path}[{key!r}]", item) for key, item in items.items())
        return {name: self.text(place, item, secret=secret) for name, place, item in named}

    def structure(self, path: str, value: Any, wanted: str, *, secret: bool = False) -> Any:
        """Return a list or a dict, as `wanted` says; it may be given as JSON, or as a tuple or similar type."""
        if isinstance(value, str):
            value = self._parsed(path, value, secret=secret)
        for name, copied in _COPIES.items():
            if name in wanted and (plain := copied(value)) is not None:
                return plain
        if value is not LATE:
            shown = hidden(value) if secret else value
            self.problems.append(Problem(path, shown, rule_of_structure(value, wanted)))
        return [] if wanted == "list" else {}

    def whole_number(self, path: str, value: Any) -> Any:
        """Return a whole number, which a template may have written as a string; LATE if it isn't one."""
        if isinstance(value, (str, NativeInt)):
            try:
                return int(value)
            except ValueError:
                self.problems.append(Problem(path, value, "must be a whole number"))
                return LATE
        if value is None or value is LATE or (hasattr(value, "__index__") and not isinstance(value, bool)):
            return value
        self.problems.append(Problem(path, value, "must be a whole number"))
        return LATE

    def boolean(self, path: str, value: Any) -> Any:
        """Return a bool, which a template may have written as a string."""
        if isinstance(value, str):
            if value.lower() not in BOOLEANS:
                self.problems.append(Problem(path, value, "must be true or false"))
            return BOOLEANS.get(value.lower())
        return value

    def json_text(self, path: str, value: Any) -> Any:
        """Return a value's JSON text, or a string that is already JSON; LATE if it is invalid or isn't known yet."""
        try:
            if isinstance(value, str):
                from_json(value)
                return as_text(value)
            return LATE if _has_unknown(value) else json.dumps(value, ensure_ascii=False, allow_nan=False)
        except (ValueError, TypeError, RecursionError) as error:
            rule = "must be JSON" if isinstance(value, str) else "must be what JSON can hold"
            self.problems.append(Problem(path, value, f"{rule}: {error}"))
            return LATE

    def _parsed(self, path: str, text: str, *, secret: bool) -> Any:
        try:
            return from_json(text)
        except _RepeatedKeyError as error:
            self.problems.append(Problem(path, hidden(text) if secret else text, str(error)))
            return LATE
        except (ValueError, RecursionError):
            return text  # it will be refused


class _RepeatedKeyError(ValueError):
    """A dict in a JSON text has a key twice, so that a value would be lost."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _RepeatedKeyError(f"has the key {twice!r} more than once")
    return plain


def _json_float(text: str) -> _JsonFloat:
    number = _JsonFloat(text)
    number.written = text
    return number


def _json_int(text: str) -> int:
    number = int(text)
    if str(number) == text:
        return number
    number = _JsonInt(number)
    number.written = text
    return number


def _has_unknown(value: Any) -> bool:
    if isinstance(value, (dict, list, tuple)):
        return any(map(_has_unknown, value.values() if isinstance(value, dict) else value))
    return value is LATE


def _list_like(value: Any) -> list[Any] | None:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray)) else None


def _dict_like(value: Any) -> dict[Any, Any] | None:
    return dict(value) if isinstance(value, Mapping) else None


_COPIES: dict[str, Callable[[Any], Any]] = {"dict": _dict_like, "list": _list_like}


def _kind_of(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _is_repr(text: str) -> bool:
    import ast  # only needed for errors

    try:
        return isinstance(ast.literal_eval(text.strip()), (dict, list, tuple, set))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text.lstrip()[:2] in {"{'", "['"}  # a repr with something that has no literal, such as a date
