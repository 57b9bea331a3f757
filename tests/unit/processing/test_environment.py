"""Environment variables that are over the bounds of CreateProcessingJob, which go to the container in pieces."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_sm_processing.exceptions import DefinitionError
from airflow_sm_processing.processing.description import JobDescription
from airflow_sm_processing.processing.environment import PIECE, SCRIPT, in_pieces, whole
from airflow_sm_processing.processing.secrets import JobSecrets
from airflow_sm_processing.processing.validation import check_definition

from .makers import checked_plan, command_file, definition, script

if TYPE_CHECKING:
    from botocore.model import OperationModel


SHELLS = [["/bin/sh"], ["bash", "--posix"], ["bash"]]
PRINT = "import json, os, sys; json.dump(dict(os.environ), sys.stdout)"
LONG = "x" * 300
AWKWARD = 'it\'s a $HOME `id` \\ é 😀\n"<0>"*<1>: =\n' + "y" * 300 + "\n\n"
MANY = {f"N{number}": str(number) for number in range(101)}
CASES: dict[str, dict[str, str]] = {
    "one that is long": {"A": LONG},
    "long beside short": {"SHORT": "1", "A": LONG, "EMPTY": ""},
    "hostile": {"A": AWKWARD, "B": AWKWARD[::-1], "number": "1", "n": "2"},
    "many": MANY,
    "many and long": {**MANY, "A": LONG, "EMPTY": ""},
    "as much as there is room for": {"A": "z" * (100 * 256 - len("<0>:A=<0>"))},
}


def run(shell: list[str], text: str, environment: dict[str, str]) -> dict[str, str]:
    done = subprocess.run([*shell], input=text, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return {name: value for name, value in found.items() if name not in {"PWD", "SHLVL", "_", "OLDPWD", "LC_CTYPE"}}


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize("env", CASES.values(), ids=CASES)
def test_they_arrive_as_if_they_had_been_in_the_request(shell: list[str], env: dict[str, str], create_operation: Any):
    plan = checked_plan(script(env=env, command=[sys.executable, "-c", PRINT]), create_operation)
    sent = plan.request["Environment"]
    assert len(sent) <= 100
    assert max(map(len, sent.values())) <= 256
    assert run(shell, command_file(plan), sent) == env


@pytest.mark.parametrize("env", CASES.values(), ids=CASES)
def test_nothing_of_their_values_is_in_s3_or_shown(env: dict[str, str], create_operation: OperationModel):
    plan = checked_plan(script(env=env), create_operation, upload_key="task")
    secrets = JobSecrets(plan.request["Environment"], mask=env.keys())
    shown = secrets.hide_in_request(plan.request)["Environment"]
    for value in env.values():
        if len(value) > 5:
            assert value not in command_file(plan)
            assert secrets.hide(f"a {value} b") == "a *** b"
            assert not any(piece.strip("*") for piece in shown.values())
    other = checked_plan(script(env={**env, "A": "w" * 300}), create_operation, upload_key="task")
    assert other.uploads[0].s3_uri == plan.uploads[0].s3_uri


@pytest.mark.parametrize("env", CASES.values(), ids=CASES)
def test_a_description_has_them_whole(env: dict[str, str], create_operation: OperationModel):
    request = checked_plan(script(env=env), create_operation).request
    response = {**request, "ProcessingJobArn": "arn", "ProcessingJobStatus": "InProgress"}
    assert JobDescription.from_response(response).environment == env


@pytest.mark.parametrize("env", [{"A": "x" * 256}, dict(list(MANY.items())[:100]), {"A": "é" * 256}, {}, None])
def test_what_is_within_the_bounds_stays_as_it_is(env: dict[str, str] | None, create_operation: OperationModel):
    plan = checked_plan(script(env=env), create_operation)
    assert plan.request.get("Environment") == env
    assert plan.uploads == ()


@pytest.mark.parametrize(
    ("job", "env"),
    [
        (script, {"A": "x" * 25_700}),
        (script, {f"N{number}": "x" * 256 for number in range(101)}),
        (script, {"A": LONG, f"{PIECE}0": "mine"}),
        (script, {"A": LONG + "\0"}),
        (script, {"A": LONG, "no name": "b"}),
        (definition, {"A": LONG}),
    ],
    ids=["too long", "too many", "a name of ours", "NUL", "a wrong name", "the image's own entrypoint"],
)
def test_what_cannot_be_in_pieces_is_an_error(job: Any, env: dict[str, str], create_operation: OperationModel):
    with pytest.raises(DefinitionError, match=r"env") as error:
        check_definition(job(env=env), create_operation)
    assert LONG not in str(error.value)


def test_the_error_says_what_takes_more(create_operation: OperationModel):
    with pytest.raises(DefinitionError, match=r"25,000 characters fit in; ProcessingInput\.from_json takes more"):
        check_definition(script(env={"A": "x" * 25_700}), create_operation)


@pytest.mark.parametrize("pieces", [{}, {"0": ""}, {"0": "my own"}, {"1": "<0>:A=1<0>"}, {"0": 1}])
def test_variables_of_that_name_that_are_no_pieces_are_left_alone(pieces: dict[str, Any]):
    environment = {"B": "2", **{f"{PIECE}{number}": piece for number, piece in pieces.items()}}
    assert whole(environment) == environment


NAMES = st.from_regex(r"\A[a-zA-Z_][a-zA-Z0-9_]{0,12}\Z").filter(lambda name: name not in {"PATH", "PWD", "SHLVL", "_"})
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from("<0>1:=\n"))


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(NAMES, VALUES), st.integers(5, 20), st.integers(4, 30))
def test_whatever_is_cut_is_whole_again(environment: dict[str, str], most: int, longest: int):
    pieces = in_pieces(environment, most=most, longest=longest)
    if pieces is not None:
        assert len(pieces) <= most
        assert all(0 < len(piece) <= longest for name, piece in pieces.items() if name.startswith(PIECE))
        assert whole(pieces) == environment


def test_the_script_leaves_no_variable_of_its_own():
    env = {"A": LONG, "_airflow": "mine"}
    pieces = in_pieces(env, most=100, longest=256)
    assert pieces is not None
    assert run(["/bin/sh"], f"{SCRIPT}exec {sys.executable} -c '{PRINT}'", pieces) == env
