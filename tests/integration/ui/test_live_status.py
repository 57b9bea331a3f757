"""The API server calls SageMaker where the user allows it, and only there."""

from __future__ import annotations

import gc
import json
import re
import socket
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from airflow_sm_processing.exceptions import ProcessingError
from airflow_sm_processing.ownership.owner import Generation, Owner
from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.ui.live_status import JobReference, LiveStatus, with_live_status
from airflow_sm_processing.ui.models import Job
from benchmarks.recorded_jobs import TaskRow, record
from tests.time_limits import HANGS_AFTER_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_sm_processing.local import LocalSageMaker

    from .conftest import Server

OPEN: dict[str, Any] = {"status": "InProgress", "ended_at": None, "duration_seconds": None, "instance_seconds": None}
SCRIPT = "echo told > /opt/ml/output/message"
REQUEST = {
    "RoleArn": "arn:aws:iam::123456789012:role/any",
    "AppSpecification": {
        "ImageUri": "any:1",
        "ContainerEntrypoint": ["sh", "-c", "echo told > /opt/ml/output/message"],
    },
    "ProcessingResources": {
        "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
    },
}


@pytest.fixture
def live_status(sagemaker: LocalSageMaker) -> Iterator[LiveStatus]:
    """On the local SageMaker, by boto3's own configuration."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sagemaker.environment().items():
            patch.setenv(name, value)
        live_status = LiveStatus(timeout=60)
        yield live_status
        live_status.close()


OWNER = Owner(deployment="asking", dag_id="dag", run_id="run", task_id="task")


def recorded(job_name: str, **changes: Any) -> Job:
    """Return a job as its record says it is."""
    task = {"dag_id": "dag", "run_id": "run", "task_id": "task", "map_index": -1, "task_state": None}
    urls = dict.fromkeys(("dag_url", "task_url", "tab_url"), "")
    fields = record(job_name, region="us-east-1", aws_conn_id=None, status_note=None, superseded=False, **task, **urls)
    return Job.model_validate(fields | changes)


@pytest.fixture(autouse=True)
def _deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__SM_PROCESSING__DEPLOYMENT", OWNER.deployment)


def job(name: str) -> JobReference:
    return JobReference(None, "us-east-1", name, OWNER)


def tagged(owner: Owner) -> list[dict[str, str]]:
    tags = owner.tags(try_number=1, generation=Generation(0), claim=None)
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@pytest.fixture(scope="module")
def ended(sagemaker: LocalSageMaker) -> str:
    """The name of a job that has completed."""
    client = sagemaker.client("sagemaker")
    name = f"asked-for-{OWNER.digest}-1"
    client.create_processing_job(ProcessingJobName=name, **REQUEST)
    waiter = client.get_waiter("processing_job_completed_or_stopped")
    waiter.wait(ProcessingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    return name


def test_a_job_gets_its_status_from_sagemaker_but_no_messages(live_status: LiveStatus, ended: str):
    it = recorded(ended, **OPEN, started_at=None)
    (shown,) = live_status.refresh([it])
    assert (shown.status, shown.status_note) == (
        "Completed",
        "Current status from SageMaker; the task last recorded InProgress.",
    )
    assert shown.exit_message is None
    assert shown.ended_at >= shown.started_at >= shown.created_at > it.submitted_at
    assert shown.instance_seconds == shown.duration_seconds >= 0


OTHER = Owner(deployment="asking", dag_id="dag", run_id="run", task_id="another")
REFUSAL = "neither its tags nor its name show that it belongs to this task instance"


@pytest.mark.parametrize(
    ("name", "owner", "is_owned"),
    [
        ("fixed-name", OWNER, True),
        ("fixed-name-of-another", OTHER, False),
        ("nobodys-job", None, False),
        (f"of-another-{OTHER.digest}-1", None, False),
        (f"by-its-name-{OWNER.digest}-1", None, True),
        (f"tags-outweigh-the-name-{OWNER.digest}-1", OTHER, False),
    ],
)
def test_a_record_gives_no_access_to_a_job(
    live_status: LiveStatus, sagemaker: LocalSageMaker, name: str, owner: Owner | None, is_owned: bool
):
    client = sagemaker.client("sagemaker")
    specification = {**REQUEST["AppSpecification"], "ContainerEntrypoint": ["sleep", "600"]}
    tags = {} if owner is None else {"Tags": tagged(owner)}
    client.create_processing_job(ProcessingJobName=name, **{**REQUEST, "AppSpecification": specification}, **tags)
    try:
        it = recorded(name, **OPEN)
        (shown,) = live_status.refresh([it])
        if is_owned:
            assert shown.status_note is None
            live_status.stop(JobReference.of(it))
        else:
            assert REFUSAL in shown.status_note
            assert shown.model_copy(update={"status_note": None}) == it
            with pytest.raises(ProcessingError, match=REFUSAL):
                live_status.stop(JobReference.of(it))
        status = client.describe_processing_job(ProcessingJobName=name)["ProcessingJobStatus"]
        assert (status == "InProgress") is not is_owned
    finally:
        with suppress(ClientError):  # it may have ended by now
            client.stop_processing_job(ProcessingJobName=name)


def test_an_error_becomes_a_note(live_status: LiveStatus):
    absent, nowhere = job("absent"), JobReference(None, "no region", "absent", OWNER)
    answers = live_status.describe([absent, nowhere])
    assert "Could not find requested job with name: absent" in str(answers[absent])
    assert "Provided region_name 'no region' doesn't match a supported format" in str(answers[nowhere])
    it = recorded("absent", **OPEN, status_note="Not known.")
    note = "Not known. SageMaker hasn't responded yet."
    assert with_live_status(it, "SageMaker hasn't responded yet.") == it.model_copy(update={"status_note": note})


def test_a_broken_connection_becomes_a_note(live_status: LiveStatus, monkeypatch: pytest.MonkeyPatch):
    extra = {"role_arn": "arn:aws:iam::123456789012:role/any", "assume_role_method": "unheard_of"}
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", json.dumps({"conn_type": "aws", "extra": extra}))
    reference = JobReference("broken", "us-east-1", "any", OWNER)
    note = "Could not call SageMaker (NotImplementedError). See the API server's log for details."
    assert live_status.describe([reference]) == {reference: note}
    with pytest.raises(ProcessingError, match=re.escape(note)):
        live_status.stop(reference)


def test_an_ended_job_is_not_described(live_status: LiveStatus):
    it = recorded("absent")
    assert live_status.refresh([it]) == [it]


def test_a_description_is_cached_for_some_seconds(live_status: LiveStatus, ended: str, sagemaker: LocalSageMaker):
    now = [0.0]
    live_status.clock = lambda: now[0]
    first = live_status.describe([job(ended)])[job(ended)]
    now[0] = 4.0
    assert live_status.describe([job(ended)])[job(ended)] is first
    now[0] = 6.0
    again = live_status.describe([job(ended)])[job(ended)]
    assert again is not first
    assert again.status is JobStatus.COMPLETED


def test_at_most_twenty_jobs_are_described_at_once(live_status: LiveStatus):
    jobs = [job(f"absent-{number}") for number in range(25)]
    assert list(live_status.describe(jobs)) == jobs[:20]


def test_at_most_twenty_sessions_are_cached(live_status: LiveStatus):
    made = [live_status._sessions.job(JobReference(None, f"us-east-{number}", "a", OWNER)) for number in range(30)]
    sessions = [weakref.ref(each.sagemaker_session) for each in made]
    assert live_status._sessions.job(JobReference(None, "us-east-29", "b", OWNER)).sagemaker_session is sessions[-1]()
    del made
    gc.collect()
    assert [session() is not None for session in sessions] == [False] * 10 + [True] * 20


@contextmanager
def silent_sagemaker() -> Iterator[socket.socket]:
    """A server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def was_called(listener: socket.socket, *, within: float) -> bool:
    listener.settimeout(within)
    try:
        listener.accept()[0].close()
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("asks", ["False", "True"])
def test_aws_is_called_only_where_the_user_allows_it(server_factory: Callable[..., Server], asks: str):
    with silent_sagemaker() as listener:
        extra = {
            "AIRFLOW__SM_PROCESSING__ASK_SAGEMAKER": asks,
            "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{listener.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "placeholder",
            "AWS_SECRET_ACCESS_KEY": "placeholder",
        }
        row = TaskRow(dag_id="dag", run_id="one", state="running", xcoms={"_job": record("runs", **OPEN)})
        server = server_factory([row], **extra)
        page = server.get("/api/jobs")
        shown = server.get("/api/dags/dag/job", run_id="one", task_id="preprocess")
        called = was_called(listener, within=HANGS_AFTER_SECONDS if asks == "True" else 0.5)
        assert (page["asks_sagemaker"], called) == ((True, True) if asks == "True" else (False, False))
    note = "SageMaker hasn't responded yet." if asks == "True" else None
    assert [page["jobs"][0]["status_note"], shown["job"]["status_note"]] == [note, note]
    assert shown["stop"]["how"] == ("sagemaker" if asks == "True" else "task")
