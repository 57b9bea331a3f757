"""What the entry scripts of both sides do when they run: on the local SageMaker, with pip from wheels, offline."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.local import LocalSageMaker
from tests.waiting import wait_until
from tests.wheels import TINY_WHEEL, make_tiny_wheel

from .case import Case, processing_input, processing_output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .bench import Bench
    from .wire import Wire

MAIN = """\
import json, os, sys
from pathlib import Path
import sm_tiny
from lib import helper
Path("/opt/ml/processing/out/told.json").write_text(json.dumps({
    "folder": os.getcwd(), "arguments": sys.argv[1:], "imported": [sm_tiny.__name__, helper.__name__],
    "files": sorted(str(path) for path in Path().rglob("*") if path.is_file() and path.suffix != ".pyc"),
}))
"""


@pytest.fixture(scope="module")
def sagemaker() -> Iterator[LocalSageMaker]:
    with LocalSageMaker() as server:
        yield server


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A wheel of the project `sm-tiny`, version 1.0."""
    return make_tiny_wheel(tmp_path_factory.mktemp("wheel")).read_bytes()


LOGIN = """\
aws() { echo "$@" > /opt/ml/processing/out/aws; return "${AWS_ENDS_WITH:-0}"; }
"""
"""What stands in for the AWS CLI: bash reads it before either side's script."""
PACKAGES = "arn:aws:codeartifact:us-west-2:123456789012:repository/our-domain/our.repository"
TELL_LOGIN = """\
from pathlib import Path
import sm_tiny
Path("/opt/ml/processing/out/told.json").write_text(Path("/opt/ml/processing/out/aws").read_text())
"""


def with_login(made: Case, **env: str) -> Case:
    """Return the case with a repository of packages, and with something in the AWS CLI's place."""
    [run] = made.runs
    inputs = [*run["inputs"], processing_input(source="login", destination="/opt/ml/processing/login")]
    return replace(
        made,
        init={"env": {**made.init["env"], "BASH_ENV": "/opt/ml/processing/login/aws.sh", **env}},
        runs=({**run, "inputs": inputs, "codeartifact_repo_arn": PACKAGES},),
        files={**made.files, "login/aws.sh": LOGIN},
    )


def case(wheel: bytes, requirement: str, main: str = MAIN) -> Case:
    run = {
        "code": "main.py",
        "source_dir": "src",
        "arguments": ["--name", "a b"],
        "inputs": [processing_input(source="wheels", destination="/opt/ml/processing/wheels")],
        "outputs": [processing_output(source="/opt/ml/processing/out", destination="s3://results/out")],
    }
    files = {"src/main.py": main, "src/lib/helper.py": "", "src/requirements.txt": requirement}
    return Case(
        name="entry script",
        processor="PyTorchProcessor",
        init={"env": {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/opt/ml/processing/wheels"}},
        runs=(run,),
        files={**files, f"wheels/{TINY_WHEEL}": wheel},
    )


def replayed(sagemaker: LocalSageMaker, wire: Wire, name: str) -> dict[str, Any]:
    """Carry out the recorded request, with the recorded objects, and tell how the job ended."""
    client, s3 = sagemaker.client("sagemaker"), sagemaker.client("s3")
    buckets = {bucket for bucket, _ in wire.account.bodies} | {"results"}
    for bucket in buckets - {item["Name"] for item in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=bucket)
    for (bucket, key), body in wire.account.bodies.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    s3.delete_object(Bucket="results", Key="out/told.json")
    role = f"arn:aws:iam::{sagemaker.account_id}:role/SageMakerRole"
    client.create_processing_job(**wire.request | {"ProcessingJobName": name, "RoleArn": role})
    describe = partial(client.describe_processing_job, ProcessingJobName=name)
    wait_until(lambda: describe()["ProcessingJobStatus"] != "InProgress", shows=describe)
    job = describe()
    told = s3.list_objects_v2(Bucket="results", Prefix="out/told.json").get("Contents")
    return {
        "status": job["ProcessingJobStatus"],
        "told": s3.get_object(Bucket="results", Key="out/told.json")["Body"].read() if told else None,
        "message": job.get("ExitMessage"),
    }


def test_both_run_the_script_in_its_folder_with_its_requirements(
    bench: Bench, sagemaker: LocalSageMaker, wheel: bytes
) -> None:
    sdk, ours = bench.compare(case(wheel, "sm-tiny==1.0"))
    ended = replayed(sagemaker, sdk, "sdk-runs")
    assert ended["status"] == "Completed", ended
    assert ended == replayed(sagemaker, ours, "ours-runs")


def test_both_fail_with_the_script(bench: Bench, sagemaker: LocalSageMaker, wheel: bytes) -> None:
    sdk, ours = bench.compare(case(wheel, "", main="raise SystemExit(3)"))
    ended = replayed(sagemaker, sdk, "sdk-fails")
    assert ended["status"] == "Failed"
    assert ended == replayed(sagemaker, ours, "ours-fails")


def test_a_failed_install_fails_both_and_ours_says_why(bench: Bench, sagemaker: LocalSageMaker, wheel: bytes) -> None:
    sdk, ours = bench.compare(case(wheel, "sm-tiny==2"))
    theirs, own = replayed(sagemaker, sdk, "sdk-installs"), replayed(sagemaker, ours, "ours-installs")
    assert (theirs["status"], own["status"]) == ("Failed", "Failed")
    assert not theirs["message"]
    assert "No matching distribution found for sm-tiny==2" in own["message"]


def test_both_log_in_to_the_repository_of_packages_alike(bench: Bench, sagemaker: LocalSageMaker, wheel: bytes) -> None:
    sdk, ours = bench.compare(with_login(case(wheel, "sm-tiny==1.0", TELL_LOGIN)))
    ended = replayed(sagemaker, sdk, "sdk-logs-in")
    assert ended["status"] == "Completed", ended
    assert ended["told"].startswith(b"codeartifact login --tool pip --domain our-domain ")
    assert ended == replayed(sagemaker, ours, "ours-logs-in")


def test_both_fail_with_the_login_and_ours_says_so(bench: Bench, sagemaker: LocalSageMaker, wheel: bytes) -> None:
    sdk, ours = bench.compare(with_login(case(wheel, "sm-tiny==1.0"), AWS_ENDS_WITH="254"))
    theirs, own = replayed(sagemaker, sdk, "sdk-is-denied"), replayed(sagemaker, ours, "ours-is-denied")
    assert (theirs["status"], own["status"]) == ("Failed", "Failed")
    assert not theirs["message"]
    assert own["message"].startswith("aws could not log in to CodeArtifact (exit code 254):")


def test_both_go_on_where_there_is_no_aws(bench: Bench, sagemaker: LocalSageMaker, wheel: bytes) -> None:
    made = with_login(case(wheel, "sm-tiny==1.0"))
    files = {**made.files, "login/aws.sh": "hash() { return 1; }\n"}  # whatever this machine has
    sdk, ours = bench.compare(replace(made, files=files))
    ended = replayed(sagemaker, sdk, "sdk-has-no-aws")
    assert ended["status"] == "Completed", ended
    assert ended == replayed(sagemaker, ours, "ours-has-no-aws")
