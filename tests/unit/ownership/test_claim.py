"""One job for a task instance, whatever its tries leave behind."""

from __future__ import annotations

import dataclasses
import logging
import re
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from airflow_sm_processing.exceptions import (
    AccessDeniedError,
    CapacityError,
    JobExistsError,
    ProcessingError,
    TransientError,
)
from airflow_sm_processing.ownership.claim import Account
from airflow_sm_processing.ownership.owner import Generation

from .sagemaker import RefusedError, SageMaker
from .task import DEFINITION, OWNER, Notes, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing.ownership.claim import Claimed

STEM = f"sklearn-{OWNER.digest}"


class CrashError(Exception):
    """The process is gone."""


@pytest.fixture
def account() -> SageMaker:
    """An empty account."""
    return SageMaker(time.time)


@pytest.fixture(params=[True, False], ids=["noted", "from names and tags"])
def task(account: SageMaker, request: pytest.FixtureRequest) -> Task:
    """A task instance, on an Airflow that keeps notes between tries and on one that doesn't."""
    return Task(account, Notes(available=request.param, writable=request.param))


def crash() -> None:
    raise CrashError


def test_a_jobs_name_follows_from_the_task_and_its_tags_say_whose_it_is(account: SageMaker, task: Task) -> None:
    claimed = task.job()
    assert (claimed.job.job_name, claimed.found) == (f"{STEM}-1", None)
    tags = account.tags(f"{STEM}-1")
    claim = tags.pop("airflow:claim", None)
    assert bool(re.fullmatch("[0-9a-f]{32}", claim or "")) is task.notes.available
    assert tags == {
        "airflow:life": "2/0/00-a-b-01",
        "airflow:deployment": "https://airflow",
        "airflow:dag-id": "a_dag",
        "airflow:run-id": "a_run",
        "airflow:task-id": "a_task",
        "airflow:map-index": "-1",
        "airflow:try-number": "1",
    }


def test_the_first_try_asks_nothing_but_to_create(account: SageMaker, task: Task) -> None:
    task.job()
    assert account.calls == ["CreateProcessingJob"]


@pytest.mark.parametrize("status", ["InProgress", "Completed"])
def test_a_retry_takes_over_what_the_last_try_left(account: SageMaker, task: Task, status: str) -> None:
    task.job()
    account.end(f"{STEM}-1", status)
    task.retry()
    job, found = task.job()
    assert (job.job_name, job.job_arn, found and found.status.value) == (
        f"{STEM}-1", account.jobs[f"{STEM}-1"]["ProcessingJobArn"], status,
    )  # fmt: skip
    assert account.made == [f"{STEM}-1"]


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_retry_after_a_job_that_failed_makes_the_next(account: SageMaker, task: Task, status: str) -> None:
    for number in range(1, 4):
        assert task.job().job.job_name == f"{STEM}-{number}"
        account.end(f"{STEM}-{number}", status)
        task.retry()


def test_a_job_that_is_stopping_is_waited_for_and_replaced(account: SageMaker, task: Task) -> None:
    task.job()
    account.end(f"{STEM}-1", "Stopping")
    task.retry()
    assert task.job().job.job_name == f"{STEM}-2"
    assert account.running == [f"{STEM}-2"]


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("status", ["InProgress", "Completed", "Failed", "Stopped"])
def test_after_a_clear_there_is_always_a_new_job_and_the_old_one_ends(
    account: SageMaker, task: Task, status: str, running: bool
) -> None:
    task.job()
    account.end(f"{STEM}-1", status)
    task.clear(running=running)
    assert new(task.job()) == f"{STEM}-2"
    assert account.running == [f"{STEM}-2"]


@pytest.mark.parametrize("status", ["InProgress", "Completed"])
def test_a_clear_that_leaves_the_run_as_it_is_is_a_clear_too(account: SageMaker, task: Task, status: str) -> None:
    task.job()
    account.end(f"{STEM}-1", status)
    task.clear_but_not_its_run()
    assert new(task.job()) == f"{STEM}-2"
    assert account.running == [f"{STEM}-2"]


def new(claimed: Claimed) -> str | None:
    """Return the name of a job that was made now."""
    return claimed.job.job_name if claimed.found is None else None


def test_a_retry_after_a_clear_goes_on_with_the_job_of_the_clear(account: SageMaker, task: Task) -> None:
    task.job()
    task.clear()
    task.job()
    task.retry()
    assert task.job().job.job_name == f"{STEM}-2"
    assert len(account.made) == 2


def test_a_clear_of_another_task_takes_nothing_away(account: SageMaker, task: Task) -> None:
    task.job()
    task.other_is_cleared()
    task.retry()
    assert task.job().job.job_name == f"{STEM}-1"
    assert account.running == [f"{STEM}-1"]


