"""Airflow's names are found where the installed version has them."""

from __future__ import annotations

import pytest

from airflow_sm_processing import airflow_compat


@pytest.mark.parametrize("name", airflow_compat.__all__)
def test_each_name_is_found(name: str):
    assert getattr(airflow_compat, name) is not None


def test_a_name_that_nobody_has_is_an_import_error():
    with pytest.raises(ImportError, match="cannot import name 'Absent'"):
        from airflow_sm_processing.airflow_compat import Absent  # noqa: F401
