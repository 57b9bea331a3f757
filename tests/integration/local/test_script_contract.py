"""Scripts written for the real service run as they are."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile

from .bench import IMAGE, Bench, s3_input, s3_output


def test_a_script_reads_and_writes_absolute_paths_in_folders_that_exist(bench: Bench):
    data = bench.put("in/a.csv", "1,2\n")
    script = """
from pathlib import Path
text = Path("/opt/ml/processing/input/data/a.csv").read_text()
Path("/opt/ml/processing/train/out.csv").write_text(text * 2)
Path("/opt/ml/processing/test/sub").mkdir()
Path("/opt/ml/processing/test/sub/out.csv").write_text("test")
"""
    job = bench.run_script(
        script,
        inputs=[s3_input("data", data, "/opt/ml/processing/input/data")],
        ProcessingOutputConfig={
            "Outputs": [
                s3_output("train", f"s3://{bench.bucket}/out/train", "/opt/ml/processing/train"),
                s3_output("test", f"s3://{bench.bucket}/out/test/", "/opt/ml/processing/test"),
            ]
        },
    )
    assert job["ProcessingJobStatus"] == "Completed"
    assert bench.objects("out/") == {"out/train/out.csv": b"1,2\n1,2\n", "out/test/sub/out.csv": b"test"}


def test_relative_paths_lead_to_the_same_places(bench: Bench):
    data = bench.put("in/a.txt", "relative")
    script = """
import os
print(open("opt/ml/processing/input/data/a.txt").read())
print(open(os.path.relpath("/opt/ml/processing/input/data/a.txt")).read())
open("scratch.txt", "w").write("mine")
print(os.listdir("."))
"""
    name = bench.create_script(script, inputs=[s3_input("data", data, "/opt/ml/processing/input/data")])
    assert bench.end(name)["ProcessingJobStatus"] == "Completed"
    lines = bench.logs(name)["algo-1"]
    assert lines[:2] == ["relative", "relative"]
    assert sorted(json.loads(lines[2].replace("'", '"'))) == ["opt", "scratch.txt"]


def test_the_config_files_say_what_was_asked_for(bench: Bench):
    script = """
print(open("/opt/ml/config/processingjobconfig.json").read())
print(open("/opt/ml/config/resourceconfig.json").read())
"""
    name = bench.create_script(script, Environment={"STAGE": "test"}, StoppingCondition={"MaxRuntimeInSeconds": 60})
    job = bench.end(name)
    job_config, resource_config = map(json.loads, bench.logs(name)["algo-1"])
    asked = ("ProcessingJobArn", "ProcessingJobName", "ProcessingInputs", "ProcessingResources", "AppSpecification")
    asked += ("RoleArn", "Environment", "StoppingCondition")
    assert job_config == {field: job[field] for field in asked}
    assert resource_config == {"current_host": "algo-1", "hosts": ["algo-1"]}


def test_arguments_and_environment_reach_the_script(bench: Bench):
    script = "import os, sys; print(sys.argv[1:], os.environ['STAGE'], os.environ['AWS_REGION'])"
    uri = bench.put("code/script.py", script)
    name = bench.create(
        ["python3"],
        AppSpecification={
            "ImageUri": IMAGE,
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/script.py"],
            "ContainerArguments": ["--rate", "0.1", "ü b"],
        },
        ProcessingInputs=[s3_input("code", uri, "/opt/ml/processing/input/code")],
        Environment={"STAGE": "live"},
    )
    bench.end(name)
    assert bench.logs(name) == {"algo-1": ["['--rate', '0.1', 'ü b'] live us-east-1"]}


def test_the_servers_own_environment_stays_out_of_the_script(bench: Bench, monkeypatch):
    monkeypatch.setenv("MY_DATABASE_PASSWORD", "hunter2")
    name = bench.create_script("import os; print('MY_DATABASE_PASSWORD' in os.environ, 'hunter2' in str(os.environ))")
    bench.end(name)
    assert bench.logs(name) == {"algo-1": ["False False"]}


def test_a_shell_entrypoint_and_subprocesses_find_the_images_python(bench: Bench):
    name = bench.create(["bash", "-c", "python -c 'import sys; print(sys.prefix)'; python3 -c 'import boto3'"])
    assert bench.end(name)["ProcessingJobStatus"] == "Completed"
    prefix = bench.logs(name)["algo-1"][0]
    assert prefix.endswith("/algo-1/python")


def test_pip_install_at_start_works_and_stays_in_the_job(bench: Bench):
    wheel = bench.put("wheels/tinytool-1.0-py3-none-any.whl", _wheel())
    script = """
