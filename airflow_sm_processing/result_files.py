"""Result files: small files of a job's outputs that are read as values."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_sm_processing.exceptions import (
    AccessDeniedError,
    Problem,
    ResultFileError,
    ServiceError,
)
from airflow_sm_processing.processing.models import S3Location, below
from airflow_sm_processing.processing.values import rule_of_structure
from airflow_sm_processing.redaction import one_line, printable
from airflow_sm_processing.xcom_values import XComValueError, check_xcom_value, json_bytes, key_rule
from airflow_sm_processing.xcoms import RESERVED_KEYS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from airflow_sm_processing.processing.session import Session

__all__ = ["ResultFile", "read_result_file", "result_file_problems", "result_files"]

_SHOWN_KEYS = 5


class ResultFile(NamedTuple):
    """A file of an output, and the name of its value."""

    name: str
    output_name: str
    path: str
    """The path below the output's URI, with `/`."""

    def uri(self, output_uri: str) -> str:
        """Return the file's URI, from the output's."""
        return below(output_uri, self.path)


def result_files(plain: Mapping[str, str]) -> list[ResultFile]:
    """Return the result files in `{name: "<output name>/<path>"}`, which must have been checked."""
    return [ResultFile(name, *place.split("/", 1)) for name, place in plain.items()]


def result_file_problems(plain: Any, outputs: Collection[object]) -> Iterator[Problem]:
    """Yield what is wrong with such a mapping.

    Args:
        plain: The value from the user.
        outputs: The names of the job's outputs; empty if they aren't all known.
    """
    if plain is None:
        return
    if not isinstance(plain, Mapping):
        rule = "must be a dict: a name for XCom, and '<output name>/<path of the file>'"
        yield Problem("result_files", plain, rule_of_structure(plain, "dict").replace("must be a dict", rule, 1))
        return
    for name, place in plain.items():
        where = f"result_files[{name!r}]"
        broken = key_rule(name)
        if broken is not None:
            yield Problem(where, name, broken)
        elif name in RESERVED_KEYS or name in outputs:
            yield Problem(where, name, "is an XCom key of the task already; choose another name")
        yield from _place_problems(where, place, outputs)


def _place_problems(where: str, place: Any, outputs: Collection[object]) -> Iterator[Problem]:
    if not isinstance(place, str):
        yield Problem(where, place, "must be a string, '<output name>/<path of the file>'")
        return
    output_name, _, path = place.partition("/")
    if not path or path.endswith("/") or {"", ".", ".."} & {*path.split("/")}:
        yield Problem(where, place, "must be '<output name>/<path of the file>', such as 'evaluation/metrics.json'")
    elif outputs and output_name not in outputs:
        names = ", ".join(sorted(map(str, outputs)))
        yield Problem(where, place, f"begins with no output of the task; its outputs are {names}")


def read_result_file(session: Session, file: ResultFile, output_uri: str | None, *, max_bytes: int) -> Any:
    """Return a file's value: the parsed content of `.json`, a dict per row of `.csv`, and the text of other files.

    Args:
        session: The session to read it with.
        file: The file.
        output_uri: The URI of its output; None if the job has no such output.
        max_bytes: The maximum size in bytes, of the file and of its value as JSON; a CSV file's rows repeat its header.

    Raises:
        ResultFileError: It is missing, is too large, doesn't parse, or has something that an XCom can't hold.
        ServiceError: S3 refused or couldn't be reached.
    """
    if output_uri is None:
        raise ResultFileError(file.name, f"the job has no output {file.output_name}")
    uri = file.uri(output_uri)
    content = _content(session, file, uri, max_bytes)
    try:
        return _small(_parsed(content.decode("utf-8-sig"), uri, max_bytes), max_bytes)
    except _LargeValueError:
        rule = f"the value of {uri} has more than {max_bytes:,} bytes as JSON, and max_result_file_bytes is that"
        raise ResultFileError(file.name, f"{rule}: XCom is for small values") from None
    except XComValueError as error:
        reason = f"{uri} has what no XCom can carry: {error}"
    except (ValueError, RecursionError, csv.Error) as error:
        kind = uri.lower().rpartition(".")[2]
        kind = kind if kind in {"json", "csv"} else "text"
        reason = f"{uri} is no proper {kind} in UTF-8: {error}"
    raise ResultFileError(file.name, printable(session.secrets.hide(reason)))  # it may quote the file


def _small(value: Any, max_bytes: int) -> Any:
    """Return the value if it is small enough for an XCom of the task."""
    check_xcom_value(value)
    if json_bytes(value) > max_bytes:
        raise _LargeValueError
    return value


class _LargeValueError(Exception):
    """A file's value is too large for an XCom of the task."""


def _content(session: Session, file: ResultFile, uri: str, max_bytes: int) -> bytes:
    from airflow_sm_processing.processing.s3 import LargeObjectError, may_be_absent, read_object

    try:
        return read_object(session, uri, max_bytes=max_bytes)
    except LargeObjectError as error:
        rule = f"{uri} has {error.size:,} bytes, and max_result_file_bytes is {max_bytes:,}: XCom is for small values"
        raise ResultFileError(file.name, rule) from error
    except ServiceError as error:
        if not may_be_absent(error):
            raise
        raise ResultFileError(file.name, _missing(session, uri, error)) from error


def _missing(session: Session, uri: str, error: ServiceError) -> str:
    """Return the message for a missing file; without s3:ListBucket, S3 denies access to such a file."""
    if isinstance(error, AccessDeniedError):
        return f"{uri} can't be read, or isn't there: {error}"
    from airflow_sm_processing.processing.aws_calls import answer_read, aws_call, readable

    bucket, key = S3Location.parse(uri)
    folder = f"{key.rpartition('/')[0]}/"
    try:
        client = session.s3_client
        with aws_call("ListObjectsV2", uri):
            page = client.list_objects_v2(Bucket=bucket, Prefix=folder, MaxKeys=_SHOWN_KEYS)
        with answer_read("ListObjectsV2", uri):
            readable(client, "ListObjectsV2", page, "IsTruncated")
            keys = [item["Key"].removeprefix(folder) for item in page.get("Contents", [])]
    except ServiceError:  # the error message only lacks the list then
        return f"there is no {uri}"
    names = one_line(", ".join(keys)) if keys else "nothing"
    return f"there is no {uri}; its folder has {names}{', …' * page['IsTruncated']}"


def _parsed(text: str, uri: str, max_bytes: int) -> Any:
    name = uri.lower()
    if name.endswith(".json"):
        return json.loads(text, parse_constant=_refuse, object_pairs_hook=_without_repeated_keys)
    if name.endswith(".csv"):
        return list(_rows(text, max_bytes))
    return text


def _rows(text: str, max_bytes: int) -> Iterator[dict[str, str]]:
    """Yield a dict for each row, and raise when they become too large for an XCom of the task."""
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    repeated = _repeated(reader.fieldnames or ())
    if repeated is not None:
        raise ValueError(f"the first line has the column {repeated!r} more than once")
    left = max_bytes
    for row in reader:
        if None in row or None in row.values():
            raise ValueError(f"line {reader.line_num} has more or fewer fields than the first")
        left -= json_bytes(row)
        if left < 0:
            raise _LargeValueError
        yield row


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a dict, and refuse repeated keys: a dict would keep only the last value."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"the key {_repeated(key for key, _ in pairs)!r} is repeated in one object")
    return found


def _repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} isn't JSON, and not every database accepts it")
