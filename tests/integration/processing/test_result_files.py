"""Small files of outputs, read from S3."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from airflow_sm_processing.exceptions import ResultFileError, TransientError
from airflow_sm_processing.processing import Session
from airflow_sm_processing.processing.s3 import Size, measure, measure_all
from airflow_sm_processing.result_files import ResultFile, read_result_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_sm_processing.local import LocalSageMaker

_numbers = itertools.count()


@pytest.fixture
def session(sagemaker: LocalSageMaker) -> Session:
    boto_session = boto3.Session(region_name=sagemaker.region)
    return Session(boto_session, client_factory=sagemaker.client)


@pytest.fixture
def output(session: Session) -> str:
    """The place of an output of its own."""
    bucket = f"results-{next(_numbers)}"
    session.s3_client.create_bucket(Bucket=bucket)
    return f"s3://{bucket}/job/output/evaluation"


@pytest.fixture
def no_faults(sagemaker: LocalSageMaker) -> Iterator[None]:
    yield
    sagemaker.set_faults()


def put(session: Session, output: str, path: str, content: bytes) -> None:
    bucket, _, key = output.removeprefix("s3://").partition("/")
    session.s3_client.put_object(Bucket=bucket, Key=f"{key}/{path}", Body=content)


def read(session: Session, output: str | None, path: str, max_bytes: int = 1000) -> Any:
    return read_result_file(session, ResultFile("metrics", "evaluation", path), output, max_bytes=max_bytes)


@pytest.mark.parametrize(
    ("path", "content", "value"),
    [
        ("a.json", b'{"accuracy": 0.5, "name": "\xc3\xa9"}', {"accuracy": 0.5, "name": "é"}),
        ("A.JSON", b"[1, 2]", [1, 2]),
        ("marked.json", b"\xef\xbb\xbf[1, 2]", [1, 2]),
        ("a.csv", b'name,count\r\n"a, b",1\r\nc,2\r\n', [{"name": "a, b", "count": "1"}, {"name": "c", "count": "2"}]),
        ("only_names.csv", b"name,count\n", []),
        ("deep/folder/note.txt", b"one\r\ntwo\n", "one\r\ntwo\n"),
        ("no_suffix", b"", ""),
        ("strange &?#+ name.txt", b"found", "found"),
    ],
)
def test_a_file_is_read_by_its_suffix(session: Session, output: str, path: str, content: bytes, value: Any) -> None:
    put(session, output, path, content)

    assert read(session, output, path) == value


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        ("a.json", b'{"a": 1', "is no proper json in UTF-8: Expecting ',' delimiter: line 1 column 8 (char 7)"),
        ("a.json", b'{"a": NaN}', "is no proper json in UTF-8: NaN isn't JSON, and not every database accepts it"),
        ("a.json", b'{"a": 1, "a": 2}', "is no proper json in UTF-8: the key 'a' is repeated in one object"),
        (
            "a.json",
            b'{"loss": [1e999]}',
            "has what no XCom can carry: ['loss'][0] is inf: JSON and Airflow's databases",
        ),
        ("a.json", b"1e999", "has what no XCom can carry: the value is inf: "),
        (
            "a.json",
            b'{"n": 18446744073709551616}',
            "has what no XCom can carry: ['n'] is an integer of more than 64 bits",
        ),
        (
            "a.json",
            b'{"n": -9223372036854775809}',
            "has what no XCom can carry: ['n'] is an integer of more than 64 bits",
        ),
        (
            "a.json",
            rb'{"s": "\ud800"}',
            "has what no XCom can carry: ['s'] has half a character (the lone surrogate U+D800)",
        ),
        ("a.json", rb'{"\ud800": 1}', "has what no XCom can carry: the value has a key that has half a character"),
        (
            "a.json",
            rb'{"s": "a\u0000"}',
            "has what no XCom can carry: ['s'] has the character U+0000, which PostgreSQL",
        ),
        ("a.json", b"[" * 300 + b"]" * 300, "has what no XCom can carry: [0][0]"),
        (
            "a.json",
            b'[{"__classname__": "x"}]',
            "has what no XCom can carry: [0] has the key '__classname__', by which",
        ),
        ("a.txt", b"a\0b", "has what no XCom can carry: the value has the character U+0000"),
        ("a.csv", b"a,b,a\n1,2,3\n", "is no proper csv in UTF-8: the first line has the column 'a' more than once"),
        ("a.json", b"[" * 900, "is no proper json in UTF-8: "),
        ("a.csv", b"a,b\n1\n", "is no proper csv in UTF-8: line 2 has more or fewer fields than the first"),
        ("a.csv", b"a,b\n1,2,3\n", "is no proper csv in UTF-8: line 2 has more or fewer fields than the first"),
        ("a.csv", b'a,b\n"1,2\n', "is no proper csv in UTF-8: unexpected end of data"),
        ("a.txt", b"caf\xe9", "is no proper text in UTF-8: 'utf-8' codec can't decode byte 0xe9"),
    ],
)
def test_a_file_that_does_not_parse_says_where(
    session: Session, output: str, path: str, content: bytes, reason: str
) -> None:
    put(session, output, path, content)

    with pytest.raises(ResultFileError) as caught:
        read(session, output, path)
    assert caught.value.reason.startswith(f"{output}/{path} {reason}")


def test_a_file_as_large_as_may_be_is_read_and_a_larger_one_is_not(session: Session, output: str) -> None:
    put(session, output, "a.txt", b"x" * 1000)

    assert read(session, output, "a.txt", max_bytes=1000) == "x" * 1000
    with pytest.raises(ResultFileError) as caught:
        read(session, output, "a.txt", max_bytes=999)
    assert caught.value.reason.startswith(f"{output}/a.txt has 1,000 bytes, and max_result_file_bytes is 999")


def test_integers_of_64_bits_and_deep_lists_are_read(session: Session, output: str) -> None:
    put(session, output, "a.json", b"[18446744073709551615, -9223372036854775808]")
    put(session, output, "b.json", b"[" * 200 + b"]" * 200)

    assert read(session, output, "a.json") == [2**64 - 1, -(2**63)]
    assert isinstance(read(session, output, "b.json"), list)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("wide.csv", b"x" * 400 + b"\n" + b"1\n" * 250),
        ("control.txt", b"\x01" * 900),
    ],
)
def test_the_value_is_bounded_and_not_the_file_alone(session: Session, output: str, path: str, content: bytes) -> None:
    put(session, output, path, content)

    with pytest.raises(ResultFileError) as caught:
        read(session, output, path, max_bytes=1000)
    rule = f"the value of {output}/{path} has more than 1,000 bytes as JSON, and max_result_file_bytes is that"
    assert caught.value.reason.startswith(rule)


def test_a_file_that_is_not_there_is_missed_with_what_is(session: Session, output: str) -> None:
    with pytest.raises(ResultFileError, match="its folder has nothing"):
        read(session, output, "metrics.json")
    for number in range(7):
        put(session, output, f"part-{number}.json", b"{}")
    with pytest.raises(ResultFileError) as caught:
        read(session, output, "metrics.json")
    parts = ", ".join(f"part-{number}.json" for number in range(5))
    assert caught.value.reason == f"there is no {output}/metrics.json; its folder has {parts}, …"


def test_an_output_that_the_job_does_not_have_has_no_files(session: Session) -> None:
    with pytest.raises(ResultFileError, match="the job has no output evaluation"):
        read(session, None, "metrics.json")


def test_a_file_that_may_not_be_read_says_so(
    session: Session, output: str, sagemaker: LocalSageMaker, no_faults: None
) -> None:
    sagemaker.set_faults("s3:GetObject:error=AccessDenied,status=403")

    with pytest.raises(ResultFileError, match=r"can't be read, or isn't there: .*AccessDenied"):
        read(session, output, "metrics.json")


def test_trouble_with_s3_is_no_trouble_with_the_file(
    session: Session, output: str, sagemaker: LocalSageMaker, no_faults: None
) -> None:
    sagemaker.set_faults("s3:GetObject:error=InternalError,status=500")

    with pytest.raises(TransientError):
        read(session, output, "metrics.json")


def test_what_begins_alike_is_counted_page_by_page(session: Session, output: str) -> None:
    for number in range(1001):
        put(session, output, f"part-{number:04}", b"12345")

    assert measure(session.s3_client, output) == Size(5005, 1001)
    assert measure(session.s3_client, f"{output}/part-000") == Size(50, 10)
    assert measure(session.s3_client, f"{output}/nothing") == Size(0, 0)


def test_a_place_that_may_not_be_listed_has_no_size_and_others_have(
    session: Session, output: str, sagemaker: LocalSageMaker, no_faults: None
) -> None:
    put(session, output, "a", b"12")
    sagemaker.set_faults("s3:ListObjects*:error=AccessDenied,status=403,times=1")

    denied, missing = f"{output}/denied", "s3://no-such-bucket-of-ours/x"
    sizes = measure_all(session.s3_client, [denied, missing, output, "file:///tmp", output])
    assert sizes == {denied: None, missing: None, output: Size(2, 1)}


def test_nobody_waits_for_sizes_when_s3_is_in_trouble(
    session: Session, output: str, sagemaker: LocalSageMaker, no_faults: None
) -> None:
    put(session, output, "a", b"12")
    sagemaker.set_faults("s3:ListObjects*:error=SlowDown,status=503,times=20")

    assert measure_all(session.s3_client, [f"{output}/first", output]) == {}
