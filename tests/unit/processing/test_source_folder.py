"""A source folder's archive, its entry script, and what is refused before anything is made of it."""

from __future__ import annotations

import dataclasses
import gzip
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.decorators.container.requirements import _PIP
from airflow_sm_processing.exceptions import UploadError
from airflow_sm_processing.processing import JobDefinition
from airflow_sm_processing.processing.request import default_keys, plan_submission
from airflow_sm_processing.processing.source_folder import PIP_SETTINGS, SourcePackage
from airflow_sm_processing.processing.validation import definition_problems, local_file_problems

if TYPE_CHECKING:
    from pathlib import Path


def make(folder: Path, **files: str) -> None:
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make(tmp_path / "src", **{"main.py": "main", "lib/a.py": "a", ".env": "SECRET", "lib/__pycache__/a.pyc": ""})
    make(tmp_path / "deps", **{"shared/b.py": "b", "one.py": "one"})
    return tmp_path


def definition(folder: Path, **changes: Any) -> JobDefinition:
    given: dict[str, Any] = {
        "role": "SageMakerRole",
        "image_uri": "image",
        "instance_count": 1,
        "instance_type": "ml.m5.xlarge",
        "command": ["python3"],
        "job_name": "job",
        "code": "main.py",
        "source_dir": str(folder / "src"),
    }
    return JobDefinition(**given | changes)


def archived(made: JobDefinition) -> dict[str, tarfile.TarInfo]:
    with SourcePackage(made).written() as (path, _), tarfile.open(path / "sourcedir.tar.gz") as archive:
        return {member.name: member for member in archive}


def archive_bytes(made: JobDefinition) -> bytes:
    with SourcePackage(made).written() as (path, _):
        return (path / "sourcedir.tar.gz").read_bytes()


def problems(made: JobDefinition) -> dict[str, str]:
    found = {problem.parameter: problem.rule for problem in definition_problems(made)}
    return found or {problem.parameter: problem.rule for problem in local_file_problems(made)}


def test_the_archive_has_the_folder_and_its_dependencies(folder: Path):
    made = definition(folder, dependencies=[str(folder / "deps" / "shared"), f"{folder}/deps/one.py"])
    assert list(archived(made)) == ["lib/a.py", "main.py", "one.py", "shared/b.py"]


def test_the_archive_is_the_same_wherever_and_whenever_it_is_made(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
):
    other = tmp_path_factory.mktemp("other")
    make(other / "src", **{"lib/a.py": "a", "main.py": "main"})
    os.utime(other / "src" / "main.py", (1, 1))
    (other / "src" / "main.py").chmod(0o600)
    assert archive_bytes(definition(folder)) == archive_bytes(definition(other))
    assert SourcePackage(definition(folder)).content().digest == SourcePackage(definition(other)).content().digest


