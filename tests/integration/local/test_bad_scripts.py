"""Scripts that misbehave: nothing hangs, nothing is lost, and the reason is told."""

from __future__ import annotations

import os

import pytest

from .bench import Bench, s3_input, s3_output
from .processes import running

KIB = 1024


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["sh", "-c", "exit 3"], "AlgorithmError: , exit code: 3"),
        (["sh", "-c", "kill -KILL $$"], "AlgorithmError: , exit code: 137"),
        (["python3", "-c", "import os; os.kill(os.getpid(), 11)"], "AlgorithmError: , exit code: 139"),
        (["no-such-program"], "AlgorithmError: , exit code: 127"),
        (["/etc/hostname"], "AlgorithmError: , exit code: 126"),
        (["python3", "/opt/ml/processing/input/code/missing.py"], "AlgorithmError: , exit code: 2"),
    ],
)
def test_an_exit_code_fails_the_job_and_is_in_the_reason(bench: Bench, command: list[str], reason: str):
    job = bench.run(command)
    assert (job["ProcessingJobStatus"], job["FailureReason"]) == ("Failed", reason)


def test_an_exit_message_is_given_for_failed_jobs_too_and_cut_at_1_kib_between_characters(bench: Bench):
    job = bench.run(["sh", "-c", "printf 'x' > /opt/ml/output/message; exit 4"])
    assert (job["FailureReason"], job["ExitMessage"]) == ("AlgorithmError: , exit code: 4", "x")
    script = "open('/opt/ml/output/message', 'w').write('a' + 'é' * 1000)"
    assert bench.run_script(script)["ExitMessage"] == "a" + "é" * 511


def test_an_exit_message_that_is_no_utf8_fails_the_job(bench: Bench):
    job = bench.run(["sh", "-c", r"printf '\377' > /opt/ml/output/message"])
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"] == "ClientError: The file /opt/ml/output/message isn't UTF-8."


def test_a_script_that_writes_no_output_completes_and_uploads_nothing(bench: Bench):
    output = s3_output("out", f"s3://{bench.bucket}/out", "/opt/ml/processing/out")
    job = bench.run(["true"], ProcessingOutputConfig={"Outputs": [output]})
    assert job["ProcessingJobStatus"] == "Completed"
    assert bench.objects() == {}


def test_a_failed_job_uploads_only_continuous_outputs(bench: Bench):
    outputs = [
        s3_output(mode, f"s3://{bench.bucket}/{mode}", f"/opt/ml/processing/{mode}", mode)
        for mode in ("EndOfJob", "Continuous")
    ]
    command = "for m in EndOfJob Continuous; do echo data > /opt/ml/processing/$m/file; done; exit 1"
    job = bench.run(["sh", "-c", command], ProcessingOutputConfig={"Outputs": outputs})
    assert job["ProcessingJobStatus"] == "Failed"
    assert bench.objects() == {"Continuous/file": b"data\n"}


def test_log_bytes_that_are_no_utf8_are_replaced(bench: Bench):
    name = bench.create(["printf", r"caf\351 \377\376\nplain\n"])
    bench.end(name)
    assert bench.logs(name) == {"algo-1": ["caf\ufffd \ufffd\ufffd", "plain"]}


def test_a_1_mb_line_arrives_whole_in_events_of_at_most_256_kib(bench: Bench):
    name = bench.create_script("print('é' * 512 * 1024); print('after')")
    bench.end(name)
    *pieces, last = bench.logs(name)["algo-1"]
    assert (last, "".join(pieces)) == ("after", "é" * 512 * KIB)
    assert len(pieces) == 5
    assert all(len(piece.encode()) <= 256 * KIB - 26 for piece in pieces)


def test_a_flood_of_lines_arrives_complete_and_in_order(bench: Bench):
    name = bench.create_script("for i in range(30_000): print(i)")
    bench.end(name)
    assert bench.logs(name) == {"algo-1": [str(number) for number in range(30_000)]}


