"""What faults mean, and when they apply."""

from __future__ import annotations

import pytest

from airflow_sm_processing.local.faults import Call, Fault, Faults

DESCRIBE = Call(service="sagemaker", operation="DescribeProcessingJob", job="job-1")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("DescribeProcessingJob:throttle=2", Fault(operation="DescribeProcessingJob", throttle=2.0)),
        ("s3:Put*:latency=0.5,rate=0.1", Fault(operation="s3:Put*", latency=0.5, rate=0.1)),
        (
            "CreateProcessingJob:error=InternalFailure,status=500,times=2,job=a-*",
            Fault(operation="CreateProcessingJob", error="InternalFailure", status=500, times=2, job="a-*"),
        ),
        (
            "CreateProcessingJob:error=X,message=no way,role=arn:aws:iam::*:role/r",
            Fault(operation="CreateProcessingJob", error="X", message="no way", role="arn:aws:iam::*:role/r"),
        ),
        ("*:drop=after", Fault(drop="after")),
    ],
)
def test_the_written_form_is_read(text: str, fault: Fault):
    assert Fault.parse(text) == fault


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Describe", "isn't understood"),
        (":error=X", "isn't understood"),
        ("Describe:colour=red", "'colour=red' isn't understood"),
        ("Describe:error=X,", "'' isn't understood"),
        ("Describe:throttle=fast", "could not convert string to float"),
        ("Describe:rate=0.5", "does nothing"),
        ("Describe:drop=now", "drop is 'now', and must be before or after"),
    ],
)
def test_what_can_not_be_meant_is_refused(text: str, complaint: str):
    with pytest.raises(ValueError, match=complaint):
        Fault.parse(text)


@pytest.mark.parametrize(
    ("fault", "matches"),
    [
        (Fault(operation="DescribeProcessingJob", error="X"), True),
        (Fault(operation="Describe*", error="X"), True),
        (Fault(operation="sagemaker:*", error="X"), True),
        (Fault(operation="*", error="X"), True),
        (Fault(operation="describe*", error="X"), False),
        (Fault(operation="s3:*", error="X"), False),
        (Fault(operation="*", error="X", job="job-*"), True),
        (Fault(operation="*", error="X", job="other-*"), False),
        (Fault(operation="*", error="X", role="*role/x"), False),
    ],
)
def test_a_fault_matches_by_operation_job_and_role(fault: Fault, matches: bool):
    assert fault.matches(DESCRIBE) is matches


def test_calls_without_a_job_match_no_jobs_pattern():
    fault = Fault(error="X", job="job-*")
    assert not fault.matches(Call(service="s3", operation="PutObject"))


@pytest.mark.parametrize("pattern", ["Denied", "arn:aws:iam::1:role/Denied", "D*"])
def test_a_role_is_denied_by_name_or_arn(pattern: str):
    fault = Fault.denied_role(pattern)
    calls = [
        Call(service="sagemaker", operation="CreateProcessingJob", role=f"arn:aws:iam::1:role/{name}")
        for name in ("Denied", "Allowed")
    ]
    assert [fault.matches(call) for call in calls] == [True, False]


def _pattern(faults: Faults, calls: int) -> str:
    return "".join("x" if faults.for_call(DESCRIBE) else "." for _ in range(calls))


def test_chances_repeat_with_their_seed_and_keep_their_rate():
    fault = Fault(error="X", rate=0.25)
    patterns = []
    for seed in (7, 7, 8):
        faults = Faults()
        faults.set([fault], seed=seed)
        patterns.append(_pattern(faults, 400))
    assert patterns[0] == patterns[1] != patterns[2]
    assert 60 < patterns[0].count("x") < 140


def test_a_count_is_used_up_by_the_calls_that_it_applied_to():
    faults = Faults()
    faults.set([Fault(operation="Describe*", error="X", times=2)])
    assert not faults.for_call(Call(service="sagemaker", operation="ListProcessingJobs"))
    assert _pattern(faults, 4) == "xx.."


def test_a_throttle_lets_its_rate_through_and_fills_up_again(monkeypatch):
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    faults = Faults()
    faults.set([Fault(throttle=2.0)])
    assert _pattern(faults, 4) == "..xx"
    now += 0.5
    assert _pattern(faults, 2) == ".x"
    now += 60
    assert _pattern(faults, 4) == "..xx"


def test_a_throttle_below_one_a_second_lets_one_call_through(monkeypatch):
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    faults = Faults()
    faults.set([Fault(throttle=0.1)])
    assert _pattern(faults, 2) == ".x"
    now += 10.01
    assert _pattern(faults, 2) == ".x"