def test_the_archive_says_nothing_of_who_made_it(folder: Path):
    member = archived(definition(folder))["main.py"]
    assert (member.mtime, member.uid, member.gid, member.uname, member.gname, member.mode) == (0, 0, 0, "", "", 0o644)
    data = archive_bytes(definition(folder))
    assert data[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no name, no time, no operating system
    assert gzip.decompress(data)


@pytest.mark.parametrize("change", ["content", "name", "mode", "script", "requirements"])
def test_the_digest_tells_what_the_container_gets(folder: Path, change: str):
    before, made = SourcePackage(definition(folder)).content().digest, definition(folder)
    if change == "content":
        (folder / "src" / "main.py").write_text("other")
    elif change == "name":
        (folder / "src" / "lib").rename(folder / "src" / "bil")
    elif change == "mode":
        (folder / "src" / "main.py").chmod(0o755)
    elif change == "script":
        made = definition(folder, command=["python3", "-u"])
    else:
        made = definition(folder, requirements=["pandas"])
    assert SourcePackage(made).content().digest != before


def test_a_link_is_followed_and_never_archived_as_one(folder: Path):
    (folder / "src" / "link").symlink_to(folder / "deps")
    (folder / "src" / "loop").symlink_to(folder / "src")
    found = archived(definition(folder))
    assert list(found) == ["lib/a.py", "link/one.py", "link/shared/b.py", "main.py"]
    assert all(member.isreg() for member in found.values())


def test_no_name_leads_out_of_the_archive(folder: Path):
    make(folder / "src", **{"..\\x": "", "a\nb": "", "ü" * 60 + "/" + "y" * 120: ""})
    for name in archived(definition(folder)):
        assert not name.startswith("/")
        assert ".." not in name.split("/")


def test_a_file_that_changes_meanwhile_is_an_error_that_may_pass(folder: Path):
    package = SourcePackage(definition(folder))
    content = package.content()
    (folder / "src" / "main.py").write_text("other")
    with (
        pytest.raises(UploadError, match="files have changed since they were read") as raised,
        package.written(content),
    ):
        pass
    assert raised.value.may_pass


def test_the_request_is_that_of_the_sdks_framework_processor(folder: Path):
    plan = plan_submission(definition(folder), role_arn="arn", key=default_keys("bucket", "team"))
    assert plan.request["AppSpecification"] == {
        "ImageUri": "image",
        "ContainerEntrypoint": ["/bin/bash", "/opt/ml/processing/input/entrypoint/runproc.sh"],
    }
    assert [(i.input_name, i.s3_input.s3_uri, i.s3_input.local_path) for i in plan.inputs] == [  # type: ignore[union-attr]  # they have one
        ("code", "s3://bucket/team/job/source/sourcedir.tar.gz", "/opt/ml/processing/input/code/"),
        ("entrypoint", "s3://bucket/team/job/source/runproc.sh", "/opt/ml/processing/input/entrypoint"),
    ]


def test_with_an_upload_key_the_keys_follow_from_the_content(folder: Path):
    made = definition(folder)
    plan = plan_submission(made, role_arn="arn", key=default_keys("bucket", None), upload_key="task")
    digest = SourcePackage(made).content("").digest
    assert [item.s3_uri for item in plan.uploads] == [f"s3://bucket/task/input/{digest}/source"]


@pytest.mark.parametrize(
    ("changes", "parameter", "rule"),
    [
        ({"code": "../main.py"}, "code", "must be the script's path inside source_dir"),
        ({"code": "s3://b/main.py"}, "code", "must be the script's path inside source_dir"),
        (
            {"script_name": "main.py"},
            "script_name",
            "can't be combined with source_dir: code is the script's path in it",
        ),
        ({"source_dir": ""}, "source_dir", "is empty: set a folder, or leave it out"),
        ({"source_dir": "s3://"}, "source_dir", "has no bucket"),
        ({"dependencies": ["s3://b/lib"]}, "dependencies[0]", "must be a local file or folder"),
        (
            {"source_dir": "s3://b/src", "dependencies": ["lib"]},
            "dependencies[0]",
            "can't be added to files that are in S3 already: source_dir must be local",
        ),
        ({"requirements": ["pandas", " "]}, "requirements[1]", "must be a line of a requirements file, such as "),
        ({"code": "none.py"}, "code", "isn't among the files that are sent from "),
        ({"code": ".env"}, "code", "isn't among the files that are sent from "),
        ({"source_dir": "/none"}, "source_dir", "no such file or folder: /none"),
        ({"dependencies": ["/none"]}, "dependencies[0]", "no such file or folder: /none"),
        ({"requirements": "/none.txt"}, "requirements", "no such file; you can also pass a list of its lines"),
    ],
)
def test_what_is_wrong_is_said_with_its_parameter(folder: Path, changes: dict[str, Any], parameter: str, rule: str):
    found = problems(definition(folder, **changes))
    assert list(found) == [parameter]
    assert found[parameter].startswith(rule)


def test_two_files_of_one_name_are_refused(folder: Path):
    make(folder / "deps", **{"lib/a.py": "another"})
    found = problems(definition(folder, dependencies=[str(folder / "deps" / "lib")]))
    assert "two files would have one place in the archive:\n  - lib/a.py:" in found["source_dir"]


def test_the_names_of_codes_inputs_are_taken(folder: Path):
    from airflow_sm_processing.processing import ProcessingInput

    taken = ProcessingInput("s3://b/k", "/opt/ml/processing/x", input_name="entrypoint")
    assert problems(definition(folder, inputs=(taken,))) == {"inputs[…].input_name": "must be unique, is used 2 times"}


def test_the_entry_script_quotes_what_users_write(folder: Path):
    make(folder / "src", **{"a $b.py": ""})
    script = SourcePackage(definition(folder, code="a $b.py", command=["python3", "-W", "a b"])).script()
    assert script.endswith("""\nexec python3 -W 'a b' 'a $b.py' "$@"\n""")


@pytest.mark.parametrize("requirements", [["it's>=1", "$(touch x)"], "requirements.txt", None])
def test_the_entry_script_is_bash(folder: Path, requirements: Any):
    make(folder / "src", **{"requirements.txt": "pandas"})
    given = f"{folder}/src/{requirements}" if isinstance(requirements, str) else requirements
    for is_framework in (False, True):
        script = SourcePackage(definition(folder, requirements=given, is_framework=is_framework)).script()
        checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")
        assert ("-m pip install" in script) is (requirements is not None or is_framework)


@pytest.mark.parametrize(
    ("command", "python"),
    [
        (["python3.11", "-u"], "python3.11"),
        (["/opt/conda/bin/python"], "/opt/conda/bin/python"),
        (["Rscript"], "$(comm"),
    ],
)
def test_pip_belongs_to_the_python_that_runs_the_script(folder: Path, command: list[str], python: str):
    script = SourcePackage(definition(folder, command=command, requirements=["pandas"])).script()
    (line,) = (line for line in script.splitlines() if "-m pip install" in line)
    assert line.partition("the requirements' ")[2].lstrip('"').startswith(python)


ARN = "arn:aws-cn:codeartifact:cn-north-1:123456789012:repository/our-domain/ours_1.x"


@pytest.mark.parametrize("is_framework", [True, False])
def test_pip_logs_in_to_the_repository_of_packages_where_it_installs(folder: Path, *, is_framework: bool):
    requirements = None if is_framework else ["pandas"]
    made = definition(folder, is_framework=is_framework, requirements=requirements, codeartifact_repo_arn=ARN)
    script = SourcePackage(made).script()
    login = (
        "aws codeartifact login --tool pip --domain our-domain --domain-owner 123456789012 --repository ours_1.x "
        "--region cn-north-1\n"
    )
    assert script.index("install() {") < script.index(login) < script.index("-m pip install")
    checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "codeartifact" not in SourcePackage(dataclasses.replace(made, codeartifact_repo_arn=None)).script()


@pytest.mark.parametrize(
    "arn",
    [
        "ours",
        "arn:aws:s3:::bucket",
        "arn:aws:codeartifact:us-east-1:123456789012:repository/our-domain",
        "arn:aws:codeartifact:us-east-1:123456789012:repository/our-domain/a;touch b",
        "arn:aws:codeartifact:us-east-1:123456789012:repository/our-domain/$(touch)",
        "arn:aws:codeartifact:us-east-1:123456789012:repository/our-domain/ours\n",
    ],
)
def test_what_is_no_repository_of_packages_is_refused(folder: Path, arn: str):
    found = problems(definition(folder, requirements=["pandas"], codeartifact_repo_arn=arn))
    assert found["codeartifact_repo_arn"].startswith("must be arn:<partition>:codeartifact:")


def test_a_repository_of_packages_needs_something_to_install(folder: Path):
    rule = "needs requirements, which pip installs from there"
    assert problems(definition(folder, codeartifact_repo_arn=ARN)) == {"codeartifact_repo_arn": rule}
    assert problems(definition(folder, codeartifact_repo_arn=ARN, is_framework=True)) == {}
    in_s3 = definition(folder, codeartifact_repo_arn=ARN, is_framework=True, source_dir=None, code="s3://b/a.sh")
    assert problems(in_s3) == {"codeartifact_repo_arn": rule}


def test_pip_is_set_up_as_for_functions():
    assert PIP_SETTINGS == _PIP
