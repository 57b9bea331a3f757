"""What becomes of outcomes that the container didn't write."""

from __future__ import annotations

import json
from contextlib import closing
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_sm_processing.decorators.results import read_raised, read_returned

ERROR = {"type": "KeyError", "summary": "KeyError: 1", "traceback": "…", "exit_code": None, "host": "algo-1"}
OTHERS = [b"", b"[]", b"{}", b"7", b"\xff\xfe\xfa", b"[" * 100_000, b'{"each": 7}', b'{"returned": {"$": "file"}}']


def session_with(content: bytes) -> Any:
    """A session in whose S3 every object has this content."""
    return SimpleNamespace(s3_client=SimpleNamespace(get_object=lambda **_: {"Body": closing(BytesIO(content))}))


def test_an_error_is_read():
    raised = read_raised(session_with(json.dumps(ERROR).encode()), "s3://bucket/outcome", hosts=1)
    assert raised is not None
    assert raised._asdict() == ERROR


@pytest.mark.parametrize(
    "content",
    [
        *OTHERS,
        json.dumps({**ERROR, "traceback": None}).encode(),
        json.dumps({**ERROR, "exit_code": [1]}).encode(),
        json.dumps({**ERROR, "traceback": "x" * 4_000_000}).encode(),
    ],
)
def test_what_is_no_error_is_refused(content: bytes):
    with pytest.raises(ValueError, match=r"outcome/error-algo-1\.json is no function's error: "):
        read_raised(session_with(content), "s3://bucket/outcome", hosts=1)


@pytest.mark.parametrize("content", OTHERS)
def test_what_is_no_result_is_refused(content: bytes):
    with pytest.raises(ValueError, match=r"outcome/result\.json is no function's result: "):
        read_returned(session_with(content), "s3://bucket/outcome")
