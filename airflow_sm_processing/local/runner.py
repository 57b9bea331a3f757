"""A job's life on its instances: inputs, commands, supervision, outputs, the end."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.local import inputs
from airflow_sm_processing.local.container import Instance, Setting
from airflow_sm_processing.local.faults import RUN, Call, Faults
from airflow_sm_processing.local.jobs import Job, Status
from airflow_sm_processing.local.outputs import Output, OutputError
from airflow_sm_processing.local.rules import outputs_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_sm_processing.local.images import Images

CONTINUOUS_SECONDS = 1.0
"""How often a Continuous output is looked at."""
CLOSING_GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL when the server itself ends."""
EXIT_MESSAGE_BYTES = 1024
"""https://docs.aws.amazon.com/sagemaker/latest/dg/byoc-metadata.html"""
_log = logging.getLogger(__name__)


class _JobFailedError(Exception):
    """The job fails; the text is its FailureReason."""


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """What running jobs takes."""

    folder: Path
    """Where the jobs' folders are made."""
    client: Callable[[str, Job], Any]
    """Gives a boto3 client of a service, in the job's account and region, that no fault touches."""
    images: Images
    faults: Faults
    setting: Setting
    stop_grace: float
    """Seconds between SIGTERM and SIGKILL."""
    keep_jobs: bool


