"""The structure keeps its measures: see ARCHITECTURE.md, and `make house`."""

from __future__ import annotations

import pytest

from tests.house import House, Measure, measures


@pytest.mark.parametrize("measure", measures(), ids=lambda measure: measure.name)
def test_a_measure_keeps_its_bound(measure: Measure):
    assert measure.holds, f"{measure.name}: {measure.value}, at most {measure.bound}"


def test_no_two_files_import_each_other():
    assert House().circles() == []


def test_docstrings_say_what_a_function_does():
    assert House().odd_docstrings() == []


def test_module_names_are_nouns_of_the_field():
    assert House().odd_names() == []
