"""What an XCom can carry, and be called."""

from __future__ import annotations

import pytest

from airflow_sm_processing.result_files import result_file_problems
from airflow_sm_processing.xcom_values import key_rule

CHANGED = "can't be an XCom's key, for Airflow makes an address of it"


@pytest.mark.parametrize("key", ["a", "loss (%)", "100%", "a/b", "a b", "é", "..a", "a&b=c", "k" * 512])
def test_a_key_that_airflow_gives_back(key: str):
    assert key_rule(key) is None


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        *((key, CHANGED) for key in ("a?b", "a#b", "a%62", "../other/key", "a/./b", "a/..", "a\nb", "\0", "\ud800")),
        ("", "must have 1 to 512 characters"),
        ("k" * 513, "must have 1 to 512 characters"),
        (7, "must be a string"),
    ],
)
def test_a_key_that_airflow_would_lose_or_change(key: object, rule: str):
    assert str(key_rule(key)).startswith(rule)
    (problem,) = result_file_problems({key: "evaluation/metrics.json"}, ["evaluation"])
    assert problem.rule.startswith(rule)
