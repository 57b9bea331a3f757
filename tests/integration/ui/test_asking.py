"""The API server asks SageMaker where the user lets it, and only there."""

from __future__ import annotations

import gc
import json
import socket
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from airflow_sm_processing.exceptions import ProcessingError
from airflow_sm_processing.ownership.owner import Life, Owner
from airflow_sm_processing.processing.description import JobStatus
from airflow_sm_processing.ui.asking import AskedJob, Asker, told
from benchmarks.recorded_jobs import TaskRow, record

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
def asker(sagemaker: LocalSageMaker) -> Iterator[Asker]:
    """On the local SageMaker, by boto3's own configuration."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sagemaker.environment().items():
            patch.setenv(name, value)
        asker = Asker(patience=60)
        yield asker
        asker.close()


OWNER = Owner(deployment="asking", dag_id="dag", run_id="run", task_id="task")
PLACE = {"dag_id": "dag", "run_id": "run", "task_id": "task", "map_index": -1}


@pytest.fixture(autouse=True)
def _deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__SM_PROCESSING__DEPLOYMENT", OWNER.deployment)


def job(name: str) -> AskedJob:
    return AskedJob(None, "us-east-1", name, OWNER)


def tagged(owner: Owner) -> list[dict[str, str]]:
    tags = owner.tags(try_number=1, life=Life(0), claim=None)
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


def test_a_record_is_brought_up_to_date_but_for_its_texts(asker: Asker, ended: str):
    it = record(ended, **OPEN, **PLACE, region="us-east-1", aws_conn_id=None, status_note=None, started_at=None)
    (shown,) = asker.brought_up_to_date([it])
    assert (shown["status"], shown["status_note"]) == ("Completed", "SageMaker says so; recorded is InProgress.")
    assert shown["exit_message"] is None
    assert shown["ended_at"] >= shown["started_at"] >= shown["created_at"] > it["submitted_at"]
    assert shown["instance_seconds"] == shown["duration_seconds"] >= 0


OTHER = Owner(deployment="asking", dag_id="dag", run_id="run", task_id="another")
REFUSAL = "neither its tags nor its name say that it belongs to this task instance"


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
def test_a_record_is_no_authority_over_a_job(
    asker: Asker, sagemaker: LocalSageMaker, name: str, owner: Owner | None, is_owned: bool
):
    client = sagemaker.client("sagemaker")
    specification = {**REQUEST["AppSpecification"], "ContainerEntrypoint": ["sleep", "600"]}
    tags = {} if owner is None else {"Tags": tagged(owner)}
    client.create_processing_job(ProcessingJobName=name, **{**REQUEST, "AppSpecification": specification}, **tags)
    try:
        it = record(name, **OPEN, **PLACE, region="us-east-1", aws_conn_id=None, status_note=None)
        (shown,) = asker.brought_up_to_date([it])
        if is_owned:
            assert shown["status_note"] is None
            asker.stop(AskedJob.of_record(it))
        else:
            assert REFUSAL in shown["status_note"]
            assert {**shown, "status_note": None} == it
            with pytest.raises(ProcessingError, match=REFUSAL):
                asker.stop(AskedJob.of_record(it))
        status = client.describe_processing_job(ProcessingJobName=name)["ProcessingJobStatus"]
        assert (status == "InProgress") is not is_owned
    finally:
        with suppress(ClientError):  # it may have ended by now
            client.stop_processing_job(ProcessingJobName=name)


def test_what_is_not_known_becomes_a_note(asker: Asker):
    absent, nowhere = job("absent"), AskedJob(None, "no region", "absent", OWNER)
    answers = asker.ask([absent, nowhere])
    assert "Could not find requested job with name: absent" in str(answers[absent])
    assert "Provided region_name 'no region' doesn't match a supported format" in str(answers[nowhere])
    it = record("absent", **OPEN, status_note="Not known.")
    assert told(it, "SageMaker hasn't answered yet.") == {
        **it,
        "status_note": "Not known. SageMaker hasn't answered yet.",
    }


def test_a_connection_that_is_broken_becomes_a_note(asker: Asker, monkeypatch: pytest.MonkeyPatch):
    extra = {"role_arn": "arn:aws:iam::123456789012:role/any", "assume_role_method": "unheard_of"}
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", json.dumps({"conn_type": "aws", "extra": extra}))
    asked = AskedJob("broken", "us-east-1", "any", OWNER)
    note = "SageMaker couldn't be asked: NotImplementedError. The API server's log says more."
    assert asker.ask([asked]) == {asked: note}
    with pytest.raises(ProcessingError, match=note.replace(".", r"\.")):
        asker.stop(asked)


def test_an_ended_job_is_not_asked_for(asker: Asker):
    it = record("absent", **PLACE, status_note=None, region="us-east-1", aws_conn_id=None)
    assert asker.brought_up_to_date([it]) == [it]


def test_an_answer_is_kept_for_some_seconds(asker: Asker, ended: str, sagemaker: LocalSageMaker):
    now = [0.0]
    asker.clock = lambda: now[0]
    first = asker.ask([job(ended)])[job(ended)]
    now[0] = 4.0
    assert asker.ask([job(ended)])[job(ended)] is first
    now[0] = 6.0
    again = asker.ask([job(ended)])[job(ended)]
    assert again is not first
    assert again.status is JobStatus.COMPLETED


def test_no_more_than_twenty_jobs_are_asked_for_at_once(asker: Asker):
    jobs = [job(f"absent-{number}") for number in range(25)]
    assert list(asker.ask(jobs)) == jobs[:20]


def test_connections_that_records_name_do_not_pile_up(asker: Asker):
    made = [asker._sessions.job(AskedJob(None, f"us-east-{number}", "a", OWNER)) for number in range(30)]
    sessions = [weakref.ref(each.sagemaker_session) for each in made]
    assert asker._sessions.job(AskedJob(None, "us-east-29", "b", OWNER)).sagemaker_session is sessions[-1]()
    del made
    gc.collect()
    assert [session() is not None for session in sessions] == [False] * 10 + [True] * 20


@contextmanager
def deaf_sagemaker() -> Iterator[socket.socket]:
    """Listens and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.5)
        yield listener


def was_called(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("asks", ["False", "True"])
def test_without_the_users_leave_nothing_of_aws_is_called(server_factory: Callable[..., Server], asks: str):
    with deaf_sagemaker() as listener:
        extra = {
            "AIRFLOW__SM_PROCESSING__ASK_SAGEMAKER": asks,
            "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{listener.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "made-up",
            "AWS_SECRET_ACCESS_KEY": "made-up",
        }
        row = TaskRow(dag_id="dag", run_id="one", state="running", xcoms={"_job": record("runs", **OPEN)})
        server = server_factory([row], **extra)
        page = server.get("/api/jobs")
        shown = server.get("/api/dags/dag/job", run_id="one", task_id="preprocess")
        assert (page["asks_sagemaker"], was_called(listener)) == ((True, True) if asks == "True" else (False, False))
    note = "SageMaker hasn't answered yet." if asks == "True" else None
    assert [page["jobs"][0]["status_note"], shown["job"]["status_note"]] == [note, note]
    assert shown["stop"]["how"] == ("sagemaker" if asks == "True" else "task")