def test_without_traces_a_clear_of_another_task_may_be_one_of_this(account: SageMaker, task: Task) -> None:
    task.generation = Generation(2, 0)
    task.job()
    task.other_is_cleared()
    task.retry()
    assert task.job().job.job_name == f"{STEM}-2"
    assert account.running == [f"{STEM}-2"]


@pytest.mark.parametrize("lost", [False, True], ids=["before the call", "after it"])
def test_a_process_that_dies_at_the_create_call_leaves_no_second_job(
    account: SageMaker, task: Task, lost: bool
) -> None:
    if lost:
        account.loses.append("CreateProcessingJob")
        with pytest.raises(TransientError):
            task.job()
    else:
        with pytest.raises(CrashError):
            task.job(may_create=crash)
    task.retry()
    assert task.job().job.job_name == f"{STEM}-1"
    assert account.made == [f"{STEM}-1"]


def test_a_lost_answer_is_asked_for_again(account: SageMaker, task: Task) -> None:
    account.loses.append("CreateProcessingJob")
    assert task.job(max_transient_seconds=60).job.job_name == f"{STEM}-1"
    assert (account.made, len(task.slept)) == ([f"{STEM}-1"], 1)


def test_a_job_whose_creation_was_never_answered_is_found_by_who_gives_up(account: SageMaker, task: Task) -> None:
    account.loses.append("CreateProcessingJob")
    claim = task.claim()
    assert claim.unseen_job() is None
    with pytest.raises(TransientError):
        claim.job()
    unseen = claim.unseen_job()
    assert unseen is not None
    assert unseen.job_name == f"{STEM}-1"
    account.end(f"{STEM}-1", "Completed")
    assert claim.unseen_job() is None


def test_a_job_that_was_refused_is_not_looked_for(account: SageMaker, task: Task) -> None:
    account.refusals.append(("CreateProcessingJob", RefusedError("AccessDeniedException", "no")))
    claim = task.claim()
    with pytest.raises(AccessDeniedError):
        claim.job()
    assert claim.unseen_job() is None
    assert account.calls == ["CreateProcessingJob"]


def test_a_name_that_is_not_free_at_once_is_waited_for(account: SageMaker) -> None:
    task = Task(account, definition=dataclasses.replace(DEFINITION, job_name="mine"))
    task.job()
    account.end("mine", "Failed")
    task.retry()
    account.refusals += [("CreateProcessingJob", RefusedError("ResourceInUse"))] * 3
    assert new(task.job()) == "mine"
    assert len(task.slept) == 3


def test_of_two_processes_at_once_one_makes_the_job(account: SageMaker, task: Task) -> None:
    late = task.claim()  # has looked, and is held up before it notes what it is about to do
    task.retry()
    assert new(task.job()) == late.job().job.job_name
    assert account.made == [f"{STEM}-1"]


def test_a_job_made_by_the_old_life_meanwhile_is_stopped(account: SageMaker, task: Task) -> None:
    old = task.claim(may_create=lambda: None)
    old._note_intent()  # the old process gets that far, and is held up
    task.clear()
    account.before["CreateProcessingJob"] = old._create  # its call arrives first
    assert task.job().job.job_name == f"{STEM}-2"
    assert account.running == [f"{STEM}-2"]


def test_nothing_stale_of_a_run_that_was_deleted_and_began_again(account: SageMaker, task: Task) -> None:
    task.job()
    account.end(f"{STEM}-1", "Completed")
    account.jobs[f"{STEM}-1"]["CreationTime"] -= 86_400
    task.notes.kept = None
    task.generation = dataclasses.replace(task.generation, trace="00-c-d-01")
    task.run_started = time.time() - 1
    assert new(task.job()) == f"{STEM}-2"


def test_another_airflow_of_the_same_names_is_another_owner(account: SageMaker) -> None:
    theirs = Task(account, generation=Generation(2, 0, "00-c-d-01"))
    theirs.job()
    ours = Task(account)
    assert new(ours.job()) == f"{STEM}-2"
    ours.retry()
    assert ours.job().job.job_name == f"{STEM}-2"
    assert account.running == [f"{STEM}-1", f"{STEM}-2"]


@pytest.mark.parametrize("field", ["deployment", "dag_id", "run_id", "task_id", "map_index"])
def test_each_task_instance_has_names_of_its_own(field: str) -> None:
    value: Any = 3 if field == "map_index" else "other"
    assert dataclasses.replace(OWNER, **{field: value}).digest != OWNER.digest


# What the user wants with what is there