import subprocess, sys
wheel = "/opt/ml/processing/input/wheels/tinytool-1.0-py3-none-any.whl"
pip = ["install", "--quiet", "--no-index", "--no-deps", wheel]
subprocess.check_call([sys.executable, "-m", "pip", *pip])
import tinytool
print(tinytool.__file__.startswith(sys.prefix))
subprocess.check_call(["pip", "install", "--quiet", "--no-index", "--no-deps", "--force-reinstall", wheel])
"""
    name = bench.create_script(script, inputs=[s3_input("wheels", wheel, "/opt/ml/processing/input/wheels")])
    assert bench.end(name).get("FailureReason") is None
    assert bench.logs(name)["algo-1"] == ["True"]
    again = bench.run_script("import tinytool")
    assert again["FailureReason"] == "AlgorithmError: , exit code: 1"


def _wheel() -> bytes:
    files = {
        "tinytool.py": b"answer = 42\n",
        "tinytool-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tinytool\nVersion: 1.0\n",
        "tinytool-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={_digest(body)},{len(body)}\n" for name, body in files.items())
    files["tinytool-1.0.dist-info/RECORD"] = f"{record}tinytool-1.0.dist-info/RECORD,,\n".encode()
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return wheel.getvalue()


def _digest(body: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()).decode().rstrip("=")


def test_hosts_know_each_other_and_their_parts(bench: Bench):
    for number in range(5):
        bench.put(f"parts/{number}.txt", str(number))
    script = """
import json, os, socket
config = json.load(open("/opt/ml/config/resourceconfig.json"))
me = config["current_host"]
parts, all = (sorted(os.listdir(f"/opt/ml/processing/{name}")) for name in ("parts", "all"))
print(me, config["hosts"], parts, all)
print([socket.gethostbyname(host) for host in config["hosts"]])
open(f"/opt/ml/processing/out/{me}.txt", "w").write(me)
os.makedirs("/opt/ml/output", exist_ok=True)
open("/opt/ml/output/message", "w").write(f"{me};")
"""
    parts = f"s3://{bench.bucket}/parts/"
    name = bench.create_script(
        script,
        hosts=3,
        inputs=[
            s3_input("parts", parts, "/opt/ml/processing/parts", S3DataDistributionType="ShardedByS3Key"),
            s3_input("all", parts, "/opt/ml/processing/all", S3DataDistributionType="FullyReplicated"),
        ],
        ProcessingOutputConfig={
            "Outputs": [s3_output("out", f"s3://{bench.bucket}/out", "/opt/ml/processing/out", "Continuous")]
        },
    )
    assert bench.end(name)["ExitMessage"] == "algo-1;algo-2;algo-3;"
    hosts = ["algo-1", "algo-2", "algo-3"]
    every = [f"{number}.txt" for number in range(5)]
    assert {host: lines[0] for host, lines in bench.logs(name).items()} == {
        "algo-1": f"algo-1 {hosts} {every[0::3]} {every}",
        "algo-2": f"algo-2 {hosts} {every[1::3]} {every}",
        "algo-3": f"algo-3 {hosts} {every[2::3]} {every}",
    }
    assert bench.logs(name)["algo-1"][1] == "['127.0.1.1', '127.0.1.2', '127.0.1.3']"
    assert set(bench.objects("out/")) == {f"out/{host}.txt" for host in hosts}


def test_boto3_in_a_script_reaches_the_server(bench: Bench):
    bench.put("greeting", "hello")
    script = f"""
