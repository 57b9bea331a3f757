from __future__ import annotations

import inspect
import re

import pytest

from airflow_sm_processing import exceptions
from airflow_sm_processing.exceptions import (
    DefinitionError,
    JobEndedError,
    JobFailedError,
    JobRejectedError,
    JobStoppedError,
    Problem,
    ProcessingError,
    ServiceError,
    WaitTimeoutError,
)

CLASSES = {
    name: kind for name, kind in vars(exceptions).items() if inspect.isclass(kind) and issubclass(kind, Exception)
}


def test_the_tree_in_the_docstring_is_the_hierarchy() -> None:
    drawn, above = {}, {-1: Exception.__name__}
    for line in (exceptions.__doc__ or "").splitlines():
        if match := re.match(r"    ((?:[│ ]   )*)(?:[├└]── )?(\w+Error)\b", line):
            depth = (match.start(2) - 4) // 4
            above[depth] = match.group(2)
            drawn[match.group(2)] = above[depth - 1]

    assert drawn == {name: kind.__bases__[0].__name__ for name, kind in CLASSES.items()}


def test_every_public_name_is_listed() -> None:
    assert set(exceptions.__all__) == {*CLASSES, "Problem"}


def test_a_definition_error_tells_every_problem() -> None:
    error = DefinitionError([Problem("role", None, "is required"), Problem("env['A']", 1, "must be a string")])

    assert isinstance(error, ValueError)
    assert str(error) == (
        "2 problems in the definition of processing job:\n  - role=None: is required\n  - env['A']=1: must be a string"
    )


def test_a_long_value_is_cut_in_the_text_and_whole_in_the_problem() -> None:
    value = "x" * 500

    (problem,) = DefinitionError([Problem("code", value, "is long")], subject="train").problems

    assert problem.value == value
    assert str(problem) == f"code='{'x' * 119}… (502 characters): is long"


def test_a_problem_equals_another_with_the_same_attributes() -> None:
    problem = Problem("code", ["a"], "must be a text")

    assert problem == Problem("code", ["a"], "must be a text")
    assert problem.replace(rule="is long") == Problem("code", ["a"], "is long") != problem
    assert len({problem, Problem("code", ["a"], "must be a text")}) == 1
    assert repr(problem) == "Problem('code', ['a'], 'must be a text')"


def test_a_rejection_is_a_definition_error_with_the_services_reason() -> None:
    error = JobRejectedError("train", code="ValidationException", reason="no such image")

    assert isinstance(error, DefinitionError)
    assert str(error) == (
        "1 problem in the definition of train:\n  - CreateProcessingJob='train': ValidationException: no such image"
    )


def test_a_service_error_carries_its_operation_and_code() -> None:
    error = ServiceError("why", operation="DescribeProcessingJob", code="Odd")

    assert (str(error), error.operation, error.code) == ("why", "DescribeProcessingJob", "Odd")


def test_a_wait_that_is_over_is_a_time_out() -> None:
    error = WaitTimeoutError("train", waited_seconds=59.6)

    assert isinstance(error, TimeoutError)
    assert (error.job_name, error.waited_seconds) == ("train", 59.6)
    assert str(error) == "Processing job train had not ended after 60 s."


@pytest.mark.parametrize(("kind", "status"), [(JobFailedError, "Failed"), (JobStoppedError, "Stopped")])
def test_a_job_that_ended_tells_all_that_is_known(kind: type[JobEndedError], status: str) -> None:
    error = kind(
        "train",
        status=status,
        failure_reason="AlgorithmError: exit code 3",
        exit_message="no rows",
        log_tails={"algo-1": ["a", "b"], "algo-2": []},
        links={"Job": "https://console/job"},
    )

    assert isinstance(error, ProcessingError)
    assert error.log_tails == {"algo-1": ("a", "b"), "algo-2": ()}
    assert str(error) == (
        f"Processing job train ended as {status}.\n"
        "  FailureReason: AlgorithmError: exit code 3\n"
        "  ExitMessage: no rows\n"
        "  Last log lines of algo-1:\n"
        "    a\n"
        "    b\n"
        "  Last log lines of algo-2:\n"
        "  Job: https://console/job"
    )


def test_a_job_that_ended_without_a_word_is_told_by_its_status() -> None:
    error = JobFailedError("train", status="Failed")

    assert (str(error), error.failure_reason, error.exit_message) == (
        "Processing job train ended as Failed.",
        None,
        None,
    )
