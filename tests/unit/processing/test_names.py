from __future__ import annotations

import re
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_processing.processing.definition import base_name_from_image, job_name_from_base

NOW = datetime(2026, 3, 4, 5, 6, 7, 89_999, tzinfo=timezone.utc)
STAMP = "2026-03-04-05-06-07-089"
REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("image", "base"),
    [
        (f"{REGISTRY}/sklearn:1.2-cpu-py3", "sklearn"),
        (f"{REGISTRY}/team/sklearn", "sklearn"),
        (f"{REGISTRY}/team/sklearn@sha256:0123abcd", "sklearn"),
        (f"{REGISTRY}/team/sklearn:1.2@sha256:0123abcd", "sklearn"),
        ("localhost:5000/sklearn", "sklearn"),
        ("localhost:5000/team/sklearn:1", "sklearn"),
        ("sklearn", "sklearn"),
        ("sklearn:latest", "sklearn"),
        ("my_image.v2:1", "my_image.v2"),
        (f"{REGISTRY}/sklearn/", "sklearn"),
        ("", "processing-job"),
        (":1", "processing-job"),
    ],
)
def test_the_base_name_is_the_last_segment_of_the_images_path(image: str, base: str) -> None:
    assert base_name_from_image(image) == base


@pytest.mark.parametrize(
    ("base", "name"),
    [
        ("sklearn", f"sklearn-{STAMP}"),
        ("a" * 60, f"{'a' * 39}-{STAMP}"),
        ("my_image.v2", f"my-image-v2-{STAMP}"),
        ("__private", f"private-{STAMP}"),
        ("tail-", f"tail--{STAMP}"),
        ("Größe 1", f"Gr-e-1-{STAMP}"),
        ("…", f"processing-job-{STAMP}"),
        ("", f"processing-job-{STAMP}"),
    ],
)
def test_a_name_is_the_base_and_a_timestamp_to_the_millisecond(base: str, name: str) -> None:
    assert job_name_from_base(base, now=NOW) == name


@given(st.text(), st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(timezone.utc)))  # noqa: DTZ001  # hypothesis adds the zone
def test_a_generated_name_is_legal_whatever_the_base(base: str, now: datetime) -> None:
    name = job_name_from_base(base, now=now)

    assert re.fullmatch("[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name)
    assert len(name) <= 63


@given(st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9-]{0,38}", fullmatch=True))
def test_a_legal_base_that_fits_is_kept_whole(base: str) -> None:
    assert job_name_from_base(base, now=NOW) == f"{base}-{STAMP}"


def test_the_timestamp_is_now_in_utc() -> None:
    before = datetime.now(timezone.utc)
    stamp = job_name_from_base("a").removeprefix("a-")

    made = datetime.strptime(f"{stamp[:-4]}.{stamp[-3:]}+0000", "%Y-%m-%d-%H-%M-%S.%f%z")
    assert before.replace(microsecond=before.microsecond // 1000 * 1000) <= made <= datetime.now(timezone.utc)
