"""Records a task's job, for the pages that Airflow's UI shows of it.

A record is for people to look at: whatever goes wrong with one costs a warning, never a task.
"""

from __future__ import annotations

import logging
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_sm_processing import xcoms
from airflow_sm_processing.exceptions import ProcessingError
from airflow_sm_processing.operators.own_xcoms import own_xcom

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from airflow_sm_processing.operators.getting import ClaimingTask
    from airflow_sm_processing.operators.modes import Modes
    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.job import ProcessingJob
    from airflow_sm_processing.processing.s3 import Size

__all__ = ["STORED_RECORD", "measured", "record_as_left", "record_end", "record_progress", "record_submission"]

log = logging.getLogger(__name__)

STORED_RECORD = "processing_job:"
"""Begins the keys in `task_state_store`, which go on with the job's name: it keeps the records of earlier tries."""
_MOST_HOSTS = 10  # whose last lines are recorded: up to 20 kB of each, in a row of Airflow's database


def record_submission(
    task: ClaimingTask, context: Context, job: ProcessingJob, found: JobDescription | None, modes: Modes
) -> None:
    """Record a job that the task just got; as it was `found`, if an earlier try had made it."""
    _record(task, context, modes, job, found, is_new=True)


def record_progress(
    task: ClaimingTask, context: Context, job: ProcessingJob, description: JobDescription, modes: Modes
) -> None:
    """Record a job whose container has started, or that is being stopped."""
    job.learn(description)  # a worker that the task resumes in knows its name alone
    _record(task, context, modes, job, description, with_details=False)


def record_end(
    task: ClaimingTask,
    context: Context,
    job: ProcessingJob,
    description: JobDescription,
    modes: Modes,
    sizes: Mapping[str, Size | None],
) -> None:
    """Record a job that has ended: with what it read and wrote, in bytes, and the last lines of its log."""
    shown = bool(modes.logs) and description.instance_count <= _MOST_HOSTS
    with_log = shown or not description.status.is_success
    _record(task, context, modes, job, description, sizes=sizes, with_log=with_log)


def record_as_left(task: ClaimingTask, context: Context, job: ProcessingJob, modes: Modes) -> None:
    """Record a job that the task doesn't wait for any more, as it is now: nobody will see its end."""
    try:
        description = job.description()
    except ProcessingError as error:
        log.info("How job %s was left can't be recorded: %s", job.job_name, error)
        return
    job.learn(description)
    _record(task, context, modes, job, description, with_log=True)


def measured(task: ClaimingTask, description: JobDescription) -> dict[str, Size | None]:
    """Measure what an ended job read and wrote, by its S3 URIs; nothing where `[sm_processing] measure_data` is off."""
    from airflow_sm_processing.airflow_compat import conf
    from airflow_sm_processing.processing.s3 import measure_all

    if not conf.getboolean("sm_processing", "measure_data", fallback=True):
        return {}
    read = [str(item.s3_input.s3_uri) for item in description.inputs if item.s3_input and item.s3_input.s3_uri]
    written = [str(item.destination) for item in description.outputs if item.destination]
    try:
        return measure_all(task.hook.single_attempt_client("s3"), [*read, *written], folders=written)
    except Exception as error:  # noqa: BLE001  # as with a record
        log.warning("The sizes of what job %s read and wrote aren't known: %r", description.job_name, error)
        return {}


def _record(
    task: ClaimingTask,
    context: Context,
    modes: Modes,
    job: ProcessingJob,
    description: JobDescription | None,
    *,
    is_new: bool = False,
    sizes: Mapping[str, Size | None] | None = None,
    with_details: bool = True,
    with_log: bool = False,
) -> None:
    from airflow_sm_processing.xcoms import Circumstances, job_details, job_record

    ti: Any = context["ti"]
    circumstances = Circumstances(
        try_number=ti.try_number,
        awaited=modes.wait_for_completion,
        stop_on_kill=modes.stop_on_kill,
        aws_conn_id=task.connection.aws_conn_id,
    )
    try:
        record = job_record(job, description, circumstances)
        is_shown = is_new or not _shows_a_later_try(context)
        if is_shown:
            ti.xcom_push(key=xcoms.RECORD_KEY, value=record)
        if is_shown and with_details:
            tails = dict(islice(job.log_tails.items(), _MOST_HOSTS)) if with_log else None
            ti.xcom_push(key=xcoms.DETAILS_KEY, value=job_details(job, sizes=sizes, log_tail=tails))
        store: Any = context.get("task_state_store")  # since Airflow 3.3
        if store is not None:
            store.set(f"{STORED_RECORD}{job.job_name}", record)
    except Exception as error:  # noqa: BLE001  # of Airflow's and XCom backends' many kinds; none is worth a task
        log.warning("Airflow's pages don't show all there is to know of job %s: %r", job.job_name, error)


def _shows_a_later_try(context: Context) -> bool:
    """Tell whether the task was cleared and tried again, and the new try has a job, while this one still ends."""
    found = own_xcom(context, xcoms.RECORD_KEY)
    number = found.get("try_number") if isinstance(found, dict) else None
    return isinstance(number, int) and number > context["ti"].try_number