@pytest.mark.parametrize("status", ["InProgress", "Completed"])
def test_fail_fails_for_what_an_earlier_try_left(account: SageMaker, task: Task, status: str) -> None:
    task.job()
    account.end(f"{STEM}-1", status)
    task.retry()
    with pytest.raises(JobExistsError, match=f"{STEM}-1, which is {status}, and on_existing_job is 'fail'"):
        task.job(on_existing_job="fail")


@pytest.mark.parametrize("status", ["InProgress", "Completed"])
def test_new_stops_what_an_earlier_try_left(account: SageMaker, task: Task, status: str) -> None:
    task.job()
    account.end(f"{STEM}-1", status)
    task.retry()
    assert new(task.job(on_existing_job="new")) == f"{STEM}-2"
    assert account.running == [f"{STEM}-2"]


@pytest.mark.parametrize("choice", ["fail", "new"])
def test_a_lost_answer_is_no_existing_job(account: SageMaker, task: Task, choice: str) -> None:
    account.loses.append("CreateProcessingJob")
    assert task.job(on_existing_job=choice, max_transient_seconds=60).job.job_name == f"{STEM}-1"


# Names that the user fixed


def fixed(task: Task) -> Task:
    task.definition = dataclasses.replace(DEFINITION, job_name="nightly")
    return task


def test_a_fixed_name_is_used_as_it_is_and_taken_over_by_a_retry(account: SageMaker, task: Task) -> None:
    fixed(task).job()
    task.retry()
    assert task.job().found is not None
    assert account.made == ["nightly"]


@pytest.mark.parametrize("again", [Task.retry, Task.clear])
def test_a_fixed_name_is_freed_for_the_next_job(account: SageMaker, task: Task, again: Callable[[Task], None]) -> None:
    fixed(task).job()
    account.end("nightly", "Failed")
    again(task)
    assert new(task.job()) == "nightly"
    assert (account.made, account.running) == (["nightly", "nightly"], ["nightly"])


def test_where_a_name_cannot_be_freed_the_error_says_what_to_do(account: SageMaker, task: Task) -> None:
    fixed(task).job()
    account.end("nightly", "Failed")
    task.retry()
    account.refusals.append(("DeleteProcessingJob", RefusedError("AccessDeniedException")))
    with pytest.raises(JobExistsError, match=r"Allow sagemaker:DeleteProcessingJob, use a job_name that differs"):
        task.job()


