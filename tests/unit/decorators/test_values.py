"""Values travel as JSON and arrive as they were."""

from __future__ import annotations

import datetime as dt
import enum
import json
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_processing.decorators.container.values import EncodeError, decode, encode

keys = st.one_of(st.text(), st.integers(), st.booleans(), st.none(), st.just("$"), st.tuples(st.integers(), st.text()))
zones = st.one_of(st.none(), st.integers(-1439, 1439).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes))))
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.datetimes(timezones=zones),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(keys, inner),
        st.frozensets(leaves),
        st.sets(leaves),
    ),
    max_leaves=20,
)


@given(values)
def test_what_is_read_is_what_was_written(value: Any):
    read = decode(json.loads(json.dumps(encode(value, "it"))))
    assert (read, type(read)) == (value, type(value))


def test_the_same_set_is_always_written_alike():
    assert encode({"b", "a", (1, 2)}, "it") == {"$": "set", "value": ["a", "b", {"$": "tuple", "value": [1, 2]}]}


class Pair(NamedTuple):
    left: int
    right: int


class Number(int):
    pass


def test_kinds_of_known_kinds_arrive_as_those():
    read = decode(encode([Pair(1, 2), Number(3), range(2), bytearray(b"a")], "it"))
    assert (read, [type(item) for item in read]) == ([(1, 2), 3, [0, 1], b"a"], [tuple, int, list, bytes])


class Colour(enum.IntEnum):
    RED = 1


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "where", "rule"),
    [
        ({"a": [0, Pair]}, "it['a'][1]", "is of type builtins.type, which can't be carried"),
        ([Colour.RED], "it[0]", "is a member of the enum Colour: pass its .value"),
        ({object: 1}, "it (a key)", "is of type builtins.type, which can't be carried"),
        (LOOP, "it", "holds itself, or is nested too deeply"),
    ],
)
def test_what_cant_be_carried_is_named(value: Any, where: str, rule: str):
    with pytest.raises(EncodeError) as caught:
        encode(value, "it")
    assert (caught.value.where, caught.value.rule) == (where, rule)


def test_what_something_else_wrote_is_refused():
    with pytest.raises(ValueError, match="'pickle' is no kind of value that is carried"):
        decode({"$": "pickle", "value": ""})


def test_decimals_keep_their_places():
    assert str(decode(encode(Decimal("1.500"), "it"))) == "1.500"
