"""Junk gets an answer that says what is wrong with it, never a 500, and jobs that can't run a reason that says why."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import botocore.session
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_sm_processing.local import Fault, LocalSageMaker
from tests.waiting import wait_until

from .bench import channel, code, s3_input, s3_output
from .test_command_line import COMMAND, client, serving
from .wire import send, signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .bench import Bench

MODEL = botocore.session.Session().get_service_model("sagemaker")
OPERATIONS = (
    "CreateProcessingJob",
    "DescribeProcessingJob",
    "ListProcessingJobs",
    "StopProcessingJob",
    "DeleteProcessingJob",
    "CreateTrainingJob",
    "DescribeTrainingJob",
    "ListTrainingJobs",
    "StopTrainingJob",
    "DeleteTrainingJob",
    "AddTags",
    "ListTags",
    "DeleteTags",
)
BOUNDED = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
TEXTS = st.sampled_from(
    [
        "", " ", "\0", "a\0b", "\n", "é😀", "x" * 300, "s3://[x", "s3://h b", "s3://", "s3://b", "s3://b/\0", "s3://../..",
        "https://x", "../../etc", "/opt/ml/processing/\0", "/opt/ml/processing/../x", "/opt/ml/processing/" + "😀" * 80,
        "arn:aws:sagemaker:us-east-1:123456789012:processing-job/x", "arn:aws:iam::123456789012:role/r",
        "true", "{x}", "%s",
    ]
) | st.text(max_size=20)  # fmt: skip
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def of_shape(shape: Any) -> st.SearchStrategy[Any]:
    """Values of about a shape: some right, some of the right type only, some of none."""
    kinds: dict[str, Any] = {
        "structure": lambda: st.fixed_dictionaries(
            {name: of_shape(shape.members[name]) for name in shape.required_members},
            optional={
                name: of_shape(member) for name, member in shape.members.items() if name not in shape.required_members
            }
            | {"Unknown": JUNK},
        ),
        "list": lambda: st.lists(of_shape(shape.member), max_size=3),
        "map": lambda: st.dictionaries(TEXTS, of_shape(shape.value), max_size=3),
        "integer": lambda: st.integers(-1, 3) | st.integers(),
        "timestamp": lambda: st.integers() | st.floats(),
        "boolean": st.booleans,
    }
    if shape.type_name not in kinds:
        return st.sampled_from(shape.metadata["enum"]) | TEXTS if shape.metadata.get("enum") else TEXTS
    return st.deferred(kinds[shape.type_name]) | st.deferred(kinds[shape.type_name]) | JUNK


@pytest.fixture(scope="module")
def server() -> Iterator[LocalSageMaker]:
    with LocalSageMaker(account_id="333333333333", stop_grace=1) as server:
        server.client("s3").create_bucket(Bucket="junk")
        yield server


@pytest.fixture
def junk(server: LocalSageMaker, bench_factory: Any) -> Bench:
    return bench_factory(server)


def ask(server: LocalSageMaker, operation: str, body: bytes, **more: Any) -> tuple[int, dict[str, Any]]:
    status, answer = send(server, "POST", "/", signed(server, body=body, operation=operation, **more), body)
    return status, json.loads(answer)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_generated_requests_get_the_services_own_answers(server: LocalSageMaker, operation: str):
    shape = MODEL.operation_model(operation).input_shape

    @BOUNDED
    @given(of_shape(shape))
    def answered(request: Any) -> None:
        status, answer = ask(server, operation, json.dumps(request).encode())
        assert status < 500, (request, answer)
        assert status == 200 or answer["message"], (request, answer)

    answered()
    sagemaker = server.client("sagemaker")
    for page in sagemaker.get_paginator("list_processing_jobs").paginate(MaxResults=100):
        for job in page["ProcessingJobSummaries"]:
            described = sagemaker.describe_processing_job(ProcessingJobName=job["ProcessingJobName"])
            assert "internal error" not in described.get("FailureReason", "")
    for page in sagemaker.get_paginator("list_training_jobs").paginate(MaxResults=100):
        for job in page["TrainingJobSummaries"]:
            described = sagemaker.describe_training_job(TrainingJobName=job["TrainingJobName"])
            assert "internal error" not in described.get("FailureReason", "")


def mutated(valid: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The valid request with one member, anywhere, put into junk's place."""
    places = list(_places(valid))

    def put(place: tuple[Any, ...], junk: Any) -> dict[str, Any]:
        changed = json.loads(json.dumps(valid))
        inner: Any = changed
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = junk
        return changed  # type: ignore[no-any-return]  # json gives back what went in

    return st.builds(put, st.sampled_from(places), TEXTS | JUNK)