def test_where_boto3_cannot_free_a_name_the_error_says_which_one_can(
    account: SageMaker, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DeleteProcessingJob is younger than the oldest boto3 that is supported."""
    fixed(task).job()
    account.end("nightly", "Failed")
    task.retry()
    monkeypatch.setattr(Account, "can_delete", False)
    expected = (
        "An earlier job of this task has the name nightly, and deleting its record needs boto3 1.40.61 or newer; "
        f"boto3 {boto3.__version__} is installed. Or use a job_name that differs by try"
    )
    with pytest.raises(JobExistsError, match=re.escape(expected)):
        task.job()
    assert (account.made, account.calls.count("DeleteProcessingJob")) == (["nightly"], 0)


@pytest.mark.parametrize(
    ("tags", "whose"),
    [
        ([], "has no tags that name its owner (or sagemaker:ListTags is denied)"),
        (
            [
                {"Key": f"airflow:{key}", "Value": value}
                for key, value in [
                    ("dag-id", "their_dag"), ("run-id", "r"), ("task-id", "t"), ("map-index", "4"), ("deployment", "d"),
                ]
            ],
            "belongs to task t[4] of DAG their_dag, run r, on d",
        ),
    ],
)  # fmt: skip
def test_a_fixed_name_of_somebody_elses_job_is_an_error_that_names_them(
    account: SageMaker, task: Task, tags: list[dict[str, str]], whose: str
) -> None:
    fixed(task)
    account.session().sagemaker_client.create_processing_job(
        ProcessingJobName="nightly",
        RoleArn="arn:aws:iam::123456789012:role/R",
        AppSpecification={"ImageUri": "image"},
        ProcessingResources={"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}},
        Tags=tags,
    )
    with pytest.raises(JobExistsError, match=re.escape(f"There is a processing job nightly already, which {whose}.")):
        task.job()
    assert account.running == ["nightly"]


@pytest.mark.parametrize(
    ("map_index", "template"), [(-1, "nightly-{{ ts_nodash }}"), (3, "nightly-{{ ts_nodash }}-{{ ti.map_index }}")]
)
def test_a_fixed_name_of_an_earlier_run_is_an_error_that_says_how_to_be_unique(
    account: SageMaker, map_index: int, template: str
) -> None:
    definition = dataclasses.replace(DEFINITION, job_name="nightly")
    earlier, later = (
        Task(account, owner=dataclasses.replace(OWNER, run_id=run, map_index=map_index), definition=definition)
        for run in ("earlier", "later")
    )
    earlier.job()
    account.end("nightly", "Completed")
    with pytest.raises(JobExistsError) as caught:
        later.job()
    message = str(caught.value)
    assert "There is a processing job nightly already, which belongs to task" in message
    assert "run earlier" in message
    assert 'base_job_name="nightly"' in message
    assert f'job_name="{template}"' in message


# Where something is forbidden or out of order


def test_a_policy_that_forbids_tags_costs_a_warning(
    account: SageMaker, task: Task, caplog: pytest.LogCaptureFixture
) -> None:
    task.definition = dataclasses.replace(DEFINITION, tags=[{"Key": "team", "Value": "a"}])
    refusal = RefusedError(
        "AccessDeniedException", "User x is not authorized to perform: sagemaker:AddTags on resource y"
    )
    account.refusals.append(("CreateProcessingJob", refusal))
    task.job()
    assert account.tags(f"{STEM}-1") == {"team": "a"}
    assert [record.levelname for record in caplog.records if record.levelno > logging.INFO] == ["WARNING"]
    task.retry()
    assert task.job().found is not None
    account.end(f"{STEM}-1", "Completed")
    task.clear()
    if task.notes.available:  # else nothing tells an older job from this life's
        assert new(task.job()) == f"{STEM}-2"


def test_another_denial_is_an_error(account: SageMaker, task: Task) -> None:
    account.refusals.append(("CreateProcessingJob", RefusedError("AccessDeniedException", "iam:PassRole on R")))
    with pytest.raises(AccessDeniedError, match="iam:PassRole"):
        task.job()
    assert account.made == []


def test_the_users_tags_stay_and_ours_fill_what_is_left(
    account: SageMaker, task: Task, caplog: pytest.LogCaptureFixture
) -> None:
    users = [{"Key": f"k{number}", "Value": "v"} for number in range(47)]
    task.definition = dataclasses.replace(DEFINITION, tags=[*users, {"Key": "airflow:dag-id", "Value": "mine"}])
    task.job()
    tags = account.tags(f"{STEM}-1")
    assert (len(tags), tags["airflow:dag-id"]) == (50, "mine")
    assert "A job can have 50 tags, and the task sets 48" in caplog.text


@pytest.mark.parametrize("operation", ["ListTags", "ListProcessingJobs"])
def test_what_may_not_be_listed_is_known_by_name(account: SageMaker, task: Task, operation: str) -> None:
    task.job()
    account.end(f"{STEM}-1", "Failed")
    task.retry()
    task.job()
    task.retry()
    account.refusals += [(operation, RefusedError("AccessDeniedException"))] * 9
    job, found = task.job()
    assert (job.job_name, found is not None) == (f"{STEM}-2", True)


def test_notes_that_cannot_be_written_leave_it_to_names_and_tags(account: SageMaker) -> None:
    task = Task(account, Notes(writable=False))
    task.job()
    assert "airflow:claim" not in account.tags(f"{STEM}-1")
    task.retry()
    task.notes = Notes()  # they work again, and know nothing
    assert task.job().job.job_name == f"{STEM}-1"
    assert account.made == [f"{STEM}-1"]


def test_a_process_that_may_not_speak_for_its_task_makes_no_job(account: SageMaker, task: Task) -> None:
    def refuse() -> None:
        raise ProcessingError("no supervisor")

    with pytest.raises(ProcessingError, match="no supervisor"):
        task.job(may_create=refuse)
    assert account.made == []


@pytest.mark.parametrize("code", ["ResourceLimitExceeded", "ThrottlingException"])
def test_no_room_is_told_at_once_and_the_claim_goes_on_later(account: SageMaker, task: Task, code: str) -> None:
    account.refusals.append(("CreateProcessingJob", RefusedError(code)))
    claim = task.claim(max_transient_seconds=60)
    with pytest.raises(CapacityError if code == "ResourceLimitExceeded" else TransientError):
        claim.job()
    assert new(claim.job()) == f"{STEM}-1"
    assert task.slept == []


@pytest.mark.parametrize("base", ["x" * 80, "a_b.c", "-"])
def test_names_are_legal_and_keep_the_digest(account: SageMaker, task: Task, base: str) -> None:
    task.definition = dataclasses.replace(DEFINITION, base_job_name=base)
    name = task.job().job.job_name
    assert re.fullmatch(rf"[a-zA-Z0-9](-*[a-zA-Z0-9]){{0,62}}-{OWNER.digest}-1", name)
    assert len(name) <= 63
