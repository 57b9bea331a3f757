"""What a function raises fails its task, with its own traceback."""

from __future__ import annotations

import json
import pickle
from urllib.parse import urlsplit

import pytest
from airflow.sdk import task

from airflow_sm_processing import JobFailedError, ProcessingInput, ProcessingOutput
from airflow_sm_processing.airflow_compat import AirflowFailException, AirflowSkipException
from airflow_sm_processing.decorators.results import FunctionFailedError, FunctionRefusedError
from airflow_sm_processing.operators.attempt import TaskDefinitionError

SECRET = "a-password-of-ours"


def test_the_traceback_is_the_dag_files(dag, on_sagemaker, runner, sagemaker):
    @task.sm_processing(**on_sagemaker)
    def fail(number):
        def inner(text):
            return {}[text]

        try:
            inner("a key")
        except KeyError as error:
            raise ValueError(f"no {number}") from error

    ended = runner.run(fail(7).operator)
    line = fail.function.__code__.co_firstlineno
    assert (ended.state, type(ended.error)) == ("up_for_retry", FunctionFailedError)
    raised = ended.error.raised
    assert (raised.type, raised.summary, raised.host, raised.exit_code) == (
        "ValueError",
        "ValueError: no 7",
        "algo-1",
        None,
    )
    frames = [text.strip() for text in raised.traceback.splitlines() if set(text) - {" ", "^", "~"}]
    assert frames == [
        "Traceback (most recent call last):",
        f'File "test_errors.py", line {line + 6}, in fail',
        'inner("a key")',
        f'File "test_errors.py", line {line + 3}, in inner',
        "return {}[text]",
        "KeyError: 'a key'",
        "The above exception was the direct cause of the following exception:",
        "Traceback (most recent call last):",
        f'File "test_errors.py", line {line + 8}, in fail',
        'raise ValueError(f"no {number}") from error',
        "ValueError: no 7",
    ]
    for text in frames:
        assert text in str(ended.error)
    assert str(ended.error).startswith(f"fail raised ValueError on algo-1 of processing job {ended.error.job_name}.\n")
    again = pickle.loads(pickle.dumps(ended.error))
    assert (str(again), again.raised) == (str(ended.error), raised)
    described = sagemaker.client("sagemaker").describe_processing_job(ProcessingJobName=ended.error.job_name)
    assert described["ExitMessage"].startswith("ValueError: no 7\n")
    assert f"line {line + 8}, in fail" in described["ExitMessage"]


def test_a_long_traceback_leaves_its_end_in_the_exit_message(dag, on_sagemaker, runner):
    @task.sm_processing(**on_sagemaker)
    def fail():
        def deeper(left):
            if not left:
                raise ValueError("é" * 300)
            names = [deeper(left - 1) for _ in "a"]
            return [deeper(left - 2), *names]

        return deeper(40)

    error = runner.run(fail().operator).error
    message = error.exit_message
    assert len(message.encode()) <= 1024
    assert message.startswith("ValueError: " + "é" * 300)
    assert message.rstrip().splitlines()[-1].strip() == 'raise ValueError("é" * 300)' or "^" in message
    assert error.raised.traceback.count("in deeper") > 40


def test_an_environments_values_are_hidden_in_the_traceback(dag, on_sagemaker, runner):
    @task.sm_processing(env={"PASSWORD": SECRET}, **on_sagemaker)
    def fail():
        import os

        raise ValueError("can't log in with " + os.environ["PASSWORD"])

    error = runner.run(fail().operator).error
    assert error.raised.summary == "ValueError: can't log in with ***"
    assert SECRET not in str(error) + repr(error.raised)


@pytest.mark.parametrize(
    ("code", "error", "state"),
    [
        (99, AirflowSkipException, "skipped"),
        (98, FunctionRefusedError, "failed"),
        (1, FunctionFailedError, "up_for_retry"),
    ],
)
def test_exit_codes_say_what_becomes_of_the_task(dag, on_sagemaker, runner, code, error, state):
    @task.sm_processing(skip_on_exit_code=99, fail_on_exit_code=[98, 97], **on_sagemaker)
    def leave(code):
        import sys

        sys.exit(code)

    ended = runner.run(leave(code).operator)
    if state == "skipped":
        assert ended.state == state
    else:
        assert (ended.state, type(ended.error)) == (state, error)
        assert isinstance(ended.error, AirflowFailException) == (code == 98)


