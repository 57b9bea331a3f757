"""Run jobs: queue them, start their instances, supervise the commands, and collect the outputs."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.local import folders, storage
from airflow_sm_processing.local.container import Instance
from airflow_sm_processing.local.faults import Call, Faults
from airflow_sm_processing.local.jobs import Job, Stage, Status
from airflow_sm_processing.local.sandbox import Network, network_of
from airflow_sm_processing.local.storage import Output, OutputError
from airflow_sm_processing.local.validation import ServiceError, validation_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from airflow_sm_processing.local.container import Images, Interpreter, Setting


class Dispatcher:
    """Runs a limited number of jobs at once, first come, first served."""

    def __init__(self, settings: Callable[[], RunnerSettings], *, max_jobs: int, closing: threading.Event) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max_jobs, thread_name_prefix="job")
        self._futures: dict[Job, Future[None]] = {}
        self._closing = closing

    def look_for_sources(self, job: Job) -> None:
        """Check that a job's inputs exist, where its kind of job requires it.

        Raises:
            ServiceError: ValidationException, when one doesn't.
        """
        s3 = self._settings().client("s3", job)
        try:
            for source in job.sources():
                if source.is_looked_for:
                    storage.look_for(s3, source, role=job.role)
        except storage.InputError as error:
            raise validation_error(str(error)) from error

    def submit(self, job: Job) -> None:
        """Run a job as soon as fewer than the maximum number of jobs are running.

        Raises:
            ServiceError: ServiceUnavailable, when the server is shutting down.
        """
        with self._lock:
            if self._closing.is_set():
                raise ServiceError("ServiceUnavailable", "The local SageMaker is ending.", status=503)
            self._futures[job] = self._pool.submit(self._run, job)

    def _run(self, job: Job) -> None:
        try:
            JobRunner(job, self._settings(), closing=self._closing).run()
        finally:
            with self._lock:
                del self._futures[job]

    def stop(self, job: Job) -> None:
        """Stop a job; one that is still queued is Stopped at once."""
        job.stop()
        with self._lock:
            future = self._futures.get(job)
            if future is None or not future.cancel():
                return
            del self._futures[job]
        job.end(Status.STOPPED)

    def close(self) -> None:
        """Stop all jobs, with a shorter grace than a user's stop, and wait for their end."""
        with self._lock:
            self._closing.set()
            jobs = list(self._futures)
        for job in jobs:
            with contextlib.suppress(ServiceError):  # it has just ended by itself
                self.stop(job)
            with job.wake:
                job.wake.notify_all()
        self._pool.shutdown()


CONTINUOUS_SECONDS = 1.0
"""How often a Continuous output is checked for new files, in seconds."""
CLOSING_GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL when the server itself ends."""


class JobInstances:
    """Starts a job's instances and waits for all of them at once, on the job's condition."""

    def __init__(self, job: Job, instances: Sequence[Instance], *, closing: threading.Event) -> None:
        self._job = job
        self._instances = instances
        self._closing = closing
        self._waiters: list[threading.Thread] = []
        self._errors: list[Exception] = []
        self._running = 0
        self.failed: Instance | None = None
        """The first instance whose command failed, which made the others stop."""

    def start(self, image: Interpreter, logs: Any) -> None:
        """Start every instance's command."""
        for instance in self._instances:
            instance.start(image, logs)
            waiter = threading.Thread(target=self._wait, args=[instance], name=f"wait-{self._job.name}", daemon=True)
            self._waiters.append(waiter)
            with self._job.wake:
                self._running += 1
            waiter.start()

    def _wait(self, instance: Instance) -> None:
        error = None
        try:
            instance.wait()
        except Exception as caught:  # noqa: BLE001  # `dismiss` raises it in the thread that runs the job
            error = caught
        with self._job.wake:
            if error:
                self._errors.append(error)
            if instance.exit_code and self.failed is None:
                self.failed = instance
            self._running -= 1
            self._job.wake.notify_all()

    def watch(self, limit: float | None, continuous: Sequence[Output]) -> bool:
        """Upload Continuous outputs until all commands end, one fails, or the job is being stopped.

        Returns:
            False if `limit` seconds passed first.

        Raises:
            OutputError: An output can't be uploaded.
        """
        deadline = time.monotonic() + min(limit, threading.TIMEOUT_MAX) if limit is not None else float("inf")
        tick = CONTINUOUS_SECONDS if continuous else threading.TIMEOUT_MAX
        while (left := deadline - time.monotonic()) > 0:
            with self._job.wake:
                if self._job.wake.wait_for(self._is_over, timeout=min(tick, left)):
                    return True
            for output in continuous:
                output.upload()
        return False

    def _is_over(self) -> bool:
        is_stopping = self._job.status is Status.STOPPING
        return is_stopping or not self._running or self.failed is not None or bool(self._errors)

    def dismiss(self, grace: float) -> None:
        """Send SIGTERM to the instances that are still running, and SIGKILL after `grace` seconds.

        Raises:
            Exception: The error that kept an instance from running.
        """
        for instance in self._instances:
            instance.terminate()
        with self._job.wake:
            self._job.wake.wait_for(lambda: not self._running or self._closing.is_set(), timeout=grace)
            if self._closing.is_set():
                self._job.wake.wait_for(lambda: not self._running, timeout=CLOSING_GRACE)
        self.kill()
        if self._errors:
            raise self._errors[0]

    def kill(self) -> None:
        """End all processes and wait for their end."""
        for instance in self._instances:
            instance.kill()
        for waiter in self._waiters:
            waiter.join()


