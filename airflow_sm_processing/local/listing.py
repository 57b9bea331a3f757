"""ListProcessingJobs: every filter, both orders, and pages that a tampered or foreign token can't read."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.local.errors import validation_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_sm_processing.local.jobs import Job

DEFAULT_PAGE = 10
"""The page of a call without MaxResults; the service's model gives no default, its console shows ten."""

_SORT_KEYS: Mapping[str, Callable[[Job], str]] = {
    "Name": lambda job: job.name,
    "CreationTime": lambda job: job.created.isoformat(timespec="microseconds"),
    "Status": lambda job: job.status.value,
}
_FILTERS: Mapping[str, Callable[[Job, Any], bool]] = {
    "CreationTimeAfter": lambda job, when: job.created.timestamp() > when,
    "CreationTimeBefore": lambda job, when: job.created.timestamp() < when,
    "LastModifiedTimeAfter": lambda job, when: job.modified.timestamp() > when,
    "LastModifiedTimeBefore": lambda job, when: job.modified.timestamp() < when,
    "NameContains": lambda job, text: text.lower() in job.name.lower(),
    "StatusEquals": lambda job, status: job.status.value == status,
}


class Listing:
    """Pages of jobs; a token is valid for this server and for the query that it came from."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def page(self, request: Mapping[str, Any], jobs: Iterable[Job]) -> dict[str, Any]:
        """Give one page, after the job that the token names.

        Raises:
            ServiceError: ValidationException, when the token isn't one of this query's.
        """
        found = [
            job for job in jobs if all(test(job, request[name]) for name, test in _FILTERS.items() if name in request)
        ]
        sort_key = _SORT_KEYS[request.get("SortBy", "CreationTime")]
        descending = request.get("SortOrder", "Ascending") == "Descending"
        ordered = sorted(((sort_key(job), job.name, job) for job in found), key=lambda row: row[:2], reverse=descending)
        if "NextToken" in request:
            last = self._read(request)
            ordered = [row for row in ordered if (row[:2] < last if descending else row[:2] > last)]
        size = request.get("MaxResults", DEFAULT_PAGE)
        answer: dict[str, Any] = {"ProcessingJobSummaries": [job.summary() for _, _, job in ordered[:size]]}
        if len(ordered) > size:
            answer["NextToken"] = self._write(request, ordered[size - 1][:2])
        return answer

    def _write(self, request: Mapping[str, Any], last: tuple[str, str]) -> str:
        position = json.dumps(last).encode()
        return base64.urlsafe_b64encode(self._mac(request, position) + position).decode()

    def _read(self, request: Mapping[str, Any]) -> tuple[str, str]:
        try:
            token = base64.urlsafe_b64decode(request["NextToken"].encode())
        except (binascii.Error, ValueError):
            token = b""
        mac, position = token[:32], token[32:]
        if not hmac.compare_digest(mac, self._mac(request, position)):
            raise validation_error("NextToken is invalid. Send a token as it came, with the filters that it came for.")
        key, name = json.loads(position)
        return key, name

    def _mac(self, request: Mapping[str, Any], position: bytes) -> bytes:
        query = {name: value for name, value in request.items() if name not in {"NextToken", "MaxResults"}}
        return hmac.digest(self._secret, json.dumps(query, sort_keys=True).encode() + b"\0" + position, hashlib.sha256)
