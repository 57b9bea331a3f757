"""Tries of a task that upload, on the local SageMaker: what its jobs read, and what was written for it."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing.exceptions import UploadError
from tests.waiting import wait_until

from . import submitting
from .submitting import submit_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_sm_processing.local import LocalSageMaker

FILES = 200


class Account:
    """What the account holds of one task's tries: a bucket that keeps each version, so how often a key was written."""

    def __init__(self, sagemaker: LocalSageMaker) -> None:
        self.set_faults = sagemaker.set_faults
        self.task = f"task-{uuid.uuid4().hex}"
        self._s3 = sagemaker.client("s3")
        self._sagemaker = sagemaker.client("sagemaker")
        self._s3.create_bucket(Bucket=self.task)
        self._s3.put_bucket_versioning(Bucket=self.task, VersioningConfiguration={"Status": "Enabled"})

    def name(self, number: int) -> str:
        """Return the name of one of the task's jobs."""
        return f"{self.task}-{number}"

    def written(self) -> Counter[str]:
        """How often each key was written."""
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self.task, Prefix=f"{self.task}/input/")
        return Counter(item["Key"] for page in pages for item in page.get("Versions", ()))

    def jobs(self) -> list[str]:
        """Name the jobs of the task."""
        summaries = self._sagemaker.list_processing_jobs(NameContains=self.task)["ProcessingJobSummaries"]
        return [summary["ProcessingJobName"] for summary in summaries]

    def read_by(self, number: int) -> dict[str, str]:
        """What the job found in its input."""
        name = self.name(number)
        describe = partial(self._sagemaker.describe_processing_job, ProcessingJobName=name)
        wait_until(lambda: describe()["ProcessingJobStatus"] != "InProgress", shows=describe)
        job = describe()
        assert job["ProcessingJobStatus"] == "Completed", job
        body = self._s3.get_object(Bucket=self.task, Key=f"{name}/output/read/read.json")["Body"].read()
        return dict(json.loads(body))


@pytest.fixture
def account(sagemaker: LocalSageMaker, monkeypatch: pytest.MonkeyPatch, bare_environment: None) -> Iterator[Account]:
    """Talk to the local SageMaker, and take faults back afterwards."""
    for name, value in sagemaker.environment().items():
        monkeypatch.setenv(name, value)
    yield Account(sagemaker)
    sagemaker.set_faults()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    root.mkdir()
    for number in range(FILES):
        (root / f"{number:03}").write_text(f"first {number}")
    return root


def content_of(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def change(folder: Path) -> None:
    """Leave a file out, add one, and change one without changing its length."""
    (folder / "001").unlink()
    (folder / "new").write_text("new")
    (folder / "000").write_text("other 0")
    assert len("other 0") == len("first 0")


def test_tries_with_the_same_content_read_what_was_written_once(account: Account, folder: Path) -> None:
    first = submit_folder(folder, account.task, account.name(1))
    second = submit_folder(folder, account.task, account.name(2), repeated=True)

    assert first.plan.inputs == second.plan.inputs
    assert sorted(account.written().values()) == [1] * FILES
    assert account.read_by(1) == account.read_by(2) == content_of(folder)


@pytest.mark.parametrize("listing", [[], ["s3:ListObjectsV2:error=AccessDenied,status=403,times=1"]])
@pytest.mark.parametrize("between", [lambda folder: None, change], ids=["unchanged", "changed"])
def test_a_retry_after_a_kill_amid_the_upload_reads_its_own_content_alone(
    account: Account, folder: Path, between: Callable[[Path], None], listing: list[str]
) -> None:
    account.set_faults("s3:PutObject:latency=1")
    command = [sys.executable, submitting.__file__, str(folder), account.task, account.name(1)]
    with subprocess.Popen(command) as process:
        wait_until(lambda: process.poll() is not None or len(account.written()) >= FILES // 10, shows=account.written)
        assert process.poll() is None
        process.kill()
    left = account.written()
    assert len(left) < FILES
    assert account.jobs() == []

    between(folder)
    account.set_faults(*listing)
    submit_folder(folder, account.task, account.name(1), repeated=True)

    assert account.read_by(1) == content_of(folder)
    assert account.jobs() == [account.name(1)]
    if not listing:
        assert {key: account.written()[key] for key in left} == dict.fromkeys(left, 1)


def test_a_try_whose_upload_fails_in_the_middle_makes_no_job_and_leaves_nothing_to_a_changed_one(
    account: Account, folder: Path
) -> None:
    account.set_faults("s3:PutObject:error=AccessDenied,status=403,rate=0.1")
    with pytest.raises(UploadError, match="AccessDenied"):
        submit_folder(folder, account.task, account.name(1))
    assert account.jobs() == []

    change(folder)
    account.set_faults()
    submit_folder(folder, account.task, account.name(1), repeated=True)
    assert account.read_by(1) == content_of(folder)
