"""The rule of exactly one job: at most one for a task instance, whichever process dies while creating it.

A job's name is known before the job exists, and follows from the task instance alone: `<base>-<digest>-<number>`. So
two processes that create a task instance's job at the same time compete for one name, and SageMaker lets only one of
them have it; and a process that comes later finds what was created. The number is increased when a job has failed, was
stopped, or was created before a user cleared the task.
"""

from __future__ import annotations

import dataclasses
import logging
import time
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from airflow_sm_processing.exceptions import (
    AccessDeniedError,
    JobExistsError,
    JobNameInUseError,
    JobNotFoundError,
    MalformedResponseError,
    TransientError,
)
from airflow_sm_processing.ownership.owner import (
    Claimant,
    Intent,
    JobRelation,
    NoIntents,
    described_owner,
    job_name,
    number_of,
    stem,
    try_of,
)
from airflow_sm_processing.processing.aws_calls import (
    RetryBudget,
    answer_read,
    aws_call,
    jittered,
    new_token,
    readable,
    retry,
    summaries,
)
from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.processing.job import ProcessingJob
from airflow_sm_processing.processing.submission import JobCreator
from airflow_sm_processing.processing.validation import needs_newer_boto3

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing.ownership.owner import Generation, Intents, Owner
    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.session import Session

__all__ = ["Account", "Claimed", "Found", "JobClaim", "Try", "find", "newest"]

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_PAUSE = 5.0  # between two checks of a job that is stopping, which may take some minutes
_STOP_SECONDS = 1800.0


