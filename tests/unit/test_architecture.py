"""The structure keeps its measures: see ARCHITECTURE.md, and `make house`."""

from __future__ import annotations

import pytest

from tests.house import House, measures


@pytest.fixture(scope="module")
def house() -> House:
    return House()


def test_each_measure_keeps_its_bound(house: House):
    """One test for all: as parameters, they would be taken by each of the processes that collect, for seconds."""
    assert [measure for measure in measures(house) if not measure.holds] == []


def test_no_two_files_import_each_other(house: House):
    assert house.circles() == []


def test_docstrings_say_what_a_function_does(house: House):
    assert house.odd_docstrings() == []


def test_module_names_are_nouns_of_the_field(house: House):
    assert house.odd_names() == []
