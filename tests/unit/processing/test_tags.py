from __future__ import annotations

from airflow_sm_processing.processing.models import format_tags


def test_a_dict_becomes_keys_and_values_as_strings() -> None:
    assert format_tags({"team": "a", "cost": 5}) == [{"Key": "team", "Value": "a"}, {"Key": "cost", "Value": "5"}]


def test_a_list_is_copied() -> None:
    given = [{"Key": "team", "Value": "a"}]

    formatted = format_tags(given)

    assert formatted == given
    assert formatted is not given


def test_none_stays_none() -> None:
    assert format_tags(None) is None
