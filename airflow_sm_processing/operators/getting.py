"""How a task gets its one job: an earlier try's or a new one, as soon as there is room for it."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import (
    DefinitionError,
    JobExistsError,
    MalformedResponseError,
    ProcessingError,
    TransientError,
)
from airflow_sm_processing.links import LinkedTask
from airflow_sm_processing.operators.bounds import wait_deadline
from airflow_sm_processing.operators.definitions import read_task
from airflow_sm_processing.operators.masking import MaskedEnvironment
from airflow_sm_processing.operators.mode_parameters import read_modes
from airflow_sm_processing.operators.room import bear, is_used_up, lane_of, pause_after
from airflow_sm_processing.processing.aws_calls import is_pressure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from airflow.sdk import Context

    from airflow_sm_processing.hooks.connection import AwsConnection
    from airflow_sm_processing.hooks.processing import ProcessingHook
    from airflow_sm_processing.operators.attempt import Attempt
    from airflow_sm_processing.operators.modes import Modes
    from airflow_sm_processing.operators.release import Release
    from airflow_sm_processing.ownership.claim import Claimed, JobClaim
    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.job import ProcessingJob
    from airflow_sm_processing.triggers.capacity import Refusals
    from airflow_sm_processing.triggers.events import Deadline

__all__ = ["BACKSTOP", "ClaimingTask", "is_deferrable"]

BACKSTOP = timedelta(seconds=30)
"""After a trigger's deadline Airflow itself ends the deferral: no triggerer may be running."""