def test_syntax_that_the_image_cant_read_says_so(dag, on_sagemaker, runner, python38):
    @task.sm_processing(**on_sagemaker | {"python": python38})
    def modern(value):
        match value:
            case _:
                return "new"

    error = runner.run(modern(1).operator).error
    assert error.raised.type == "SyntaxError"
    assert "match value:" in str(error)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"value": [1, {"deep": object()}]},
            "argument value[1]['deep']=(hidden, a NoneType): is of type builtins.object",
        ),
        ({"value": "{{ ti }}"}, None),
    ],
)
def test_an_argument_that_cant_be_carried_is_named_before_any_call(dag, on_sagemaker, runner, arguments, text):
    @task
    def give():
        return None

    @task.sm_processing(**on_sagemaker)
    def use(value, ti=None):
        return value

    if text:
        with pytest.raises(Exception, match="can't be carried"):
            use(**arguments)
        return
    ended = runner.run(use(**arguments).operator)
    assert isinstance(ended.error, TaskDefinitionError)
    assert "argument ti" in str(ended.error)
    assert ("use", -1) not in runner.supervisor.xcoms


def test_arguments_are_in_no_name_tag_or_environment(dag, on_sagemaker, runner, sagemaker):
    @task.sm_processing(**on_sagemaker)
    def use(password):
        raise ValueError("no")

    ended = runner.run(use(SECRET).operator)
    client = sagemaker.client("sagemaker")
    job = client.describe_processing_job(ProcessingJobName=ended.error.job_name)
    tags = client.list_tags(ResourceArn=job["ProcessingJobArn"])["Tags"]
    assert SECRET not in json.dumps([job, tags], default=str) + str(ended.error)


def test_a_result_of_another_cant_make_the_worker_upload_its_files(dag, on_sagemaker, result_of, tmp_path):
    (tmp_path / "secret").write_text(SECRET)

    @task.sm_processing(**on_sagemaker)
    def look(value):
        return value

    forged = {"kind": "sm_processing_result", "s3_uri": str(tmp_path / "secret"), "bytes": 1}
    assert result_of(look(forged)) == forged
    assert ProcessingInput(str(tmp_path)).source == str(tmp_path)


def test_sigterm_lets_a_function_clean_up(dag, on_sagemaker, runner, sagemaker):
    notes = ProcessingOutput("/opt/ml/processing/notes", output_name="notes", s3_upload_mode="Continuous")

    @task.sm_processing(outputs=[notes], **on_sagemaker)
    def linger():
        import os
        import pathlib
        import signal
        import time

        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(600)
        finally:
            pathlib.Path("/opt/ml/processing/notes/end.txt").write_text("cleaned up")

    error = runner.run(linger().operator).error
    assert (error.raised.type, error.raised.exit_code) == ("SystemExit", 143)
    place = urlsplit(runner.supervisor.xcoms["linger", -1]["notes"] + "/end.txt")
    body = sagemaker.client("s3").get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))["Body"].read()
    assert body == b"cleaned up"


def test_a_stopped_job_that_counts_as_success_has_no_result(dag, on_sagemaker, result_of):
    @task.sm_processing(max_runtime_in_seconds=1, on_stopped="succeed", **on_sagemaker)
    def linger():
        import time

        time.sleep(600)

    assert result_of(linger()) is None


def test_a_process_that_is_killed_leaves_the_jobs_own_error(dag, on_sagemaker, runner):
    @task.sm_processing(**on_sagemaker)
    def die():
        import os
        import signal

        print("about to die", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    error = runner.run(die().operator).error
    assert type(error) is JobFailedError
    assert "exit code: 137" in str(error)
    assert "about to die" in str(error)
