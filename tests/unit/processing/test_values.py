from __future__ import annotations

import dataclasses  # noqa: TC003  # `dataclass` looks the name up
import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_processing.processing import AthenaDatasetDefinition, DatasetDefinition, ProcessingInput, S3Input
from airflow_sm_processing.processing.values import Value, as_list, camel_case, snake_case, to_plain, value_object

from .definitions import any_definition, inputs

plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda items: st.lists(items, max_size=3) | st.dictionaries(st.text(max_size=3), items, max_size=3),
    max_leaves=8,
)


@given(any_definition)
def test_the_plain_form_of_a_definition_makes_an_equal_one(item: Any) -> None:
    assert type(item)(**to_plain(item)) == item


@given(any_definition)
def test_the_plain_form_survives_json(item: Any) -> None:
    assert type(item)(**json.loads(json.dumps(to_plain(item)))) == item


@given(plain_values)
def test_what_is_plain_already_is_the_same_object(value: Any) -> None:
    assert to_plain(value) is value


@given(inputs)
def test_definitions_inside_structures_become_plain_too(item: ProcessingInput) -> None:
    untouched = {"a": [1]}

    converted = to_plain({"items": (item, untouched)})

    assert converted == {"items": [to_plain(item), untouched]}
    assert converted["items"][1] is untouched


@pytest.mark.parametrize(
    ("item", "plain"),
    [
        (
            ProcessingInput(source="s3://b/k", destination="/opt/ml/processing/in"),
            {"source": "s3://b/k", "destination": "/opt/ml/processing/in"},
        ),
        (
            ProcessingInput(s3_input=S3Input(s3_uri="s3://b/k", s3_input_mode="Pipe"), input_name="a"),
            {"input_name": "a", "source": "s3://b/k", "s3_input_mode": "Pipe", "s3_compression_type": None},
        ),
        (ProcessingInput(s3_input=S3Input(local_path="/in")), {"s3_input": {"local_path": "/in"}}),
        (
            ProcessingInput(
                dataset_definition=DatasetDefinition(athena_dataset_definition=AthenaDatasetDefinition("c"))
            ),
            {"dataset_definition": {"athena_dataset_definition": {"catalog": "c"}}},
        ),
    ],
)
def test_the_plain_form_has_only_what_was_given(item: Any, plain: dict[str, Any]) -> None:
    assert to_plain(item) == plain


def test_a_string_is_no_list_of_letters() -> None:
    assert (as_list("abc"), as_list(("a", "b"))) == ("abc", ["a", "b"])


@pytest.mark.parametrize(
    ("snake", "camel"),
    [("s3_uri", "S3Uri"), ("kms_key_id", "KmsKeyId"), ("output_s3_uri", "OutputS3Uri"), ("database", "Database")],
)
def test_field_names_and_sagemakers_names_stand_for_each_other(snake: str, camel: str) -> None:
    assert (camel_case(snake), snake_case(camel)) == (camel, snake)


def test_what_is_quoted_in_a_path_keeps_its_case() -> None:
    assert snake_case("Environment['MyVar'].SomeThing") == "environment['MyVar'].SomeThing"


@pytest.mark.parametrize("attempt", range(20))
def test_the_first_values_of_a_class_may_be_made_in_several_threads_at_once(attempt: int) -> None:
    @value_object
    class Pair(Value):
        first: str
        _: dataclasses.KW_ONLY
        second: int = 2

    begin = Barrier(8)

    def make(number: int) -> Pair:
        begin.wait(60)
        return Pair(str(number), second=attempt)

    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(make, range(8)))
    assert [(pair.first, pair.second) for pair in made] == [(str(number), attempt) for number in range(8)]
    with pytest.raises(TypeError, match="takes from 1 to 2 positional arguments"):
        Pair("a", 3)
