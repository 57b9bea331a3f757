"""What the server writes is closed to other users, and doesn't outlive a server that was killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.local import LocalSageMaker
from tests.waiting import wait_until

from .processes import wait_until_gone
from .test_command_line import client, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .bench import Bench

NOBODY = 65534
SECRET = f"secret-{os.getpid()}"


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user may enter; the parents of tmp_path are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="folders-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def start_job(ready: dict[str, Any], name: str, command: list[str]) -> None:
    sagemaker = client(ready, "sagemaker")
    sagemaker.create_processing_job(
        ProcessingJobName=name,
        RoleArn="arn:aws:iam::123456789012:role/SageMakerRole",
        AppSpecification={"ImageUri": "image", "ContainerEntrypoint": command},
        ProcessingResources={"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}},
        Environment={"PASSWORD": SECRET},
    )
    sagemaker.close()


def wait_for(path: Path, pattern: str) -> Path:
    return wait_until(lambda: next(path.glob(pattern), None), shows=lambda: list(path.rglob("*")))


def open_to_others(folder: Path) -> dict[str, str]:
    """Return the folders, and the files that hold the secret, that others may open, with their modes."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        is_telling = path.is_file() and not path.is_symlink() and SECRET.encode() in path.read_bytes()
        if path.lstat().st_mode & 0o077 and (is_telling or (path.is_dir() and not path.is_symlink())):
            found[str(path.relative_to(folder))] = oct(path.lstat().st_mode)
    return found


@pytest.mark.parametrize(
    ("umask", "before"), [("000", "absent"), ("022", "empty"), ("022", "from an older server"), ("777", "deep")]
)
def test_the_data_folder_is_closed_at_every_level(shared: Path, umask: str, before: str):
    data = shared / "a" / "b" / "data" if before == "deep" else shared / "data"
    if before in {"empty", "from an older server"}:
        data.mkdir(mode=0o755)
    if before == "from an older server":
        for name in ("jobs", "aws", "tmp"):
            (data / name).mkdir(mode=0o777)
        (data / "aws" / "credentials").write_text("old")
        (data / "lock").touch()
    script = f"umask {umask}; exec {Path(sys.executable).with_name('airflow-sm-local')} serve --data-dir {data}"
    with serving(shared, command=["sh", "-c", f'{script} "$@"', "sh"]) as (_, ready):
        start_job(ready, "closed", ["sleep", "600"])
        wait_for(data, "jobs/*/algo-1/ml/config/resourceconfig.json")
        wait_for(data, "jobs/*/algo-1/python/bin/pip3")
        assert open_to_others(data) == {}
        assert not (data.parent.stat().st_mode & 0o077) or before != "deep"
        if os.getuid() == 0:
            look = ["find", str(data), "-type", "f", "-exec", "grep", "-l", SECRET, "{}", "+"]
            done = subprocess.run(look, user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, check=False)
            assert (done.stdout, b"Permission denied" in done.stderr) == (b"", True)


def test_a_folder_with_other_things_in_it_stays_as_open_as_it_is_and_what_is_made_in_it_is_closed(shared: Path):
    (shared / "notes.txt").touch()
    with LocalSageMaker(data_dir=shared) as server:
        assert shared.stat().st_mode & 0o777 == 0o755
        assert {path.name: oct(path.stat().st_mode & 0o777) for path in shared.iterdir() if path.is_dir()} == {
            "aws": "0o700",
            "jobs": "0o700",
        }
        assert server.isolation


def test_a_folder_that_others_can_change_is_refused(shared: Path):
    (shared / "notes.txt").touch()
    shared.chmod(0o777)
    with (
        pytest.raises(ValueError, match=r"can be changed by other users, and has files already.*chmod go-w"),
        LocalSageMaker(data_dir=shared),
    ):
        pass


@pytest.mark.skipif(os.getuid() != 0, reason="needs a second user")
@pytest.mark.parametrize("kind", ["another user's folder", "a link"])
def test_what_another_user_put_where_jobs_go_is_refused(shared: Path, kind: str):
    (shared / "notes.txt").touch()
    jobs = shared / "jobs"
    if kind == "a link":
        (shared / "elsewhere").mkdir()
        jobs.symlink_to("elsewhere")
    else:
        jobs.mkdir()
        os.chown(jobs, NOBODY, NOBODY)
    with pytest.raises(ValueError, match="must be a folder of this user's"), LocalSageMaker(data_dir=shared):
        pass


def test_a_start_cleans_what_killed_servers_left_and_nothing_else(tmp_path: Path):
    data = tmp_path / "data"
    marker = f"600.{os.getpid()}7"
    for number in range(2):
        with serving(tmp_path, "--data-dir", str(data)) as (process, ready):
            closing = "mkdir closed; touch closed/file; chmod 0 closed;"
            start_job(ready, f"left-{number}", ["sh", "-c", f"{closing} exec sleep {marker}"])
            wait_for(data, f"jobs/left-{number}-*/algo-1/work/closed")
            assert [path.name.rpartition("-")[0] for path in (data / "jobs").iterdir()] == [f"left-{number}"]
            process.kill()
            wait_until_gone(marker)
        (tmp_path / "ready.json").unlink()
    own = data / "jobs" / "of-mine"
    own.mkdir()
    with serving(tmp_path, "--data-dir", str(data), "--keep-jobs") as (process, ready):
        assert list((data / "jobs").iterdir()) == [own]
        start_job(ready, "kept", ["true"])
        folder = wait_for(data, "jobs/kept-*")
        wait_until(lambda: not (folder / "job-is-running").exists(), shows=lambda: list(folder.iterdir()))
        process.kill()
    with LocalSageMaker(data_dir=data):
        assert {path.name for path in (data / "jobs").iterdir()} == {own.name, folder.name}


def test_a_live_servers_jobs_are_left_alone(bench_factory: Any, tmp_path: Path):
    with LocalSageMaker(data_dir=tmp_path, stop_grace=1) as server:
        bench: Bench = bench_factory(server)
        name = bench.create(["sh", "-c", "echo ready; exec sleep 600"])
        bench.wait_for_line(name, "ready")
        with pytest.raises(ValueError, match="in use by another server"), LocalSageMaker(data_dir=tmp_path):
            pass
        assert wait_for(tmp_path, f"jobs/{name}-*/algo-1")
        assert bench.describe(name)["ProcessingJobStatus"] == "InProgress"


def test_the_temporary_folder_of_a_killed_server_is_removed_and_a_live_ones_is_not(tmp_path: Path):
    def folders() -> set[Path]:
        return set(tmp_path.glob("airflow-sm-local-*"))

    with serving(tmp_path) as (_, first):
        (tmp_path / "ready.json").unlink()
        alive = folders()
        assert len(alive) == 1
        with serving(tmp_path) as (process, _):
            (tmp_path / "ready.json").unlink()
            (abandoned,) = folders() - alive
            process.kill()
        with serving(tmp_path):
            assert abandoned not in folders()
            assert alive < folders()
        assert client(first, "s3").list_buckets()["Buckets"] == []
