"""What is hidden of a job, and what stays to be read."""

from __future__ import annotations

import dataclasses
import json
import traceback
from datetime import datetime, timezone
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from airflow_sm_processing.exceptions import DefinitionError, JobRejectedError, ServiceError
from airflow_sm_processing.processing.description import JobDescription, JobStatus
from airflow_sm_processing.processing.log_events import LogLine
from airflow_sm_processing.processing.secrets import JobSecrets, hidden
from airflow_sm_processing.processing.submission import create_job
from airflow_sm_processing.processing.validation import check_definition

from .broken_limits import MORE_SETTINGS
from .makers import definition

if TYPE_CHECKING:
    from botocore.model import OperationModel
    from botocore.stub import Stubber

WORD = "correct-horse"
DESCRIPTION = JobDescription(
    job_name="a-job",
    job_arn="arn",
    status=JobStatus.FAILED,
    failure_reason=f"ExitCode 1: {WORD}",
    exit_message=f"no login with {WORD}",
    environment={"PASSWORD": WORD},
)


@pytest.mark.parametrize(
    ("value", "said", "shown"),
    [
        (WORD, f"it is {WORD}, {WORD}!", "it is ***, ***!"),
        ("two words", "two words and two  words", "*** and two  words"),
        ("first line\nsecond line\nend", "second line, first line, end", "***, ***, end"),
        (" padded \n", "without padding: padded.", "without padding: ***."),
        ('a"quote', json.dumps({"PASSWORD": 'a"quote'}), '{"PASSWORD": "***"}'),
        ("back\\slash", repr({"PASSWORD": "back\\slash"}), "{'PASSWORD': '***'}"),
        ("p@ss/word", f"postgres://me:{quote('p@ss/word', safe='')}@host", "postgres://me:***@host"),
        ("bell\x07bell", "our logs escape it: bell\\x07bell", "our logs escape it: ***"),
        ('{"user": "alice", "port": 54321}', "alice at 54321", "*** at 54321"),
        ('["alice", {"deep": "secretly"}]', "secretly, alice", "***, ***"),
        ("[no JSON", "it is [no JSON", "it is ***"),
        ("ünïcode", json.dumps("ünïcode"), '"***"'),
    ],
)
def test_a_value_is_hidden_however_it_is_written(value: str, said: str, shown: str):
    assert JobSecrets({"NAME": value}).hide(said) == shown


@pytest.mark.parametrize("value", ["", "1", "four", "12345", "-1.5e10", "true", "False", "1_000_000", 123456, None])
def test_what_is_short_a_number_or_a_truth_value_stays(value: Any):
    assert JobSecrets({"NAME": value}).hide(f"it is {value}.") == f"it is {value}."


def test_a_number_is_hidden_if_its_name_says_so():
    assert JobSecrets({"PIN": "12345678", "WORD": WORD}, mask=("PIN",)).hide(f"12345678 {WORD}") == f"*** {WORD}"


def test_nothing_is_hidden_if_the_user_says_so():
    secrets = JobSecrets({"PASSWORD": WORD}, mask=False)
    assert (secrets.hide(WORD), secrets.forms) == (WORD, ())


def test_presigned_urls_are_cut_in_any_case_but_outside_airflow():
    url = "https://host/key?X-Amz-Signature=0123"
    assert JobSecrets(mask=False).hide(url) == "https://host/key?***"
    assert JobSecrets(mask=False, signatures=False).hide(url) == url


def test_the_longest_value_is_hidden_first():
    assert JobSecrets({"A": "secret", "B": "secret-and-more"}).hide("secret-and-more, secret") == "***, ***"


def test_what_a_value_that_is_no_mapping_says_is_hidden_whole():
    assert JobSecrets(f'PASSWORD="{WORD}"').hide(f'env=PASSWORD="{WORD}"') == "env=***"


def test_values_are_learnt_and_the_earlier_ones_kept():
    secrets = JobSecrets({"PASSWORD": "old-value"})
    secrets.learn({"PASSWORD": "new-value"})
    assert secrets.hide("old-value, new-value") == "***, ***"
    assert "value" not in repr(secrets)


