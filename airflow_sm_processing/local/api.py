"""The processing-job operations of SageMaker's API, and the tags of jobs."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.local import rules, shapes
from airflow_sm_processing.local.clients import core_session
from airflow_sm_processing.local.errors import ServiceError, validation_error
from airflow_sm_processing.local.jobs import Job, Jobs
from airflow_sm_processing.local.listing import Listing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_sm_processing.local.dispatcher import Dispatcher
    from airflow_sm_processing.local.signature import Caller

Request = dict[str, Any]
_JOB_ARN = ":processing-job/"


class ProcessingApi:
    """Answers Create, Describe, List, Stop and DeleteProcessingJob, and AddTags, ListTags, DeleteTags for jobs."""

    def __init__(self, dispatcher: Dispatcher, *, check_image: Callable[[str], object]) -> None:
        self._dispatcher = dispatcher
        self._check_image = check_image
        self._model = core_session().get_service_model("sagemaker")
        self._jobs: defaultdict[tuple[str, str], Jobs] = defaultdict(Jobs)
        self._listing = Listing()
        self._tags_lock = threading.Lock()
        self._operations: Mapping[str, Callable[[Request, Caller], Request]] = {
            "CreateProcessingJob": self._create,
            "DescribeProcessingJob": self._describe,
            "ListProcessingJobs": self._list,
            "StopProcessingJob": self._stop,
            "DeleteProcessingJob": self._delete,
            "AddTags": self._add_tags,
            "ListTags": self._list_tags,
            "DeleteTags": self._delete_tags,
        }

    def answers(self, operation: str, request: Request) -> bool:
        """Whether the operation is ours; the tags of anything but processing jobs aren't."""
        return operation in self._operations and _JOB_ARN in str(request.get("ResourceArn", _JOB_ARN))

    def call(self, operation: str, request: Request, caller: Caller) -> str:
        """Carry an operation out and give its answer as JSON, times as seconds of the epoch.

        Raises:
            ServiceError: as the real operation would.
        """
        rules.check_preferences_known(request, self._model)
        shape = self._model.operation_model(self._modelled(operation)).input_shape
        if shape is not None:
            shapes.check(request, shape)
            request = shapes.known(request, shape)
        return json.dumps(self._operations[operation](request, caller), default=_wire_time)

    def _modelled(self, operation: str) -> str:
        """Return an operation of the same input that the installed boto3 has."""
        known = operation != "DeleteProcessingJob" or operation in self._model.operation_names
        return operation if known else "StopProcessingJob"

    def jobs(self, caller: Caller) -> Jobs:
        """Give the jobs of the caller's account and region."""
        return self._jobs[caller.key.account_id, caller.region]

    def _create(self, request: Request, caller: Caller) -> Request:
        rules.check(request)
        self._check_image(request["AppSpecification"]["ImageUri"])
        job = Job(request, account_id=caller.key.account_id, region=caller.region)
        self.jobs(caller).add(job)
        self._dispatcher.submit(job)
        return {"ProcessingJobArn": job.arn}

    def _describe(self, request: Request, caller: Caller) -> Request:
        return self.jobs(caller).get(request["ProcessingJobName"]).describe()

    def _list(self, request: Request, caller: Caller) -> Request:
        return self._listing.page(request, self.jobs(caller).all())

    def _stop(self, request: Request, caller: Caller) -> Request:
        self._dispatcher.stop(self.jobs(caller).get(request["ProcessingJobName"]))
        return {}

    def _delete(self, request: Request, caller: Caller) -> Request:
        self.jobs(caller).delete(request["ProcessingJobName"])
        return {}

    def _tagged(self, request: Request, caller: Caller) -> Job:
        arn = request["ResourceArn"]
        job = self.jobs(caller).find(arn.partition(_JOB_ARN)[2])
        if job is None or job.arn != arn:
            raise ServiceError("ResourceNotFound", f"Could not find requested resource: {arn}")
        return job

    def _add_tags(self, request: Request, caller: Caller) -> Request:
        job = self._tagged(request, caller)
        reserved = [*rules.reserved_tags(request["Tags"])]
        if reserved:
            raise validation_error(" ".join(reserved))
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