def _places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield (*above, step)
        yield from _places(inner, (*above, step))


def test_a_valid_request_with_one_thing_wrong_is_refused_or_its_job_says_why(server: LocalSageMaker, junk: Bench):
    uri = junk.put("in/file", "x")
    valid = junk.request(
        ["true"],
        ProcessingInputs=[s3_input("in", uri, "/opt/ml/processing/in")],
        ProcessingOutputConfig={"Outputs": [s3_output("out", f"s3://{junk.bucket}/out", "/opt/ml/processing/out")]},
        Environment={"A": "b"},
        Tags=[{"Key": "k", "Value": "v"}],
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    names = []

    @BOUNDED
    @given(mutated(valid))
    def answered(request: dict[str, Any]) -> None:
        if request["ProcessingJobName"] == valid["ProcessingJobName"]:
            request["ProcessingJobName"] = f"mutated-{len(names)}"
        status, answer = ask(server, "CreateProcessingJob", json.dumps(request).encode())
        assert status < 500, (request, answer)
        if status == 200:
            names.append(request["ProcessingJobName"])

    answered()
    for name in names:
        job = junk.end(name)
        assert job["ProcessingJobStatus"] in {"Completed", "Failed"}
        assert "internal error" not in job.get("FailureReason", ""), job


@pytest.mark.parametrize("mode", ["entrypoint", "script"])
def test_a_valid_training_job_with_one_thing_wrong_is_refused_or_says_why(
    server: LocalSageMaker, junk: Bench, mode: str
):
    junk.put("code.tar.gz", code({"train.py": "print('loss=1')"}))
    script = {"sagemaker_program": "train.py", "sagemaker_submit_directory": f"s3://{junk.bucket}/code.tar.gz"}
    valid = junk.training_request(
        ["true"] if mode == "entrypoint" else None,
        metrics={"loss": "loss=(.*)"},
        HyperParameters={"epochs": "1"} | (script if mode == "script" else {}),
        InputDataConfig=[channel("in", junk.put("in/file", "x"))],
        CheckpointConfig={"S3Uri": f"s3://{junk.bucket}/checkpoints", "LocalPath": "/opt/ml/checkpoints"},
        Environment={"A": "b"},
        Tags=[{"Key": "k", "Value": "v"}],
    )
    names = []

    @settings(BOUNDED, max_examples=60)
    @given(mutated(valid))
    def answered(request: dict[str, Any]) -> None:
        if request["TrainingJobName"] == valid["TrainingJobName"]:
            request["TrainingJobName"] = f"mutated-{mode}-{len(names)}"
        status, answer = ask(server, "CreateTrainingJob", json.dumps(request).encode())
        assert status < 500, (request, answer)
        if status == 200:
            names.append(request["TrainingJobName"])

    answered()
    assert names
    for name in names:
        job = junk.end_training(name)
        assert job["TrainingJobStatus"] in {"Completed", "Failed"}
        assert "internal error" not in job.get("FailureReason", ""), job


ODD_HYPERPARAMETERS = {
    "a null character": {"a": "\0"},
    "half a character": {"a": '"\\ud800"'},
    "a name that is no variable's": {"a=b": "1"},
    "code at a null character": {"sagemaker_submit_directory": "/opt/ml/\0"},
}


@pytest.mark.parametrize("case", ODD_HYPERPARAMETERS)
def test_hyperparameters_that_no_script_can_have_fail_the_job_with_the_reason(junk: Bench, case: str):
    script = {"sagemaker_program": "train.py", "sagemaker_submit_directory": f"s3://{junk.bucket}/code.tar.gz"}
    junk.put("code.tar.gz", code({"train.py": "print('ran')"}))
    job = junk.train(None, HyperParameters=script | ODD_HYPERPARAMETERS[case])
    assert job["TrainingJobStatus"] == "Failed"
    assert "can't be" in job["FailureReason"], job["FailureReason"]


def test_a_training_job_may_have_any_time(junk: Bench):
    job = junk.train(["true"], StoppingCondition={"MaxRuntimeInSeconds": 10**400})
    assert job["TrainingJobStatus"] == "Completed"


DEEP = b'{"NameContains": "a", "Unknown": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[]", "must be a JSON object"),
        (DEEP, "nested too deeply"),
        (b'{"NameContains": "\\ud800"}', "surrogates not allowed"),
        (b'{"CreationTimeAfter": NaN}', "NaN is no JSON"),
        (b'{"MaxResults": 1' + b"0" * 10_000 + b"}", "no JSON"),
    ],
    ids=["broken", "bytes", "list", "deep", "surrogate", "nan", "digits"],
)
@pytest.mark.parametrize("operation", ["ListProcessingJobs", "CreateProcessingJob"])
def test_what_is_no_json_is_a_serialization_error(server: LocalSageMaker, operation: str, body: bytes, complaint: str):
    status, answer = ask(server, operation, body)
    assert (status, answer["__type"]) == (400, "SerializationException")
    assert complaint in answer["message"]