def test_a_description_hides_its_own_environment_in_what_its_script_said():
    shown = DESCRIPTION.without(JobSecrets())
    assert (shown.failure_reason, shown.exit_message) == ("ExitCode 1: ***", "no login with ***")
    assert shown == dataclasses.replace(
        DESCRIPTION, failure_reason=shown.failure_reason, exit_message=shown.exit_message
    )
    assert WORD not in repr(shown)


@pytest.mark.parametrize(
    ("said", "shown"),
    [("it is correct-hors", "it is ***"), ("it is corre", "it is ***"), ("it is corr", "it is corr")],
)
def test_a_value_is_hidden_where_sagemaker_cut_it_off(said: str, shown: str):
    described = dataclasses.replace(DESCRIPTION, exit_message=said, failure_reason=said)
    told = described.without(JobSecrets())
    assert (told.exit_message, told.failure_reason) == (shown, shown)


def test_a_description_without_words_stays_as_it_is():
    silent = dataclasses.replace(DESCRIPTION, failure_reason=None, exit_message=None)
    assert silent.without(JobSecrets()) == silent


def test_a_line_is_hidden_in_its_message_only():
    line = LogLine("algo-1", datetime(2026, 1, 2, tzinfo=timezone.utc), f"algo-1 says {WORD}")
    secrets = JobSecrets({"HOST": "algo-1", "PASSWORD": WORD})
    assert secrets.hide_in_line(line) == dataclasses.replace(line, message="*** says ***")


@pytest.mark.parametrize(
    ("value", "text"), [("abc", "(hidden, 3 characters)"), ({"A": "abc"}, "(hidden, a dict)"), (1, "(hidden, a int)")]
)
def test_of_a_hidden_value_its_size_or_kind_is_said(value: Any, text: str):
    assert repr(hidden(value)) == text


@pytest.mark.parametrize(
    "code", ["ValidationException", "ThrottlingException", "InternalFailure", "SignatureDoesNotMatch"]
)
def test_a_refused_creation_quotes_no_value_neither_in_the_error_nor_in_its_causes(
    code: str, clients: dict[str, Any], stubs: dict[str, Stubber]
):
    request = {
        "ProcessingJobName": "a-job",
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
        },
        "AppSpecification": {"ImageUri": "image"},
        "RoleArn": "arn:aws:iam::123456789012:role/role",
        "Environment": {"PIN": "1234", "PASSWORD": WORD},
    }
    said = f"Value '{{PIN=1234, PASSWORD={WORD}}}' at 'environment' failed, and {WORD}; Value 'x' at 'roleArn' failed"
    stubs["sagemaker"].add_client_error("create_processing_job", code, said, http_status_code=400)
    with pytest.raises((JobRejectedError, ServiceError)) as caught:
        create_job(clients["sagemaker"], request, own_name=True)
    shown = "".join(traceback.format_exception(caught.value))
    assert "Value '***' at 'environment' failed, and ***; Value 'x' at 'roleArn' failed" in str(caught.value)
    assert (WORD in shown, "1234" in shown.replace("123456789012", "")) == (False, False)


@pytest.mark.parametrize(
    ("env", "problem"),
    [
        (
            {"PASSWORD": WORD * 30},
            f"env['PASSWORD']=(hidden, 390 characters): must have at most 256 characters, has 390{MORE_SETTINGS}",
        ),
        ({"PASSWORD": [WORD]}, "env['PASSWORD']=(hidden, a list): must be a string, not list"),
        (
            {f"PASSWORD_{number}": WORD for number in range(101)},
            f"env=(hidden, a dict): must have at most 100 entries, has 101{MORE_SETTINGS}",
        ),
    ],
)
def test_a_problem_of_the_environment_shows_no_value(env: Any, problem: str, create_operation: OperationModel):
    with pytest.raises(DefinitionError) as caught:
        check_definition(definition(env=env), create_operation)
    assert [str(item) for item in caught.value.problems] == [problem]


@pytest.mark.parametrize("value", [1234567, 12345.5, PurePosixPath("12/345")])
def test_the_text_of_a_number_or_a_path_is_hidden(value: Any) -> None:
    assert JobSecrets({"PIN": value}, mask=["PIN"]).hide(f"the pin is {value}") == "the pin is ***"
