from __future__ import annotations

from pathlib import Path

import pytest

from airflow_sm_processing.processing.definition import local_path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("data/a.csv", "data/a.csv"),
        ("/data/50%20 #1?.csv", "/data/50%20 #1?.csv"),
        ("file:///data/a%20b.csv", "/data/a b.csv"),
        ("FILE://localhost/data/a.csv", "/data/a.csv"),
    ],
)
def test_a_plain_path_is_literal_and_a_file_uri_is_decoded(text: str, path: str) -> None:
    assert local_path(text) == Path(path)


@pytest.mark.parametrize(
    "text", ["s3://bucket/key", "https://host/a", "file://host/data", "", "file://", "file://localhost"]
)
def test_other_places_and_nothing_at_all_are_no_local_path(text: str) -> None:
    assert local_path(text) is None
