"""What a task leaves of its job: XComs for other tasks, links, and records for the pages of Airflow's UI.

A record is for people to look at: whatever goes wrong with one costs a warning, never a task.
"""

from __future__ import annotations

import logging
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_sm_processing import xcoms
from airflow_sm_processing.exceptions import ProcessingError
from airflow_sm_processing.links import push_links

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from airflow_sm_processing.hooks.processing import ProcessingHook
    from airflow_sm_processing.operators.wait_options import WaitOptions
    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.job import ProcessingJob
    from airflow_sm_processing.processing.s3 import Size

__all__ = [
    "STORED_RECORD",
    "JobRecorder",
    "SeenJob",
    "begin_log_position",
    "forget_log_position",
    "measured",
    "own_xcom",
    "publish",
]

log = logging.getLogger(__name__)

STORED_RECORD = "processing_job:"
"""Begins the keys in `task_state_store`, which go on with the job's name: it keeps the records of earlier tries."""
_MOST_HOSTS = 10  # whose last lines are recorded: up to 20 kB of each, in a row of Airflow's database


class SeenJob(NamedTuple):
    """A task's job as it was last seen."""

    description: JobDescription
    sizes: Mapping[str, Size | None] = MappingProxyType({})
    """Of its inputs and outputs, by S3 URI, when it has ended."""

    @classmethod
    def just_made(cls, job: ProcessingJob) -> SeenJob:
        """Return a job as its request has it."""
        from airflow_sm_processing.processing.description import JobDescription, JobStatus

        response = {
            **(job.request or {}),
            "ProcessingJobName": job.job_name,
            "ProcessingJobArn": job.job_arn or "",
            "ProcessingJobStatus": JobStatus.IN_PROGRESS.value,
        }
        return cls(JobDescription.from_response(response).without(job.sagemaker_session.secrets))


class JobRecorder:
    """Records a task's job, for the pages that Airflow's UI shows of it."""

    def __init__(self, context: Context, options: WaitOptions, *, aws_conn_id: str | None) -> None:
        from airflow_sm_processing.xcoms import Circumstances

        self._context = context
        self._options = options
        self._circumstances = Circumstances(
            try_number=context["ti"].try_number,
            awaited=options.wait_for_completion,
            stop_on_kill=options.stop_on_kill,
            aws_conn_id=aws_conn_id,
        )

    def submission(self, job: ProcessingJob, found: JobDescription | None) -> None:
        """Record a job that the task just got; as it was `found`, if an earlier try had made it."""
        self._record(job, found, is_new=True)

    def progress(self, job: ProcessingJob, description: JobDescription) -> None:
        """Record a job whose container has started, or that is being stopped."""
        job.learn(description)  # a worker that the task resumes in knows its name alone
        self._record(job, description, with_details=False)

    def end(self, job: ProcessingJob, description: JobDescription, sizes: Mapping[str, Size | None]) -> None:
        """Record a job that has ended: with what it read and wrote, in bytes, and the last lines of its log."""
        shown = bool(self._options.logs) and description.instance_count <= _MOST_HOSTS
        with_log = shown or not description.status.is_success
        self._record(job, description, sizes=sizes, with_log=with_log)

    def as_left(self, job: ProcessingJob) -> None:
        """Record a job that the task doesn't wait for any more, as it is now: nobody will see its end."""
        try:
            description = job.description()
        except ProcessingError as error:
            log.info("How job %s was left can't be recorded: %s", job.job_name, error)
            return
        job.learn(description)
        self._record(job, description, with_log=True)

    def _record(
        self,
        job: ProcessingJob,
        description: JobDescription | None,
        *,
        is_new: bool = False,
        sizes: Mapping[str, Size | None] | None = None,
        with_details: bool = True,
        with_log: bool = False,
    ) -> None:
        from airflow_sm_processing.xcoms import job_details, job_record

        ti: Any = self._context["ti"]
        try:
            record = job_record(job, description, self._circumstances)
            is_shown = is_new or not _shows_a_later_try(self._context)
            if is_shown:
                ti.xcom_push(key=xcoms.RECORD_KEY, value=record)
            if is_shown and with_details:
                tails = dict(islice(job.log_tails.items(), _MOST_HOSTS)) if with_log else None
                ti.xcom_push(key=xcoms.DETAILS_KEY, value=job_details(job, sizes=sizes, log_tail=tails))
            store: Any = self._context.get("task_state_store")  # since Airflow 3.3
            if store is not None:
                store.set(f"{STORED_RECORD}{job.job_name}", record)
        except Exception as error:  # noqa: BLE001  # of Airflow's and XCom backends' many kinds; none is worth a task
            log.warning("Airflow's pages don't show all there is to know of job %s: %r", job.job_name, error)


