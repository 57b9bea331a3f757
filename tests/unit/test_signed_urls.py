"""Presigned URLs lose their queries, and nothing else does."""

from __future__ import annotations

import pytest

from airflow_sm_processing.exceptions import Problem, ProcessingError
from airflow_sm_processing.redaction import signed_queries, without_signatures

OBJECT = "https://a-bucket.s3.amazonaws.com/a/key"
SIGNED = {
    "version 4": "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20260102&X-Amz-Signature=0123abcd",
    "with a session's token": "X-Amz-Security-Token=IQoJb3JpZ2lu%2F%2F&X-Amz-Expires=60",
    "version 2": "AWSAccessKeyId=AKIAEXAMPLE&Signature=vjbyPxybdZ%2Ba&Expires=1141889120",
    "CloudFront's": "Expires=1357034400&Signature=nitfHRCrtziwO2&Key-Pair-Id=K2JCJMDEHXQW5F",
    "beside a version's id": "versionId=3&x-amz-signature=0123abcd",
    "with its ampersands escaped in JSON": "versionId=3\\u0026X-Amz-Signature=0123abcd",
}


@pytest.mark.parametrize("query", SIGNED.values(), ids=SIGNED.keys())
@pytest.mark.parametrize("text", ["{}", "see {} for more", "'{}'", '"{}",', "<{}>", "twice: {} {}"])
def test_the_query_is_cut_wherever_the_url_stands(query: str, text: str):
    url = f"{OBJECT}?{query}"
    assert without_signatures(text.format(url, url)) == text.format(f"{OBJECT}?***", f"{OBJECT}?***")
    assert set(signed_queries(text.format(url, url))) == {query}


@pytest.mark.parametrize("text", [OBJECT, f"{OBJECT}?versionId=3", "Signature=none of a URL", "why? Signature=", "a?b"])
def test_what_is_not_presigned_stays(text: str):
    assert (without_signatures(text), list(signed_queries(text))) == (text, [])


def test_no_error_of_ours_quotes_a_signature():
    error = ProcessingError(f"{OBJECT}?{SIGNED['version 4']} can't be read")
    assert str(error) == f"{OBJECT}?*** can't be read"


def test_a_problem_shows_the_url_as_far_as_it_is_no_secret():
    problem = Problem("inputs[0].source", f"{OBJECT}?{SIGNED['version 4']}", "must be an S3 URI")
    assert str(problem) == f"inputs[0].source='{OBJECT}?***': must be an S3 URI"


def test_a_text_full_of_question_marks_takes_no_time():
    assert without_signatures("?a" * 100_000) == "?a" * 100_000