class JobRunner:
    """Runs one job from its start to its terminal status."""

    def __init__(self, job: Job, workshop: Workshop, *, closing: threading.Event) -> None:
        self._job = job
        self._closing = closing
        self._workshop = workshop
        self._s3 = workshop.client("s3", job)
        # The name alone won't do: a deleted job's name may be used again while its folder is being removed.
        self._folder = workshop.folder / f"{job.name}-{int(job.created.timestamp() * 1000)}"
        self._instances: list[Instance] = []
        self._outputs: list[Output] = []
        self._waiters: list[threading.Thread] = []
        self._errors: list[OSError] = []
        self._running = 0
        self._failed: Instance | None = None

    def run(self) -> None:
        """Run the job; whatever happens, it reaches a terminal status and its processes are gone."""
        status, reason = Status.FAILED, None
        try:
            status, reason = self._run()
        except (_JobFailedError, inputs.InputError, OutputError) as error:
            reason = str(error)
        except Exception:  # noqa: BLE001  # a job must end, whatever goes wrong here; the log has the traceback
            _log.exception("The local SageMaker failed to run %s", self._job.name)
            reason = "InternalServerError: We encountered an internal error. Please try again."
        finally:
            self._clean_up()
            self._end(status, reason)
            if not self._workshop.keep_jobs:
                shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self) -> tuple[Status, str | None]:
        self._meet_faults()
        if not self._job.start():
            return Status.STOPPED, None
        self._prepare()
        self._download()
        is_late = self._execute()
        status, reason = self._outcome(is_late=is_late)
        for output in self._outputs:
            if output.is_continuous or status is not Status.FAILED:
                output.upload()
        return status, reason

    def _outcome(self, *, is_late: bool) -> tuple[Status, str | None]:
        """Give the status that the commands' end means, and its FailureReason."""
        if self._job.status is Status.STOPPING:
            return Status.STOPPED, None
        if is_late:
            limit = self._job.request["StoppingCondition"]["MaxRuntimeInSeconds"]
            return Status.STOPPED, f"ClientError: The job was stopped after its MaxRuntimeInSeconds of {limit}."
        if self._failed is not None:
            return Status.FAILED, f"AlgorithmError: , exit code: {self._failed.exit_code}"
        return Status.COMPLETED, None

    def _meet_faults(self) -> None:
        call = Call(service="sagemaker", operation=RUN, job=self._job.name, role=self._job.request["RoleArn"])
        for fault in self._workshop.faults.for_call(call):
            self._wait_unless_stopped(fault.latency)
            if fault.error == "CapacityError":
                raise _JobFailedError(
                    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a "
                    f"different ML instance type than {self._job.instance_type}."
                )
            if fault.error:
                raise _JobFailedError(f"{fault.error}: {fault.message or 'The local SageMaker was told to fail.'}")

    def _wait_unless_stopped(self, seconds: float) -> None:
        with self._job.wake:
            self._job.wake.wait_for(lambda: self._job.status is not Status.IN_PROGRESS, timeout=seconds)

    def _prepare(self) -> None:
        for number in range(1, self._job.instance_count + 1):
            instance = Instance(self._job, number, self._folder / f"algo-{number}", self._workshop.setting)
            instance.prepare()
            self._instances.append(instance)
        kms_key = self._job.request.get("ProcessingOutputConfig", {}).get("KmsKeyId")
        for item in outputs_of(self._job.request):
            if path := item["S3Output"].get("LocalPath"):
                self._outputs += [
                    Output(self._s3, item, instance.folder(path), kms_key=kms_key) for instance in self._instances
                ]

    def _download(self) -> None:
        for item in self._job.request.get("ProcessingInputs", []):
            path = item["S3Input"].get("LocalPath")
            if path is None or self._job.status is Status.STOPPING:
                continue
            for index, instance in enumerate(self._instances):
                shard = inputs.Shard(index=index, count=len(self._instances))
                role = self._job.request["RoleArn"]
                inputs.download(self._s3, item, instance.folder(path), shard, role=role)

    def _execute(self) -> bool:
        """Run the commands to their end, and say whether the time ran out."""
        if self._job.status is Status.STOPPING:
            return False
        image = self._workshop.images.resolve(self._job.request["AppSpecification"]["ImageUri"])
        logs = self._workshop.client("logs", self._job)
        for instance in self._instances:
            instance.start(image, logs)
            waiter = threading.Thread(target=self._wait, args=[instance], name=f"wait-{self._job.name}", daemon=True)
            self._waiters.append(waiter)
            self._running += 1
            waiter.start()
        limit = self._job.request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds")
        is_late = not self._watch(limit)
        self._terminate()
        if self._errors:
            raise self._errors[0]
        return is_late

    def _wait(self, instance: Instance) -> None:
        try:
            instance.wait()
        except OSError as error:
            self._errors.append(error)
        finally:
            with self._job.wake:
                # The first is the culprit; the others were stopped because of it.
                self._failed = self._failed or (instance if instance.exit_code else None)
                self._running -= 1
                self._job.wake.notify_all()

    def _watch(self, limit: float | None) -> bool:
        """Upload Continuous outputs until the commands end, one fails, or the job is to stop.

        Returns:
            False if `limit` seconds passed first.
        """
        deadline = time.monotonic() + limit if limit is not None else float("inf")
        continuous = [output for output in self._outputs if output.is_continuous]
        tick = CONTINUOUS_SECONDS if continuous else None
        while (left := deadline - time.monotonic()) > 0:
            timeout = min((wait for wait in (tick, left) if wait not in {None, float("inf")}), default=None)
            with self._job.wake:
                if self._job.wake.wait_for(self._is_over, timeout=timeout):
                    return True
            for output in continuous:
                output.upload()
        return False

    def _is_over(self) -> bool:
        return (
            self._job.status is Status.STOPPING or self._failed is not None or not self._running or bool(self._errors)
        )

    def _terminate(self) -> None:
        """Send SIGTERM to whoever still runs, and SIGKILL after the grace time."""
        for instance in self._instances:
            instance.terminate()
        with self._job.wake:
            self._job.wake.wait_for(
                lambda: not self._running or self._closing.is_set(), timeout=self._workshop.stop_grace
            )
            if self._closing.is_set():
                self._job.wake.wait_for(lambda: not self._running, timeout=CLOSING_GRACE)
        self._clean_up()

    def _clean_up(self) -> None:
        for instance in self._instances:
            instance.kill()
        for waiter in self._waiters:
            waiter.join()

    def _end(self, status: Status, reason: str | None) -> None:
        message = b"".join(instance.exit_message() for instance in self._instances)
        try:
            text = message.decode()
        except UnicodeDecodeError:
            status, text = Status.FAILED, ""
            reason = "ClientError: The file /opt/ml/output/message isn't UTF-8."
        cut = text.encode()[:EXIT_MESSAGE_BYTES].decode("utf-8", "ignore")
        self._job.end(status, failure_reason=reason and reason[:EXIT_MESSAGE_BYTES], exit_message=cut or None)
