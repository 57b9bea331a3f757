"""What becomes of outcomes that the container didn't write."""

from __future__ import annotations

import datetime as dt
import decimal
import json
from contextlib import closing
from io import BytesIO
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.decorators import results
from airflow_sm_processing.decorators.container.outcome import Outcome
from airflow_sm_processing.decorators.results import (
    FunctionFailedError,
    Maker,
    Raised,
    Returned,
    read_raised,
    read_returned,
    rule_of_airflow,
)
from airflow_sm_processing.exceptions import JobFailedError

if TYPE_CHECKING:
    from pathlib import Path

ERROR = {"type": "KeyError", "summary": "KeyError: 1", "traceback": "…", "exit_code": None, "host": "algo-1"}
OTHERS = [b"", b"[]", b"{}", b"7", b"\xff\xfe\xfa", b"[" * 100_000, b'{"each": 7}', b'{"returned": {"$": "file"}}']
FORGED = [
    b'{"returned": {"$": "file", "value": ["../../another/job/value.json", 1]}}',
    b'{"returned": {"$": "file", "value": ["value.json", "large"]}}',
    b'{"returned": [{"$": "file", "value": ["value.json", 1]}]}',  # the container writes none inside a value
]
MAKER = Maker("a_dag", "a_run", "a_task", -1)


def session_with(content: bytes) -> Any:
    """A session in whose S3 every object has this content."""
    found = {"ContentLength": len(content), "ETag": '"0"', "Body": closing(BytesIO(content))}
    return SimpleNamespace(s3_client=SimpleNamespace(get_object=lambda **_: found))


def test_an_error_is_read():
    raised = read_raised(session_with(json.dumps(ERROR).encode()), "s3://bucket/outcome", hosts=1)
    assert raised is not None
    assert raised._asdict() == {**ERROR, "refused": False}


@pytest.mark.parametrize(
    "content",
    [
        *OTHERS,
        json.dumps({**ERROR, "traceback": None}).encode(),
        json.dumps({**ERROR, "exit_code": [1]}).encode(),
        json.dumps({**ERROR, "refused": "yes"}).encode(),
    ],
)
def test_what_is_no_error_is_refused(content: bytes):
    with pytest.raises(ValueError, match=r"outcome/error-algo-1\.json isn't a function's error: "):
        read_raised(session_with(content), "s3://bucket/outcome", hosts=1)


@pytest.mark.parametrize("content", [*OTHERS, *FORGED])
def test_what_is_no_result_is_refused(content: bytes):
    with pytest.raises(ValueError, match=r"outcome/result\.json isn't a function's result: "):
        read_returned(session_with(content), "s3://bucket/outcome", MAKER)


def test_what_is_too_large_to_be_ours_is_not_read(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ValueError, match=r"error-algo-1\.json has 4,000,\d{3} bytes, and 4,000,000 are read at most"):
        read_raised(session_with(json.dumps({**ERROR, "traceback": "x" * 4_000_000}).encode()), "s3://b/o", hosts=1)
    content = json.dumps({"returned": "x" * 100}).encode()
    assert read_returned(session_with(content), "s3://bucket/outcome", MAKER) == Returned("x" * 100, 102)
    monkeypatch.setattr(results, "_MOST_RESULT_BYTES", 100)
    with pytest.raises(ValueError, match=r"result\.json has 116 bytes, and 100 are read at most"):
        read_returned(session_with(content), "s3://bucket/outcome", MAKER)


def returned_apart(
    folder: Path, values: dict[str, Any], *, max_xcom_bytes: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what stays together of the values, and what is in files."""
    Outcome(folder, "algo-1").put_result(values, multiple_outputs=True, max_xcom_bytes=max_xcom_bytes)
    left = json.loads((folder / "result.json").read_text())["each"]
    files = {key: part["value"] for key, part in left.items() if isinstance(part, dict)}
    apart = {key: json.loads((folder / name).read_text()) for key, (name, _) in files.items()}
    assert {size for _, size in files.values()} == {len(json.dumps(item)) for item in apart.values()}
    assert len(list(folder.iterdir())) == 1 + len(apart)
    return {key: part for key, part in left.items() if key not in apart}, apart


def test_the_largest_of_several_values_stay_in_files_until_the_rest_is_small(tmp_path: Path):
    values = {"a": "x" * 40_000, "b": "x" * 60_000, "c": [1, 2], "d": "x" * 50_000}
    left, apart = returned_apart(tmp_path, values, max_xcom_bytes=60_000)
    assert (left.keys(), apart.keys()) == ({"a", "c"}, {"b", "d"})
    assert {**left, **apart} == values


def test_many_small_values_stay_together(tmp_path: Path):
    values = {f"score {number}": number / 7 for number in range(5000)}
    assert returned_apart(tmp_path, values, max_xcom_bytes=1000) == (values, {})


def test_a_value_that_is_too_large_alone_goes_to_a_file_however_low_the_limit(tmp_path: Path):
    assert returned_apart(tmp_path, {"a": 1, "b": [1, 2]}, max_xcom_bytes=5) == ({"a": 1}, {"b": [1, 2]})


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (decimal.Decimal("1.5"), None),
        (dt.datetime(2026, 1, 2, 3, tzinfo=dt.timezone.utc), None),
        (decimal.Decimal("NaN"), "is a Decimal that Airflow's XCom refuses: "),
        (decimal.Decimal("1e30"), "is a Decimal that Airflow's XCom refuses: "),
        (decimal.Decimal("0.1234567890123456789"), "is a Decimal that Airflow's XCom would change: "),
        (dt.timedelta(days=999_999_999, microseconds=1), "is a timedelta that Airflow's XCom would change: "),
    ],
)
def test_what_airflow_would_change_or_refuse_is_known_beforehand(value: Any, rule: str | None):
    found = rule_of_airflow(value)
    assert found is None if rule is None else str(found).startswith(rule)


def test_nothing_of_an_error_is_shown_unhidden_or_unescaped():
    failed = JobFailedError.__new__(JobFailedError)
    failed.__dict__.update(job_name="a-job", links={})
    raised = Raised("S3cret\nError\x1b[2J", "S3cret!", "a line of S3cret\x1b[2J", 1, "S3cret\n-host\x07")
    error = FunctionFailedError.of(failed, raised, function="train", hide=lambda text: text.replace("S3cret", "***"))
    assert str(error) == (
        "train raised ***\\nError\\x1b[2J on ***\\n-host\\x07 of processing job a-job.\n    a line of ***\\x1b[2J"
    )
    assert not any("S3cret" in str(item) for item in error.raised)