def _shows_a_later_try(context: Context) -> bool:
    """Return whether the task was cleared and tried again, and the new try has a job, while this one still ends."""
    found = own_xcom(context, xcoms.RECORD_KEY)
    number = found.get("try_number") if isinstance(found, dict) else None
    return isinstance(number, int) and number > context["ti"].try_number


def measured(hook: ProcessingHook, description: JobDescription) -> dict[str, Size | None]:
    """Measure what an ended job read and wrote, by its S3 URIs; nothing where `[sm_processing] measure_data` is off."""
    from airflow_sm_processing.airflow_compat import conf
    from airflow_sm_processing.processing.s3 import measure_all

    if not conf.getboolean("sm_processing", "measure_data", fallback=True):
        return {}
    read = [str(item.s3_input.s3_uri) for item in description.inputs if item.s3_input and item.s3_input.s3_uri]
    written = [str(item.destination) for item in description.outputs if item.destination]
    try:
        return measure_all(hook.single_attempt_client("s3"), [*read, *written], folders=written)
    except Exception as error:  # noqa: BLE001  # as with a record
        log.warning("The sizes of what job %s read and wrote aren't known: %r", description.job_name, error)
        return {}


# The XComs that a task instance keeps while its job runs


def publish(context: Context, job: ProcessingJob) -> None:
    """Push what is known of the job as soon as there is one, so that a failed task keeps it."""
    ti = context["ti"]
    ti.xcom_push(key=xcoms.JOB_NAME_KEY, value=job.job_name)
    ti.xcom_push(key=xcoms.JOB_ARN_KEY, value=job.job_arn)
    for name, uri in job.output_uris.items():
        if name not in xcoms.RESERVED_KEYS:  # as an output of somebody else's job may be called
            ti.xcom_push(key=name, value=uri)
    push_links(ti, job.links())


def own_xcom(context: Context, key: str) -> Any:
    """Return what an earlier stay of the task instance, or its trigger, left under a key that it always has."""
    ti = context["ti"]
    return ti.xcom_pull(task_ids=ti.task_id, key=key, map_indexes=ti.map_index)


def begin_log_position(context: Context) -> None:
    """Push a position at the log's start, for triggers to ask for and to move on.

    It is written past XCom backends, as triggers write theirs.
    """
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import SetXCom

    ti = context["ti"]
    place: dict[str, Any] = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": ti.map_index}
    comms: Any = task_runner.SUPERVISOR_COMMS
    try:
        comms.send(SetXCom(key=xcoms.LOG_POSITION_KEY, value={}, **place))
    except Exception as error:  # noqa: BLE001  # of Airflow's many kinds; none is worth a task
        log.warning("XCom %s could not be pushed: %r", xcoms.LOG_POSITION_KEY, error)


def forget_log_position(context: Context) -> None:
    """Delete the position in the job's log, which a worker goes on from."""
    from airflow_sm_processing.airflow_compat import XCom

    ti = context["ti"]
    place = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": ti.map_index}
    try:
        XCom.delete(key=xcoms.LOG_POSITION_KEY, **place)
    except Exception as error:  # noqa: BLE001  # of Airflow's and XCom backends' many kinds; none is worth a task
        log.warning("XCom %s stays, for it could not be deleted: %r", xcoms.LOG_POSITION_KEY, error)
