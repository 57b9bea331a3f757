"""The job operations of SageMaker's API, of both kinds: create, describe, list with every filter, stop, and tags."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import threading
from collections import defaultdict
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.local import validation
from airflow_sm_processing.local.auth import core_session
from airflow_sm_processing.local.jobs import Job, Jobs
from airflow_sm_processing.local.processing import ProcessingJob
from airflow_sm_processing.local.training import TrainingJob
from airflow_sm_processing.local.validation import ServiceError, validation_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from airflow_sm_processing.local.auth import Caller
    from airflow_sm_processing.local.runner import Dispatcher


DEFAULT_PAGE = 10
"""The page size without MaxResults; the service's model has no default, its console shows ten."""

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
    # Instances are neither kept for another job nor reserved in advance.
    "WarmPoolStatusEquals": lambda job, status: False,  # noqa: ARG005  # the same signature as the others
    "TrainingPlanArnEquals": lambda job, arn: False,  # noqa: ARG005  # the same signature as the others
}


class Listing:
    """Pages of jobs; a token is valid for this server and for the query that it came from."""

    def __init__(self, kind: type[Job]) -> None:
        self._kind = kind.kind
        self._secret = secrets.token_bytes(32)

    def page(self, request: Mapping[str, Any], jobs: Iterable[Job]) -> dict[str, Any]:
        """Return one page, after the job that the token names.

        Raises:
            ServiceError: ValidationException, when the token isn't from this query.
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
        answer: dict[str, Any] = {f"{self._kind}JobSummaries": [job.summary() for _, _, job in ordered[:size]]}
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


Request = dict[str, Any]
_KINDS: Sequence[type[Job]] = (ProcessingJob, TrainingJob)
_BY_ARN = {f":{kind.kind.lower()}-job/": kind for kind in _KINDS}


class JobApi:
    """Answers Create, Describe, List, Stop and Delete for each kind of job, and AddTags, ListTags, DeleteTags."""

    def __init__(self, dispatcher: Dispatcher, *, check_image: Callable[[str], object]) -> None:
        self._dispatcher = dispatcher
        self._check_image = check_image
        self._model = core_session().get_service_model("sagemaker")
        self._jobs: defaultdict[tuple[str, str, type[Job]], Jobs] = defaultdict(Jobs)
        self._listings = {kind: Listing(kind) for kind in _KINDS}
        self._tags_lock = threading.Lock()
        self._operations: dict[str, Callable[[Request, Caller], Request]] = {
            "AddTags": self._add_tags,
            "ListTags": self._list_tags,
            "DeleteTags": self._delete_tags,
        }
        for kind in _KINDS:
            self._operations |= {
                f"Create{kind.kind}Job": partial(self._create, kind),
                f"Describe{kind.kind}Job": partial(self._describe, kind),
                f"List{kind.kind}Jobs": partial(self._list, kind),
                f"Stop{kind.kind}Job": partial(self._stop, kind),
                f"Delete{kind.kind}Job": partial(self._delete, kind),
            }

    def answers(self, operation: str, request: Request) -> bool:
        """Return whether this API handles the operation; it handles tags of jobs only."""
        arn = request.get("ResourceArn")
        return operation in self._operations and (arn is None or any(part in str(arn) for part in _BY_ARN))

    def call(self, operation: str, request: Request, caller: Caller) -> str:
        """Carry out an operation and return its response as JSON, with times in seconds since the epoch.

        Raises:
            ServiceError: as the real operation would.
        """
        validation.check_preferences_known(request, self._model)
        shape = self._model.operation_model(self._modelled(operation)).input_shape
        if shape is not None:
            validation.check_shape(request, shape)
            request = validation.known(request, shape)
        return json.dumps(self._operations[operation](request, caller), default=_wire_time)

    def _modelled(self, operation: str) -> str:
        """Return the operation, or one with the same input if the installed boto3 doesn't have it."""
        known = not operation.startswith("Delete") or operation in self._model.operation_names
        return operation if known else operation.replace("Delete", "Stop", 1)

    def jobs(self, caller: Caller, kind: type[Job]) -> Jobs:
        """Return the jobs of one kind in the caller's account and region."""
        return self._jobs[caller.key.account_id, caller.region, kind]

    def _create(self, kind: type[Job], request: Request, caller: Caller) -> Request:
        kind.check(request)
        job = kind(request, account_id=caller.key.account_id, region=caller.region)
        self._check_image(job.image_uri)
        self._dispatcher.look_for_sources(job)
        self.jobs(caller, kind).add(job)
        self._dispatcher.submit(job)
        return {f"{kind.kind}JobArn": job.arn}

    def _describe(self, kind: type[Job], request: Request, caller: Caller) -> Request:
        return self.jobs(caller, kind).get(request[f"{kind.kind}JobName"], kind).describe()

    def _list(self, kind: type[Job], request: Request, caller: Caller) -> Request:
        return self._listings[kind].page(request, self.jobs(caller, kind).all())

    def _stop(self, kind: type[Job], request: Request, caller: Caller) -> Request:
        self._dispatcher.stop(self.jobs(caller, kind).get(request[f"{kind.kind}JobName"], kind))
        return {}

    def _delete(self, kind: type[Job], request: Request, caller: Caller) -> Request:
        self.jobs(caller, kind).delete(request[f"{kind.kind}JobName"], kind)
        return {}

    def _tagged(self, request: Request, caller: Caller) -> Job:
        arn = request["ResourceArn"]
        part = next((part for part in _BY_ARN if part in arn), "")
        job = self.jobs(caller, _BY_ARN[part]).find(arn.partition(part)[2]) if part else None
        if job is None or job.arn != arn:
            raise ServiceError("ResourceNotFound", f"Could not find requested resource: {arn}")
        return job

    def _add_tags(self, request: Request, caller: Caller) -> Request:
        job = self._tagged(request, caller)
        validation.raise_all(validation.reserved_tags(request["Tags"]))
        with self._tags_lock:
            tags = job.tags | {tag["Key"]: tag["Value"] for tag in request["Tags"]}
            limit = self._model.shape_for("TagList").metadata["max"]
            if len(tags) > limit:
                raise validation_error(f"{job.arn} would have {len(tags)} tags, and may have {limit}.")
            job.tags = tags
        return {"Tags": _wire_tags(job)}

    def _list_tags(self, request: Request, caller: Caller) -> Request:
        return {"Tags": _wire_tags(self._tagged(request, caller))}

    def _delete_tags(self, request: Request, caller: Caller) -> Request:
        job = self._tagged(request, caller)
        with self._tags_lock:
            job.tags = {key: value for key, value in job.tags.items() if key not in request["TagKeys"]}
        return {}


def _wire_tags(job: Job) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in job.tags.items()]


def _wire_time(value: object) -> float:
    if not isinstance(value, datetime):
        raise TypeError(f"{value!r} has no form in JSON 1.1")
    return round(value.timestamp(), 3)