def test_unknown_members_are_not_seen_however_deep(server: LocalSageMaker, junk: Bench):
    deep: Any = []
    for _ in range(400):
        deep = [deep]
    request = junk.request(["true"]) | {"Unknown": deep}
    status, _ = ask(server, "CreateProcessingJob", json.dumps(request).encode())
    assert status == 200
    assert "Unknown" not in junk.end(request["ProcessingJobName"])


S3_JUNK = [
    ("POST", "/junk?delete", b"<junk"),
    ("POST", "/junk?delete", b"<Delete></Delete>"),
    ("POST", "/junk/key?uploadId=x", b"<junk"),
    ("PUT", "/junk/key?partNumber=x&uploadId=y", b"x"),
    ("PUT", "/junk/a%00b", b"x"),
    ("GET", "/junk/a%00b", b""),
    ("GET", "/junk/%ff", b""),
    ("GET", "/junk?list-type=2&max-keys=x", b""),
    ("GET", "/junk?list-type=2&continuation-token=x", b""),
    ("PUT", "/junk?versioning", b"junk"),
    ("PUT", "/junk/key?tagging", b"junk"),
    ("PUT", "/another", b"<junk"),
    ("PUT", "/junk/" + "k" * 3000, b"x"),
    ("PATCH", "/junk", b""),
    ("GET", "/..", b""),
]


@pytest.mark.parametrize(("method", "path", "body"), S3_JUNK, ids=[f"{row[0]} {row[1][:40]}" for row in S3_JUNK])
def test_s3_answers_junk_with_less_than_500(server: LocalSageMaker, method: str, path: str, body: bytes):
    headers = signed(server, method=method, path=path, body=body, service="s3")
    assert send(server, method, path, headers, body)[0] < 500


@BOUNDED
@given(
    st.sampled_from(["FilterLogEvents", "GetLogEvents", "DescribeLogStreams", "PutLogEvents", "Nope"]),
    st.dictionaries(st.sampled_from(["logGroupName", "logStreamName", "logEvents", "nextToken", "limit"]), JUNK) | JUNK,
)
def test_logs_answer_junk_with_less_than_500(server: LocalSageMaker, operation: str, request: Any):
    status, answer = ask(server, operation, json.dumps(request).encode(), service="logs")
    assert status < 500, answer


@pytest.mark.parametrize("service", ["iam", "sts"])
@pytest.mark.parametrize("body", [b"", b"\xff", b"Action=Nope", b"Action=AssumeRole", b"Action=GetRole"])
def test_iam_and_sts_answer_junk_with_less_than_500(server: LocalSageMaker, service: str, body: bytes):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert send(server, "POST", "/", signed(server, body=body, headers=form, service=service), body)[0] < 500