def test_the_last_line_needs_no_line_feed_and_stderr_keeps_its_place(bench: Bench):
    name = bench.create(["sh", "-c", "echo one; echo two >&2; printf three"])
    bench.end(name)
    assert bench.logs(name) == {"algo-1": ["one", "two", "three"]}


def test_lines_are_in_the_log_while_the_script_runs(bench: Bench):
    name = bench.create(["sh", "-c", "echo started; exec sleep 600"])
    bench.wait_for_line(name, "started")
    assert bench.describe(name)["ProcessingJobStatus"] == "InProgress"
    bench.sagemaker.stop_processing_job(ProcessingJobName=name)
    bench.end(name)


def test_background_processes_die_with_the_script(bench: Bench):
    marker = f"600.{os.getpid()}1"
    name = bench.create(["sh", "-c", f"setsid sleep {marker} & nohup sleep {marker} & echo done"])
    bench.end(name)
    assert bench.logs(name) == {"algo-1": ["done"]}
    assert running(marker) == []


def test_when_one_host_fails_the_others_are_stopped(bench: Bench):
    script = """
import json, sys, time
if json.load(open("/opt/ml/config/resourceconfig.json"))["current_host"] == "algo-2": sys.exit(7)
time.sleep(600)
"""
    assert bench.run_script(script, hosts=3)["FailureReason"] == "AlgorithmError: , exit code: 7"


@pytest.mark.parametrize("prefix", ["nothing/here", ""])
def test_an_input_without_objects_fails_the_job(bench: Bench, prefix: str):
    bucket = bench.bucket if prefix else "no-such-bucket-anywhere"
    uri = f"s3://{bucket}/{prefix}"
    job = bench.run(["true"], ProcessingInputs=[s3_input("in", uri, "/opt/ml/processing/in")])
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(
        f'ClientError: Data download failed: No S3 objects found under S3 URL "{uri}"'
    )


def test_an_output_bucket_that_is_missing_fails_the_job(bench: Bench):
    output = s3_output("out", "s3://no-such-bucket-anywhere/out", "/opt/ml/processing/out")
    job = bench.run(["touch", "/opt/ml/processing/out/file"], ProcessingOutputConfig={"Outputs": [output]})
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(
        "ClientError: Failed to upload output to s3://no-such-bucket-anywhere/out/file"
    )


def test_a_key_that_is_a_file_and_a_folder_fails_the_job(bench: Bench):
    bench.put("in/a", "file")
    bench.put("in/a/b", "and folder")
    uri = f"s3://{bench.bucket}/in/"
    job = bench.run(["true"], ProcessingInputs=[s3_input("in", uri, "/opt/ml/processing/in")])
    assert "Is the same name a file and a folder?" in job["FailureReason"]


def test_a_key_cannot_leave_the_inputs_folder(bench: Bench):
    manifest = bench.put("manifest", f'[{{"prefix": "s3://{bench.bucket}/"}}, "../../escaped"]')
    bench.put("../../escaped", "x")
    item = s3_input("in", manifest, "/opt/ml/processing/in", S3DataType="ManifestFile")
    job = bench.run(["true"], ProcessingInputs=[item])
    assert job["ProcessingJobStatus"] == "Failed"


def test_a_log_group_that_is_deleted_meanwhile_costs_no_later_line(bench: Bench):
    name = bench.create(
        ["sh", "-c", "echo before; while [ ! -e /opt/ml/processing/go ]; do sleep 0.1; echo after; done"]
    )
    bench.wait_for_line(name, "before")
    bench.cloudwatch.delete_log_group(logGroupName="/aws/sagemaker/ProcessingJobs")
    bench.wait_for_line(name, "after")
    bench.sagemaker.stop_processing_job(ProcessingJobName=name)
    assert set(bench.logs(name)["algo-1"]) == {"after"}
    bench.end(name)