import boto3
print(boto3.client("s3").get_object(Bucket="{bench.bucket}", Key="greeting")["Body"].read().decode())
print(boto3.client("sts").get_caller_identity()["Account"])
"""
    name = bench.create_script(script)
    bench.end(name)
    assert bench.logs(name) == {"algo-1": ["hello", "123456789012"]}


def test_continuous_outputs_come_while_the_job_runs(bench: Bench):
    script = """
import pathlib, time
pathlib.Path("/opt/ml/processing/out/early.txt").write_text("early")
print("written", flush=True)
while not pathlib.Path("/opt/ml/processing/out/stop").exists(): time.sleep(0.05)
"""
    output = s3_output("out", f"s3://{bench.bucket}/out", "/opt/ml/processing/out", "Continuous")
    name = bench.create_script(script, ProcessingOutputConfig={"Outputs": [output]})
    while bench.objects("out/") != {"out/early.txt": b"early"}:
        assert "ProcessingEndTime" not in bench.describe(name)
    bench.sagemaker.stop_processing_job(ProcessingJobName=name)
    assert bench.end(name)["ProcessingJobStatus"] == "Stopped"


def test_symbolic_links_are_not_uploaded(bench: Bench):
    script = """
import os
open("/opt/ml/processing/out/real", "w").write("real")
os.symlink("/etc/hostname", "/opt/ml/processing/out/link")
os.symlink("/etc", "/opt/ml/processing/out/folder")
"""
    output = s3_output("out", f"s3://{bench.bucket}/out", "/opt/ml/processing/out")
    bench.run_script(script, ProcessingOutputConfig={"Outputs": [output]})
    assert bench.objects("out/") == {"out/real": b"real"}


def test_a_prefix_is_no_folder_and_keys_keep_their_structure(bench: Bench):
    for key in ("data/a.txt", "data/deep/b.txt", "data-more/c.txt", "data/empty/", "other/d.txt"):
        bench.put(key, "" if key.endswith("/") else key)
    script = """
import os
for folder, folders, files in sorted(os.walk("/opt/ml/processing/in")):
    print(folder, sorted(folders), sorted(files))
"""
    name = bench.create_script(script, inputs=[s3_input("in", f"s3://{bench.bucket}/data", "/opt/ml/processing/in")])
    bench.end(name)
    assert bench.logs(name)["algo-1"] == [
        "/opt/ml/processing/in ['data-more', 'deep', 'empty'] ['a.txt']",
        "/opt/ml/processing/in/data-more [] ['c.txt']",
        "/opt/ml/processing/in/deep [] ['b.txt']",
        "/opt/ml/processing/in/empty [] []",
    ]


def test_a_manifest_names_the_objects(bench: Bench):
    for key in ("data/a.txt", "data/deep/b.txt", "data/c.txt"):
        bench.put(key, key)
    manifest = [{"prefix": f"s3://{bench.bucket}/data/"}, "a.txt", "deep/b.txt"]
    uri = bench.put("lists/manifest.json", json.dumps(manifest))
    script = """
import os
for folder, folders, files in sorted(os.walk("/opt/ml/processing/in")):
    print(folder, sorted(folders), sorted(files))
"""
    name = bench.create_script(script, inputs=[s3_input("in", uri, "/opt/ml/processing/in", S3DataType="ManifestFile")])
    bench.end(name)
    assert bench.logs(name)["algo-1"] == [
        "/opt/ml/processing/in ['deep'] ['a.txt']",
        "/opt/ml/processing/in/deep [] ['b.txt']",
    ]