EXIT_MESSAGE_BYTES = 1024
"""https://docs.aws.amazon.com/sagemaker/latest/dg/byoc-metadata.html"""
_log = logging.getLogger(__name__)


class _JobFailedError(Exception):
    """The job fails; the text is its FailureReason."""


@dataclass(frozen=True, kw_only=True)
class RunnerSettings:
    """The settings for running jobs."""

    folder: Path
    """The folder in which each job's folder is created."""
    client: Callable[[str, Job], Any]
    """Returns a boto3 client for a service in the job's account and region, which no fault applies to."""
    images: Images
    faults: Faults
    setting: Setting
    stop_grace: float
    """Seconds between SIGTERM and SIGKILL."""
    keep_jobs: bool


class JobRunner:
    """Runs one job from its start to its terminal status."""

    def __init__(self, job: Job, settings: RunnerSettings, *, closing: threading.Event) -> None:
        self._job = job
        self._settings = settings
        # The name alone isn't unique: a deleted job's name may be used again while its folder is being removed, and a
        # job of the other kind may have the same name, and may have been created in the same millisecond.
        self._folder = settings.folder / f"{job.name}-{job.kind[0].lower()}{int(job.created.timestamp() * 1000)}"
        self._closing = closing
        self._network = Network()
        self._instances: list[Instance] = []
        self._job_instances = JobInstances(job, [], closing=closing)
        self._outputs: list[Output] = []

    def run(self) -> None:
        """Run the job; whatever happens, it reaches a terminal status and its processes are gone."""
        status, reason = Status.FAILED, None
        try:
            status, reason = self._run()
        except (_JobFailedError, storage.InputError, OutputError) as error:
            reason = str(error)
        except OSError as error:  # such as a full disk, or a sandbox that couldn't be made
            _log.warning("The local SageMaker couldn't run %s: %s", self._job.name, error)
            reason = f"InternalServerError: The local SageMaker couldn't run the job: {error}."
        except Exception:  # noqa: BLE001  # a job must end, whatever goes wrong here; the log has the traceback
            _log.exception("The local SageMaker failed to run %s", self._job.name)
            reason = "InternalServerError: We encountered an internal error. Please try again."
        finally:
            self._job_instances.kill()
            self._network.close()
            self._end(status, reason)
            self._clean()

    def _clean(self) -> None:
        if self._settings.keep_jobs:
            folders.keep_job_folder(self._folder)
        elif not folders.remove(self._folder):
            _log.warning("%s couldn't be removed whole. Remove it by hand.", self._folder)

    def _run(self) -> tuple[Status, str | None]:
        self._meet_faults()
        if not self._job.start():
            return Status.STOPPED, None
        self._prepare()
        self._download()
        is_late = self._execute()
        status, reason = self._outcome(is_late=is_late)
        self._job.enter(Stage.UPLOADING)
        self._upload(self._continuous_outputs() if status is Status.FAILED else self._outputs)
        return status, reason

    def _upload(self, outputs: list[Output]) -> None:
        for output in outputs:
            output.upload()
            output.say_what_is_left_out()

    def _outcome(self, *, is_late: bool) -> tuple[Status, str | None]:
        """Return the job's terminal status after the commands have ended, and its FailureReason."""
        if self._job.status is Status.STOPPING:
            return Status.STOPPED, None
        if is_late:
            return Status.STOPPED, self._job.run_out()
        if failed := self._job_instances.failed:
            return Status.FAILED, _failure(failed, failed.said_in(self._job.failure_file))
        return Status.COMPLETED, None

    def _meet_faults(self) -> None:
        call = Call(service="sagemaker", operation=f"Run{self._job.kind}Job", job=self._job.name, role=self._job.role)
        for fault in self._settings.faults.for_call(call):
            self._wait_unless_stopped(fault.latency)
            if fault.error == "CapacityError":
                raise _JobFailedError(
                    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a "
                    f"different ML instance type than {self._job.instance_type}."
                )
            if fault.error:
                raise _JobFailedError(
                    f"{fault.error}: {fault.message or 'This fault was requested of the local SageMaker.'}"
                )

    def _wait_unless_stopped(self, seconds: float) -> None:
        with self._job.wake:
            self._job.wake.wait_for(lambda: self._job.status is not Status.IN_PROGRESS, timeout=seconds)

    def _prepare(self) -> None:
        folders.make_job_folder(self._folder)
        setting, count = self._settings.setting, self._job.instance_count
        self._network = network_of(count, setting.network, setting.mode)
        self._instances = [
            Instance(self._job, number, self._folder / f"algo-{number}", setting, self._network)
            for number in range(1, count + 1)
        ]
        self._job_instances = JobInstances(self._job, self._instances, closing=self._closing)
        for instance in self._instances:
            instance.prepare()
        s3 = self._settings.client("s3", self._job)
        self._outputs = [Output(s3, target, self._instances) for target in self._job.targets()]

    def _download(self) -> None:
        self._job.enter(Stage.DOWNLOADING)
        s3 = self._settings.client("s3", self._job)
        for source in self._job.sources():
            for index, instance in enumerate(self._instances):
                if self._job.status is Status.STOPPING:
                    return
                shard = storage.Shard(index=index, count=len(self._instances))
                storage.download(s3, source, instance.folder(source.path), shard, role=self._job.role)
        for output in self._outputs:
            output.begin()

    def _execute(self) -> bool:
        """Run the commands to their end, and return whether the time ran out."""
        if self._job.status is Status.STOPPING:
            return False
        self._job.enter(Stage.RUNNING)
        image = self._settings.images.resolve(self._job.image_uri)
        self._job_instances.start(image, self._settings.client("logs", self._job))
        is_late = not self._job_instances.watch(self._job.max_runtime, self._continuous_outputs())
        if is_late:
            self._job.enter(Stage.STOPPING)
        self._job_instances.dismiss(self._settings.stop_grace)
        return is_late

    def _continuous_outputs(self) -> list[Output]:
        return [output for output in self._outputs if output.is_continuous]

    def _end(self, status: Status, reason: str | None) -> None:
        message = b"".join(instance.said_in(self._job.message_file) for instance in self._instances)
        try:
            text = message.decode()
        except UnicodeDecodeError:
            status, text = Status.FAILED, ""
            reason = "ClientError: The file /opt/ml/output/message isn't UTF-8."
        cut = text.encode()[:EXIT_MESSAGE_BYTES].decode("utf-8", "ignore")
        self._job.end(status, failure_reason=reason and reason[:EXIT_MESSAGE_BYTES], exit_message=cut or None)


def _failure(instance: Instance, said: bytes) -> str:
    """Return the FailureReason of a command that failed, with as much of its message as fits."""
    code = f", exit code: {instance.exit_code}"
    head = "AlgorithmError: "
    text = said.decode("utf-8", "replace").strip()
    return head + text[: EXIT_MESSAGE_BYTES - len(head) - len(code)] + code