class ClaimingTask(LinkedTask, MaskedEnvironment):
    """A task that gets a processing job, and lets go of it."""

    own_outputs: Sequence[str] = ()
    """The names of outputs that a task of this kind reads itself when its job has ended."""
    result_files: Any = None
    max_result_file_bytes: Any = None
    inherited: frozenset[str] = frozenset()
    """The parameters that the task has from `default_args`, of those that may contradict others."""
    _job: ProcessingJob | None = None
    _stays = False  # in this worker: the trigger that waited for room has failed
    _killed = False  # told to end, by SIGTERM: which alone doesn't end a task
    _is_stopping = False  # the job, for the task is being ended
    _passes_on = False  # the job: this process submits it, and doesn't wait for it
    _attempt: Attempt | None = None
    _release: Release | None = None

    @property
    def connection(self) -> AwsConnection:
        """Which AWS the task talks to."""
        raise NotImplementedError

    def definition_parameters(self) -> dict[str, Any]:
        """Give the parameters that define the job, by the names of `JobDefinition`'s fields."""
        raise NotImplementedError

    def mode_parameters(self) -> dict[str, Any]:
        """Give the parameters that say how the task waits, by the names of `Modes`' fields."""
        raise NotImplementedError

    @cached_property
    def hook(self) -> ProcessingHook:
        """The hook of the task's connection."""
        return self.connection.hook(self.secrets)

    def _claimed(
        self, context: Context, attempt: Attempt, refusals: Refusals | None
    ) -> tuple[Claimed, Modes, Refusals | None]:
        """Get the one job of the task instance, as soon as there is room for it."""
        from airflow_sm_processing.operators.errors import TaskDefinitionError, UnwantedJobError

        try:
            definition, modes = read_task(self)
            claim = self._claim(definition, modes, attempt)
            while True:
                try:
                    claimed = self._job_of(claim, attempt)
                except TransientError as error:
                    if not is_pressure(error):
                        raise
                    refusals = self._await_room(context, error, refusals, modes)
                else:
                    self._job = claimed.job
                    return claimed, modes, refusals
        except DefinitionError as error:
            raise TaskDefinitionError.of(error, task_id=self.task_id) from error
        except JobExistsError as error:
            raise UnwantedJobError(error.job_name, str(error)) from error

    def _job_of(self, claim: JobClaim, attempt: Attempt) -> Claimed:
        """Get the job; if that breaks off, don't leave one behind that was made unseen."""
        try:
            return claim.job()
        except BaseException as error:  # Airflow's time-out is no Exception
            will_try_again = isinstance(error, TransientError) and is_pressure(error)
            if isinstance(error, MalformedResponseError) and not self._killed:
                self.log.warning("%s A job may have been made; if so, it goes on.", error)
            elif not will_try_again and not self._is_for_next_try(attempt):
                self._stop_unseen(claim)
            raise

    def _is_for_next_try(self, attempt: Attempt) -> bool:
        """Return whether the next try looks for a job that this one may have made."""
        if not self._killed or not attempt.is_followed:
            return attempt.is_followed
        from airflow_sm_processing.operators.attempt import Termination

        is_ended = attempt.termination(within=2.0) is Termination.ENDED
        return not is_ended and self._modes().on_existing_job == "reattach"

    def _stop_unseen(self, claim: JobClaim) -> None:
        try:
            job = claim.unseen_job()
        except ProcessingError as error:  # not raised: see `_stop`
            self.log.error("A job may have been made, and can't be looked for: %s", error)  # noqa: TRY400  # as in `_stop`
            return
        if job is not None:
            self._stop(job)

    def _claim(self, definition: JobDefinition, modes: Modes, attempt: Attempt) -> JobClaim:
        from airflow_sm_processing.ownership.claim import JobClaim

        return JobClaim(
            definition,
            self.hook.session,
            attempt.asking(),
            intents=attempt.intents,
            on_existing_job=modes.on_existing_job,
            is_end=modes.skips_on_exit_of,
            max_transient_seconds=modes.max_transient_seconds,
            may_create=lambda: self._check_still_wanted(attempt),
            sleep=self._sleep_unless_killed,
        )

    def _await_room(self, context: Context, error: TransientError, refusals: Refusals | None, modes: Modes) -> Refusals:
        """Wait until it is worth trying again: in this worker, or deferred."""
        counted = bear(error, refusals, bound=modes.max_capacity_wait)
        deadline = wait_deadline(self, context, max_wait=None)
        if deadline is not None and deadline.seconds_left <= 0:
            from airflow_sm_processing.airflow_compat import AirflowTaskTimeout

            raise AirflowTaskTimeout(f"execution_timeout is over, and there was no room for the job: {error}") from None
        if is_deferrable(modes) and not self._stays:
            self._defer_for_room(counted, modes, deadline, refused_at=time.time() if is_used_up(error) else None)
        self._sleep_unless_killed(pause_after(counted))
        return counted

    def _defer_for_room(
        self, refusals: Refusals, modes: Modes, deadline: Deadline | None, *, refused_at: float | None
    ) -> NoReturn:
        from airflow_sm_processing.triggers.capacity import CapacityTrigger

        room_until = refusals.since + modes.max_capacity_wait
        until = room_until if deadline is None else min(room_until, deadline.at)
        self.defer(
            trigger=CapacityTrigger(
                connection=self._trigger_connection(),
                lane=lane_of(read_task(self)[0]),
                until=until,
                refused_at=refused_at,
                **refusals.to_payload(),
            ),
            method_name="execute_when_there_is_room",
            timeout=timedelta(seconds=max(0.0, until - time.time())) + BACKSTOP,
        )

    def _longest_refused(self) -> Refusals:
        """Give what a wait for room that Airflow itself ended comes to: one more try, and no other wait."""
        from airflow_sm_processing.triggers.capacity import Refusals

        return Refusals(since=time.time() - self._modes().max_capacity_wait)

    def _trigger_connection(self) -> dict[str, Any]:
        return {**self.connection.serialize(), "region_name": self.hook.session.boto_region_name}

    def _check_still_wanted(self, attempt: Attempt) -> None:
        attempt.check_supervisor()
        self._check_not_killed()

    def _sleep_unless_killed(self, seconds: float) -> None:
        time.sleep(seconds)
        self._check_not_killed()

    def _check_not_killed(self) -> None:
        if self._killed:  # SIGTERM alone doesn't end a task
            raise ProcessingError("The task was ended from outside before its job was created.")

    def _modes(self) -> Modes:
        return read_modes(self.mode_parameters())[0]  # their problems were reported before the job was made

    def _let_go(self, job: ProcessingJob, attempt: Attempt) -> None:
        """Stop the job, or leave it to the next try: this process was told to end."""
        if self._release is not None:  # the signal came twice: to the supervisor, which passes it on, and to all
            return
        from airflow_sm_processing.operators.release import Release

        self._release = Release(
            attempt,
            job.job_name,
            passes_on=self._passes_on,
            is_taken_next=self._modes().on_existing_job == "reattach",
            stop=lambda: self._stop(job),
        )
        self._release.begin()

    def _until_let_go(self) -> None:
        """Wait until it is settled what becomes of the job, if this process was told to end: it must not end before."""
        if self._release is not None:
            self._release.wait()

    def _is_left(self) -> bool:
        """Return whether the job was left to others, when that is settled."""
        self._until_let_go()
        return self._release is not None and self._release.is_left

    def _stop(self, job: ProcessingJob) -> None:
        if not self._modes().stop_on_kill:
            self.log.warning("Processing job %s goes on without its task: stop_on_kill=False.", job.job_name)
            return
        try:
            job.stop()
            self._is_stopping = True
        except ProcessingError as error:
            # Not raised: the task is ending already, and its own reason must not be hidden by this one.
            self.log.error(  # noqa: TRY400  # the message has it all
                "Processing job %s may go on, for it could not be stopped: %s", job.job_name, error
            )


def is_deferrable(modes: Modes) -> bool:
    """Tell whether a task waits in the triggerer."""
    if modes.deferrable is not None:
        return modes.deferrable
    from airflow_sm_processing.airflow_compat import conf

    default: bool = conf.getboolean("operators", "default_deferrable", fallback=False)
    return default