class Account:
    """The AWS account's jobs; calls are retried on transient errors for a bounded time."""

    def __init__(
        self, session: Session, *, max_transient_seconds: float = 0.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.session = session
        self._max_transient_seconds = max_transient_seconds
        self._sleep = sleep

    def description(self, job_name: str) -> JobDescription | None:
        """Return the job's current description; None if there is no job of that name."""
        try:
            return self._answered(self._job(job_name).description)
        except JobNotFoundError:
            return None

    def tags(self, job_arn: str) -> dict[str, str] | None:
        """Return a job's tags; None if reading them is denied."""

        def ask() -> dict[str, str]:
            client = self.session.sagemaker_client
            tags: dict[str, str] = {}
            seen: set[str] = set()
            request: dict[str, Any] = {"ResourceArn": job_arn}
            while True:
                with aws_call("ListTags", job_arn):
                    page = client.list_tags(**request)
                with answer_read("ListTags", job_arn):
                    readable(client, "ListTags", page, "Tags")
                    tags |= {tag["Key"]: tag["Value"] for tag in page["Tags"]}
                    request["NextToken"] = new_token(page.get("NextToken"), seen)
                if request["NextToken"] is None:
                    return tags

        try:
            return self._answered(ask)
        except JobNotFoundError:
            return {}
        except AccessDeniedError as error:
            log.warning("%s Without sagemaker:ListTags, only a job's name and creation time identify its owner.", error)
            return None

    def names_with(self, text: str) -> list[str] | None:
        """Return the names of the latest jobs that have the text in their names; None if listing jobs is denied."""

        def ask() -> list[str]:
            client = self.session.sagemaker_client
            with aws_call("ListProcessingJobs", text):
                answer = client.list_processing_jobs(NameContains=text, SortBy="CreationTime", SortOrder="Descending")
            with answer_read("ListProcessingJobs", text):
                return [summary["ProcessingJobName"] for summary in summaries(client, answer)]

        try:
            return self._answered(ask)
        except AccessDeniedError as error:
            log.warning("%s Without sagemaker:ListProcessingJobs, jobs of earlier tries are found by name.", error)
            return None

    def end(self, job_name: str) -> JobDescription | None:
        """Stop a job, wait for its end, and return its description; None if it no longer exists.

        Raises:
            TransientError: It hasn't ended after half an hour.
        """
        job = self._job(job_name)
        try:
            self._answered(job.stop)
        except JobNotFoundError:
            return None
        budget = RetryBudget(_STOP_SECONDS)
        while True:
            description = self.description(job_name)
            if description is None or description.status.is_terminal:
                return description
            message = f"Processing job {job_name} is {description.status.value}, and its successor waits for its end."
            budget.spend(TransientError(message, operation="StopProcessingJob", code="Stopping"))
            self._sleep(jittered(_PAUSE))

    @property
    def can_delete(self) -> bool:
        """Whether the installed boto3 knows DeleteProcessingJob."""
        return hasattr(self.session.sagemaker_client, "delete_processing_job")

    def delete(self, job_name: str) -> None:
        """Delete the record of a job that has ended, which frees its name; ask `can_delete` first."""

        def ask() -> None:
            with aws_call("DeleteProcessingJob", job_name):
                self.session.sagemaker_client.delete_processing_job(ProcessingJobName=job_name)

        try:
            self._answered(ask)
        except JobNotFoundError:
            log.info("Processing job %s was deleted already.", job_name)

    def _job(self, job_name: str) -> ProcessingJob:
        return ProcessingJob(self.session, job_name, inputs=None, outputs=None)

    def _answered(self, ask: Callable[[], _T]) -> _T:
        return retry(ask, max_seconds=self._max_transient_seconds, sleep=self._sleep)


class Found(NamedTuple):
    """A job under one of the task instance's names."""

    description: JobDescription
    relation: JobRelation
    owner: str | None
    """The owner according to its tags, in words; None if they don't name one."""
    try_number: int | None
    """The number of the try that created it; None if its tags don't have it."""


def find(account: Account, name: str, claimant: Claimant) -> Found | None:
    """Return the job of that name and its owner; None if there is none."""
    description = account.description(name)
    if description is None:
        return None
    tags = account.tags(description.job_arn)
    relation = claimant.relation(
        name,
        tags=tags,
        created_at=description.created_at,
        own_name=number_of(name, claimant.owner.digest) is not None,
    )
    return Found(description, relation, described_owner(tags or {}), try_of(tags or {}))


def newest(account: Account, stem: str, digest: str) -> int | None:
    """Return the highest number of the jobs of the owner with that digest; None if there is no such job.

    It is needed for an Airflow that keeps no intents. If listing jobs is denied, the names are described one by one.
    """
    names = account.names_with(f"-{digest}-")
    if names is not None:
        return max((number for name in names if (number := number_of(name, digest)) is not None), default=None)
    number = 0
    while account.description(job_name(stem, number + 1)) is not None:
        number += 1
    return number or None


_LONGEST_BASE = 40  # of 63 characters; the rest is for the run's time and a map index
_MOST_STRANGERS = 100  # jobs of other owners under our names, which only another Airflow of the same name creates


@dataclasses.dataclass(frozen=True, kw_only=True)
class Try:
    """The try of a task instance that needs a job."""

    owner: Owner
    generation: Generation
    number: int
    """Airflow's try number; before the first try, there is nothing that an earlier try left."""
    run_started: float | None = None
    """When the DAG run was started or restarted, in seconds since the epoch."""


class Claimed(NamedTuple):
    """The one job of a task instance."""

    job: ProcessingJob
    found: JobDescription | None
    """The job as an earlier try, or a concurrent process, left it; None if it was created now."""


class JobClaim:
    """Claims a task instance's job: an earlier try's, or a new one."""

    def __init__(
        self,
        definition: JobDefinition,
        session: Session,
        asking: Try,
        *,
        intents: Intents | None = None,
        on_existing_job: str = "reattach",
        is_end: Callable[[JobDescription], bool] = lambda _: False,
        max_transient_seconds: float = 0.0,
        may_create: Callable[[], None] = lambda: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Set what to create, for which owner, and how to call AWS.

        Args:
            definition: What the user defined; its `job_name`, if it has one, is used unchanged.
            session: The session to create the job with.
            asking: The try that needs the job.
            intents: The store of the task instance's intents.
            on_existing_job: What to do with a job that an earlier try left running or completed: `reattach`, `fail`
                or `new`, which stops it first.
            is_end: Returns whether a failed job ends the task, so that it is taken over like a completed one.
            max_transient_seconds: How many seconds to retry 5xx errors, lost connections and throttling; throttling of
                the creation isn't retried.
            may_create: Called right before a job is created or stopped, or an intent stored; its exceptions end the
                claim.
            sleep: Waits for a number of seconds; its exceptions end the claim.
        """
        self._fixed_name = None if definition.job_name is None else str(definition.job_name)
        self._stem = stem(definition, asking.owner.digest)
        self._asking = asking
        self._intents = intents or NoIntents()
        self._on_existing_job = on_existing_job
        self._is_end = is_end
        self._may_create = may_create
        self._sleep = sleep
        self._account = Account(session, max_transient_seconds=max_transient_seconds, sleep=sleep)
        self._maker = JobCreator(
            definition,
            session,
            upload_key=self._stem,
            max_transient_seconds=max_transient_seconds,
            may_create=may_create,
            sleep=sleep,
        )
        self._number = 1
        self._looked = False
        self._claimant, self._last = self._take_up()
        self._repeated = asking.number > 1 or self._last is not None

    def job(self) -> Claimed:
        """Return the task instance's one job; may be called again after a lack of capacity or throttling.

        Raises:
            DefinitionError: Something is wrong with the definition; nothing was uploaded.
            UploadError: A local file didn't reach S3; no job was created.
            CapacityError: AWS has no capacity for the job; none was created.
            JobExistsError: An earlier try left a job, and `on_existing_job` is `fail`; or the name that the user
                chose belongs to somebody else's job.
            ServiceError: AWS refused or couldn't be reached.
        """
        if not self._looked:
            left = self._left_behind()
            if left is not None and self._is_wanted(left):
                return self._attached(left.description)
            self._looked = True
        for _ in range(_MOST_STRANGERS):
            try:
                return Claimed(self._create(), None)
            except (JobNameInUseError, MalformedResponseError) as error:
                met = self._met(error)
                if met is not None:
                    return met
        raise JobExistsError(self._name, f"Names like {self._name} were in use {_MOST_STRANGERS} times, by other jobs.")

    def _met(self, error: JobNameInUseError | MalformedResponseError) -> Claimed | None:
        """Return the job that has the name already, or was created though the response can't be read; None to retry."""
        is_taken = isinstance(error, JobNameInUseError)
        met = self._find(self._name) if is_taken else self._asked_for(self._account)
        if met is not None and self._is_to_be_taken(met):
            log.info("Processing job %s was created already.", self._name)
            return self._attached(met.description)
        if not is_taken:
            raise error
        if met is None:  # it was deleted, maybe by us, and its name isn't free yet
            self._sleep(jittered(5.0, low=0.1, high=1.0))
        return None

    def unseen_job(self) -> ProcessingJob | None:
        """Return a running job that `job` created but didn't return, because it was interrupted; None if there is none.

        Raises:
            ServiceError: The first call doesn't show whether there is one.
        """
        found = self._asked_for(Account(self._account.session))
        if found is None or found.relation is not JobRelation.OURS or found.description.status.is_terminal:
            return None
        return self._attached(found.description).job

    def _asked_for(self, account: Account) -> Found | None:
        """Return the job whose creation got no response; None if there is none."""
        name = self._maker.unanswered
        return None if name is None else find(account, name, self._claimant)

    # What earlier tries left

    def _take_up(self) -> tuple[Claimant, Intent | None]:
        """Return the claimant, with the claim of an earlier try or a new one, and the last intent."""
        asking, last = self._asking, self._intents.read()
        continued = last is not None and asking.generation.continues(last.generation)
        claim, noted = (last.claim, last.noted) if last is not None and continued else (uuid.uuid4().hex, time.time())
        former: tuple[str, ...] = ()
        if last is not None:
            self._number = last.number
            former = last.former if continued else (*last.former, last.claim)
        claimant = Claimant(
            owner=asking.owner,
            generation=asking.generation,
            run_started=asking.run_started,
            claim=claim if self._intents.available else None,
            noted=noted if self._intents.available else None,
            earlier=None if continued else last,
            former=former,
        )
        return claimant, last

    def _left_behind(self) -> Found | None:
        if self._last is not None:
            return self._find(self._last.job_name)
        if self._intents.available or self._asking.number <= 1:
            return None
        if self._fixed_name is None:
            number = newest(self._account, self._stem, self._asking.owner.digest)
            if number is None:
                return None
            self._number = number
        return self._find(self._name)

    def _find(self, name: str) -> Found | None:
        return find(self._account, name, self._claimant)

    def _is_to_be_taken(self, met: Found) -> bool:
        """Return whether to take a job that already has the name: this try's, or an earlier try's that is wanted."""
        is_this_trys = met.relation is JobRelation.OURS and met.try_number in {None, self._asking.number}
        return is_this_trys or self._is_wanted(met)

    def _is_wanted(self, left: Found) -> bool:
        """Return whether to take the job that an earlier try left; if not, stop it or free the name."""
        if left.relation is not JobRelation.OURS:
            self._leave(left)
            return False
        description = left.description
        if description.status is JobStatus.STOPPING:
            ended = self._account.end(description.job_name)
            if ended is None:
                return False
            left = left._replace(description=ended)
            description = ended
        has_failed = description.status in {JobStatus.FAILED, JobStatus.STOPPED} and not self._is_end(description)
        if has_failed or self._on_existing_job == "new":
            self._leave(left)
            return False
        if self._on_existing_job == "fail":
            message = (
                f"An earlier try left processing job {description.job_name}, which is {description.status.value}, and "
                "on_existing_job is 'fail'. Clear the task to stop it and start another."
            )
            raise JobExistsError(description.job_name, message)
        return True

    def _leave(self, found: Found) -> None:
        """Go on to the next name; stop the job if it is our own, so that it doesn't run beside the next one."""
        description = found.description
        name = description.job_name
        if found.relation is JobRelation.FOREIGN:
            self._pass_by(name, found.owner)
            return
        if not description.status.is_terminal:
            self._may_create()
            log.info("Stopping processing job %s, which this try doesn't use.", name)
            self._account.end(name)
        log.info("Processing job %s is left as it is; a new job replaces it.", name)
        if name == self._fixed_name:
            self._free(name)
        else:
            self._number = max(self._number, number_of(name, self._asking.owner.digest) or self._number) + 1

    def _pass_by(self, name: str, owner: str | None) -> None:
        if self._fixed_name is None:
            log.warning("The name %s is taken by a job of %s.", name, owner or "an unknown owner")
            self._number += 1
            return
        whose = f"belongs to {owner}" if owner else "has no tags that name its owner (or sagemaker:ListTags is denied)"
        message = f"There is a processing job {name} already, which {whose}. {self._how_to_be_unique(name)}"
        raise JobExistsError(name, message)

    def _how_to_be_unique(self, name: str) -> str:
        """Return advice for a name that differs in each run of the task."""
        of_run, of_instance = "-{{ ts_nodash }}", "-{{ ti.map_index }}" if self._asking.owner.map_index >= 0 else ""
        begin = name[:_LONGEST_BASE].rstrip("-")
        return (
            "A name can belong to one job only, so a job_name that stays the same works in one run only. "
            f'Set base_job_name="{begin}" instead, so that each run gets its own name; or make the name '
            f'differ: job_name="{begin}{of_run}{of_instance}".'
        )

    def _free(self, name: str) -> None:
        way_out = "use a job_name that differs by try (`{{ ti.try_number }}`), or none."
        if not self._account.can_delete:
            needed = needs_newer_boto3("DeleteProcessingJob")
            message = f"An earlier job of this task has the name {name}, and deleting its record {needed}. Or {way_out}"
            raise JobExistsError(name, message)
        try:
            self._account.delete(name)
        except AccessDeniedError as error:
            message = (
                f"An earlier job of this task has the name {name}, and deleting its record is denied: {error} Allow "
                f"sagemaker:DeleteProcessingJob, {way_out}"
            )
            raise JobExistsError(name, message) from error
        log.info("Deleted the record of processing job %s, to use its name again.", name)

    def _attached(self, description: JobDescription) -> Claimed:
        log.info("Taking over processing job %s, which is %s.", description.job_name, description.status.value)
        return Claimed(ProcessingJob.from_description(self._account.session, description), description)

    # The new job

    @property
    def _name(self) -> str:
        return self._fixed_name or job_name(self._stem, self._number)

    def _create(self) -> ProcessingJob:
        self._note_intent()
        tags = self._asking.owner.tags(
            try_number=self._asking.number, generation=self._asking.generation, claim=self._claimant.claim
        )
        repeated, self._repeated = self._repeated, True
        submitted = self._maker.make(self._name, tags, repeated=repeated)
        return ProcessingJob.from_submitted(self._account.session, submitted)

    def _note_intent(self) -> None:
        """Store the intent to create the job, so that a later try looks for it."""
        self._join_process_beside()
        self._may_create()
        claimant = self._claimant
        if claimant.claim is None or claimant.noted is None:
            return
        intent = Intent(
            job_name=self._name,
            number=self._number,
            claim=claimant.claim,
            generation=claimant.generation,
            noted=claimant.noted,
            former=claimant.former,
        )
        if intent != self._last and not self._intents.write(intent):
            # With a claim that isn't stored, a later try would take the job for somebody else's.
            self._claimant = dataclasses.replace(claimant, claim=None, noted=None)
        self._last = intent

    def _join_process_beside(self) -> None:
        """Adopt the claim of a concurrent process of this generation, if it stored one first."""
        if self._claimant.claim is None:
            return
        noted = self._intents.read()
        if noted is not None and noted != self._last and self._asking.generation.continues(noted.generation):
            self._claimant = dataclasses.replace(self._claimant, claim=noted.claim, noted=noted.noted)
            self._number = max(self._number, noted.number)
            self._last = noted
