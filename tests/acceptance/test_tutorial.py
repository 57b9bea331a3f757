"""docs/tutorial.md, typed as its reader types it: each file that it shows, each command, and what it prints.

The commands run in an empty folder, with an empty home folder, and with Airflow's own processes. Where the page goes on
to AWS, the local SageMaker takes the place of AWS.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from airflow_sm_processing.local import LocalSageMaker
from demo.airflow_home import CHECKOUT
from tests.time_limits import HANGS_AFTER_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAGE = (CHECKOUT / "docs" / "tutorial.md").read_text()
PAGES_ACCOUNT = "export ACCOUNT=123456789012"
BLOCK = re.compile(r'^```(?P<kind>\w+)(?: title="(?P<title>[^"\n]+)")?\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL)
INSTALL = ["python3 -m venv .venv", ". .venv/bin/activate", re.search(r"^\$ (pip install .*)$", PAGE, re.MULTILINE)[1]]  # type: ignore[index]
ELSEWHERE = "airflow dags test my_dag"
"""Needs AWS; with the local SageMaker around it, the page has it before."""
ACCOUNT = "515151515151"
"""An account of its own, for servers in one process share an account's roles, and other tests make the page's role."""
FAILS = "airflow_sm_processing.exceptions.JobFailedError"
# The AWS CLI, which pins a botocore of its own and so isn't in the environment: `aws iam` with botocore's own model.
AWS_CLI = f"""#!{sys.executable}
import sys
import boto3
from pathlib import Path
from botocore.config import Config
service, operation, *options = sys.argv[1:]
names = [name[2:].title().replace("-", "") for name in options[::2]]
values = [Path(value[7:]).read_text() if value.startswith("file://") else value for value in options[1::2]]
once = Config(retries={{"total_max_attempts": 1}}, read_timeout=300)  # a retry would find its work done already
client = boto3.client(service, config=once)
getattr(client, operation.replace("-", "_"))(**dict(zip(names, values)))
"""


@dataclass(frozen=True)
class Step:
    """One command, and the lines that the page shows below it."""

    command: str
    expected: tuple[str, ...]


def steps(block: str) -> Iterator[Step]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *expected = part.splitlines()
        yield Step(command, tuple(expected))


@dataclass(frozen=True)
class Shell:
    """A shell whose folder and variables go on from command to command."""

    folder: Path
    home: Path
    bin: Path

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        state = self.home / "state"
        script = f". {state}; {command}\ncode=$?; {{ export -p; echo cd '\"'$PWD'\"'; }} > {state}; exit $code"
        state.touch()
        return subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env={"HOME": str(self.home), "PATH": f"{self.bin}:{Path(sys.executable).parent}:/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
            check=False,
        )


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    for name in ("my pipeline", "home", "bin"):
        (tmp_path / name).mkdir()
    (tmp_path / "bin" / "aws").write_text(AWS_CLI)
    (tmp_path / "bin" / "aws").chmod(0o700)
    return Shell(tmp_path / "my pipeline", tmp_path / "home", tmp_path / "bin")


def test_everything_in_the_tutorial_does_what_it_says(shell: Shell) -> None:
    ran = []
    with LocalSageMaker(roles=[], account_id=ACCOUNT) as aws:
        for block in BLOCK.finditer(PAGE):
            if block["title"]:
                write(shell.folder / block["title"], block["kind"], block["text"])
            for step in steps(block["text"]) if block["kind"] == "console" else ():
                if step.command in (*INSTALL, ELSEWHERE):
                    continue
                ran.append(step.command)
                command = step.command.replace(PAGES_ACCOUNT, f"export ACCOUNT={ACCOUNT}")
                variables = aws.environment() if step.command.startswith("aws ") else {}
                exports = "".join(f"export {name}='{value}'; " for name, value in variables.items())
                region = "export AWS_DEFAULT_REGION=eu-west-1; " if variables else ""
                check(step, shell.run(f"({exports}{region}{command})" if variables else command))
        iam = aws.client("iam")
        policy = iam.get_role_policy(RoleName="SageMakerRole", PolicyName="my_dag")["PolicyDocument"]
        policies = [policy["PolicyName"] for policy in iam.list_policies(Scope="Local")["Policies"]]
    assert "ReadInputs" in {statement["Sid"] for statement in policy["Statement"]}
    assert policies == ["airflow-my-dag"]
    assert len([command for command in ran if command.startswith("airflow-sm-local run")]) == 2


def write(file: Path, kind: str, text: str) -> None:
    """Write a file, or change it as a diff says."""
    if kind == "diff":
        lines = text.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if not line.startswith("+"))
        after = "".join(line[1:] for line in lines if not line.startswith("-"))
        assert file.read_text().count(before) == 1
        text = file.read_text().replace(before, after)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def check(step: Step, done: subprocess.CompletedProcess[str]) -> None:
    """Compare what a command printed with what the page shows: `…` stands for anything, alone on a line for lines."""
    print(f"$ {step.command}\n{done.stdout}")
    fails = any(line.startswith(FAILS) for line in step.expected)
    assert (done.returncode != 0) == fails, step.command
    missing = first_missing(step.expected, done.stdout.splitlines())
    assert missing is None, f"{step.command} doesn't print: {missing}"


def first_missing(expected: Sequence[str], printed: Sequence[str]) -> str | None:
    """Return the first expected line that isn't printed where the page has it."""
    left, anywhere = list(printed), False
    for line in expected:
        if line == "…":
            anywhere = True
            continue
        pattern = ".*".join(map(re.escape, line.split("…")))
        place = next((i for i, text in enumerate(left) if re.fullmatch(pattern, text)), None)
        if place is None or (place > 0 and not anywhere):
            return line
        left, anywhere = left[place + 1 :], False
    return None


def test_what_the_tutorial_installs_is_this_package_with_an_extra_that_it_has() -> None:
    requirement = Requirement(INSTALL[2].removeprefix("pip install ").strip("'"))
    project = (CHECKOUT / "pyproject.toml").read_text()
    assert f'name = "{requirement.name}"' in project
    assert f'\nRepository = "{(requirement.url or "").removeprefix("git+")}"' in project
    assert all(re.search(rf"^{extra} = \[", project, re.MULTILINE) for extra in requirement.extras)


@pytest.mark.parametrize(
    ("expected", "missing"),
    [(["a", "c"], "c"), (["a", "…", "c"], None), (["b", "…"], "b"), (["…", "b…d"], "b…d"), ([], None)],
)
def test_a_line_that_is_missing_is_found(expected: list[str], missing: str | None) -> None:
    assert first_missing(expected, ["a", "b", "c"]) == missing