def test_an_unknown_region_is_refused_as_aws_does(server: LocalSageMaker):
    for service in ("sagemaker", "logs"):
        status, answer = ask(server, "ListProcessingJobs", b"{}", service=service, region="mars")
        assert (status, answer["message"]) == (403, "Credential should be scoped to a valid region.")


@pytest.mark.parametrize(
    "sent",
    [
        b"POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\nAuthorization: {key}\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: x\r\nAuthorization: {key}\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: {host}\r\n\r\n",
        b"GET http://[x/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
        b"\x00\r\n\r\n",
    ],
)
def test_broken_http_is_answered_with_less_than_500(server: LocalSageMaker, sent: bytes):
    address = urlsplit(server.endpoint_url)
    key = (
        f"AWS4-HMAC-SHA256 Credential={server.key.access_key_id}/20260101/us-east-1/sagemaker/aws4_request, "
        "SignedHeaders=host, Signature=0"
    )
    sent = sent.replace(b"{host}", address.netloc.encode()).replace(b"{key}", key.encode())
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").readline()
    assert b" 5" not in answer.partition(b" ")[1] + answer.partition(b" ")[2][:1]


MANIFESTS = {
    "no list": b"{}",
    "nothing": b"",
    "an empty list": b"[]",
    "no prefix": b'[{"suffix": "s3://junk/"}]',
    "a prefix that is no text": b'[{"prefix": ["s3://junk/"]}, "a"]',
    "keys that are no text": b'[{"prefix": "s3://junk/"}, 5]',
    "lists in lists": b"[" * 1000 + b"]" * 1000,
    "lists in lists in lists": b"[" * 100_000,
    "a text": b'"s3://junk/"',
    "bytes": b"\xff\xfe\x00",
    "NaN": b"[NaN]",
    "a prefix that is no URI": b'[{"prefix": "junk/"}, "a"]',
    "a bucket that can't be": b'[{"prefix": "s3://[x/"}, "a"]',
    "a bucket and nothing else": b'[{"prefix": "s3://junk"}, ""]',
    "a surrogate": b'[{"prefix": "s3://junk/"}, "\\ud800"]',
    "a null character": b'[{"prefix": "s3://junk/"}, "a\\u0000b"]',
    "a key that isn't there": b'[{"prefix": "s3://junk/"}, "absent"]',
    "a way out": b'[{"prefix": "s3://junk/"}, "../../../etc/passwd"]',
    "a long key": b'[{"prefix": "s3://junk/"}, "' + b"a/" * 3000 + b'b"]',
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_manifest_that_is_none_fails_the_job_in_a_sentence(junk: Bench, case: str):
    uri = junk.put("manifest", MANIFESTS[case])
    item = s3_input("in", uri, "/opt/ml/processing/in", S3DataType="ManifestFile")
    job = junk.run(["true"], ProcessingInputs=[item])
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: ")


@pytest.mark.parametrize("uri", ["s3://[x", "s3://h b", "s3://b/\0", "s3://../..", "https://x", "https://[/x"])
@pytest.mark.parametrize("end", ["input", "output"])
def test_a_uri_that_is_none_fails_the_job_in_a_sentence(junk: Bench, uri: str, end: str):
    asked = (
        {"ProcessingInputs": [s3_input("in", uri, "/opt/ml/processing/in")]}
        if end == "input"
        else {"ProcessingOutputConfig": {"Outputs": [s3_output("out", uri, "/opt/ml/processing/out")]}}
    )
    job = junk.run(["sh", "-c", "touch /opt/ml/processing/out/file || true"], **asked)
    if uri == "s3://b/\0" and end == "output":
        assert job["FailureReason"].startswith("ClientError: Failed to upload output")
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: ")


@pytest.mark.parametrize(
    "fault",
    [
        {"operation": 5, "error": "x"},
        {"operation": None, "error": "x"},
        {"latency": "x"},
        {"latency": 1e300},
        {"latency": float("nan")},
        {"latency": True},
        {"error": "x", "status": 99_999},
        {"error": "x", "status": 200},
        {"error": "x", "status": 400.5},
        {"error": "x\r\ny"},
        {"error": 5},
        {"error": "x", "rate": "z"},
        {"error": "x", "rate": 2},
        {"error": "x", "times": "z"},
        {"error": "x", "times": -1},
        {"throttle": -1},
        {"drop": 5},
    ],
    ids=str,
)
def test_a_fault_of_junk_is_refused(fault: dict[str, Any]):
    with pytest.raises(ValueError, match="must be"):
        Fault(**fault)


@pytest.mark.parametrize(
    "body",
    [b"", b"[", b"[" * 100_000, b"[]", b"5", b'{"faults": 5}', b'{"faults": [5]}', b'{"faults": [], "seed": []}'],
)
def test_faults_that_are_none_are_refused(server: LocalSageMaker, body: bytes):
    secret = {"X-Local-SageMaker-Secret": server.key.secret_access_key}
    assert send(server, "PUT", "/_local/faults", secret, body)[0] == 400


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--port", "99999"], "port is 99999, and must be from 0 (any) to 65535."),
        (["--port", "-1"], "port is -1, and must be from 0 (any) to 65535."),
        (["--stop-grace", "nan"], "stop_grace is nan, and must be at least 0."),
        (["--stop-grace", "inf"], "stop_grace is inf, and must be at most"),
        (["--region", "mars"], "region is 'mars', which is no region of AWS's."),
        (["--role", "a b"], "roles has 'a b'; a role's name is up to 64 letters, digits and +=,.@_-, no ARN."),
        (["--fault", "*:latency=1e300"], "Fault '*': latency is 1e+300, and must be a number from 0 to 86400."),
        (["--data-dir", "{file}"], ""),
    ],
)
def test_options_that_make_no_sense_are_refused_in_a_line(tmp_path: Path, options: list[str], complaint: str):
    (tmp_path / "file").touch()
    options = [option.format(file=tmp_path / "file") for option in options]
    done = subprocess.run([COMMAND, "serve", *options], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith(f"airflow-sm-local: {complaint}")


DISK_FULL = "mount -t tmpfs -o {options} none {folder} && exec {serve} --data-dir {folder}"


@pytest.mark.skipif(os.getuid() != 0 or shutil.which("unshare") is None, reason="makes a small disk of its own")
@pytest.mark.parametrize("options", ["size=1m", "size=1m,nr_inodes=20"], ids=["no bytes left", "no files left"])
def test_a_full_disk_is_named(tmp_path: Path, options: str):
    disk = tmp_path / "disk"
    disk.mkdir()
    script = DISK_FULL.format(options=options, folder=disk, serve=shlex.join([COMMAND, "serve"]))
    command = ["unshare", "--mount", "sh", "-c", f'{script} "$@"', "sh"]
    with serving(tmp_path, command=command) as (_, ready):
        s3, sagemaker = client(ready, "s3"), client(ready, "sagemaker")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="in/large", Body=bytes(2 * 1024 * 1024))
        with pytest.raises(ClientError, match=r"InsufficientStorage.*No space left on device. Make room on its disk"):
            s3.put_object(Bucket="bucket", Key="huge", Body=bytes(40 * 1024 * 1024))
        sagemaker.create_processing_job(
            ProcessingJobName="full",
            RoleArn="arn:aws:iam::123456789012:role/SageMakerRole",
            AppSpecification={"ImageUri": "image", "ContainerEntrypoint": ["true"]},
            ProcessingResources={
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
            },
            ProcessingInputs=[s3_input("in", "s3://bucket/in/", "/opt/ml/processing/in")],
        )
        describe = lambda: sagemaker.describe_processing_job(ProcessingJobName="full")  # noqa: E731
        wait_until(lambda: "FailureReason" in describe(), shows=describe)
        job = describe()
        assert "No space left on device" in job["FailureReason"]
        assert job["ProcessingJobStatus"] == "Failed"
        for opened in (s3, sagemaker):
            opened.close()
