"""What becomes of outcomes that the container didn't write."""

from __future__ import annotations

import json
from contextlib import closing
from io import BytesIO
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.decorators import results
from airflow_sm_processing.decorators.container.outcome import Outcome
from airflow_sm_processing.decorators.results import read_raised, read_returned

if TYPE_CHECKING:
    from pathlib import Path

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


def test_a_result_that_is_no_xcom_is_not_read_whole(monkeypatch: pytest.MonkeyPatch):
    content = json.dumps({"returned": "x" * 100}).encode()
    assert read_returned(session_with(content), "s3://bucket/outcome") == "x" * 100
    monkeypatch.setattr(results, "_MOST_RESULT_BYTES", 100)
    with pytest.raises(ValueError, match=r"result\.json has more than 100 bytes, which is no XCom"):
        read_returned(session_with(content), "s3://bucket/outcome")


def test_the_largest_of_several_values_stay_in_files_until_the_rest_is_small(tmp_path: Path):
    values = {"a": "x" * 40, "b": "x" * 60, "c": [1, 2], "d": "x" * 50}
    Outcome(tmp_path, "algo-1").put_result(values, multiple_outputs=True, max_xcom_bytes=60)
    left = json.loads((tmp_path / "result.json").read_text())["each"]
    in_files = {key: part["value"] for key, part in left.items() if isinstance(part, dict)}
    assert in_files == {"b": ["value-2.json", 62], "d": ["value-4.json", 52]}
    assert {key: json.loads((tmp_path / name).read_text()) for key, (name, _) in in_files.items()} == {
        "b": values["b"],
        "d": values["d"],
    }
    assert {key: left[key] for key in ("a", "c")} == {key: values[key] for key in ("a", "c")}
