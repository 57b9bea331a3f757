"""Scripts written for the real service run as they are."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import time
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.local import sandbox

from .bench import IMAGE, Bench, s3_input, s3_output

if TYPE_CHECKING:
    from airflow_sm_processing.local import LocalSageMaker


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
    net = "192.0.2" if sandbox.can_be_own(bench.server.isolation) else "127.0.1"
    assert bench.logs(name)["algo-1"][1] == f"['{net}.1', '{net}.2', '{net}.3']"
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


LINKED = {
    "the output's own folder": "os.rename(base + 'a/b/out', base + 'real'); os.symlink(base + 'real', {path})",
    "its parent": "os.rename(base + 'a/b', base + 'real'); os.symlink('../real', base + 'a/b')",
    "its parent's parent": "os.rename(base + 'a', base + 'real'); os.symlink('real', base + 'a')",
    "a folder of another place": "shutil.rmtree(base + 'a'); os.symlink('/etc', base + 'a')",
    "a folder in it": "os.rename({path} + '/deep', base + 'real'); os.symlink(base + 'real', {path} + '/deep')",
}


@pytest.mark.parametrize("mode", ["EndOfJob", "Continuous"])
@pytest.mark.parametrize("case", LINKED)
def test_nothing_that_a_link_leads_to_is_uploaded_and_the_log_says_so(bench: Bench, case: str, mode: str):
    script = f"""
import os, shutil
base = "/opt/ml/processing/"
os.makedirs(base + "a/b/out/deep", exist_ok=True)
open(base + "a/b/out/deep/file", "w").write("secret")
{LINKED[case].format(path="base + 'a/b/out'")}
"""
    output = s3_output("out", f"s3://{bench.bucket}/out", "/opt/ml/processing/a/b/out", mode)
    name = bench.create_script(script, ProcessingOutputConfig={"Outputs": [output]})
    assert bench.end(name)["ProcessingJobStatus"] == "Completed"
    assert bench.objects("out/") == {}
    (remark,) = [line for line in bench.remarks(name) if "nor follows links" in line]
    assert "/opt/ml/processing/a" in remark


def test_an_output_whose_parents_turn_into_links_and_back_is_never_followed(bench: Bench):
    script = """
import os, time
base = "/opt/ml/processing/"
os.makedirs(base + "secret/out")
open(base + "secret/out/file", "w").write("secret")
open(base + "a/out/file", "w").write("own")
os.symlink("secret", base + "link")
until = time.monotonic() + 6
while time.monotonic() < until:
    for one, other in (("a", "real"), ("link", "a"), ("a", "link"), ("real", "a")):
        os.rename(base + one, base + other)
"""
    output = s3_output("out", f"s3://{bench.bucket}/out", "/opt/ml/processing/a/out", "Continuous")
    name = bench.create_script(script, ProcessingOutputConfig={"Outputs": [output]})
    while "ProcessingEndTime" not in bench.describe(name):
        assert bench.objects("out/") in ({}, {"out/file": b"own"})
        time.sleep(0.1)
    assert bench.end(name)["ProcessingJobStatus"] == "Completed"
    assert bench.objects("out/") == {"out/file": b"own"}


def test_an_exit_message_behind_a_link_is_not_read(bench: Bench):
    for change in (
        "ln -s /etc/hostname message",
        "cd ..; rmdir output; ln -s processing output; echo x > output/message",
    ):
        job = bench.run(["sh", "-c", f"cd /opt/ml/output; {change}"])
        assert (job["ProcessingJobStatus"], job.get("ExitMessage")) == ("Completed", None)


def test_a_pipe_in_an_output_is_left_alone(bench: Bench):
    output = s3_output("out", f"s3://{bench.bucket}/out", "/opt/ml/processing/out")
    command = "mkfifo /opt/ml/processing/out/pipe; echo x > /opt/ml/processing/out/file"
    bench.run(["sh", "-c", command], ProcessingOutputConfig={"Outputs": [output]})
    assert bench.objects("out/") == {"out/file": b"x\n"}


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


LIST = ["sh", "-c", "cd /opt/ml/processing/in && find . -mindepth 1 | sort"]
PLACED = {
    "a folder's mark, its slash in the URI": ({"mk/": "", "mk/a.csv": "a"}, "mk/", ["./a.csv"]),
    "a folder's mark, without the slash": ({"mk/": "", "mk/a.csv": "a"}, "mk", ["./a.csv"]),
    "marks at every level": (
        {"mk/": "", "mk/in/": "", "mk/in/deep/": "", "mk/in/a": "a", "mk/none/": ""},
        "mk/",
        ["./in", "./in/a", "./in/deep", "./none"],
    ),
    "a mark and nothing else": ({"mk/": ""}, "mk/", []),
    "an empty object named as a folder": ({"mk/in": "", "mk/in/a": "a"}, "mk/", ["./in", "./in/a"]),
    "an object named as the prefix": ({"mk": "x", "mk/a": "a"}, "mk", ["./a", "./mk"]),
    "the whole bucket": ({"top": "a", "mk/": "", "mk/a": "a"}, "", ["./mk", "./mk/a", "./top"]),
    "a name of 255 bytes": ({"mk/" + "é" * 127 + "a": "a"}, "mk/", ["./" + "é" * 127 + "a"]),
    "names that are odd to a shell": ({"mk/$(x) *": "a", "mk/-rf": "a"}, "mk/", ["./$(x) *", "./-rf"]),
}


@pytest.fixture
def own_bucket(bench_factory: Any, sagemaker: LocalSageMaker) -> Bench:
    """A bucket in which nothing else is."""
    return bench_factory(sagemaker)


def fill(bench: Bench, objects: dict[str, str], prefix: str) -> str:
    for key, body in objects.items():
        bench.put(key, body)
    return f"s3://{bench.bucket}/{prefix}"


@pytest.mark.parametrize("case", PLACED)
def test_objects_become_files_and_folders(own_bucket: Bench, case: str):
    objects, prefix, found = PLACED[case]
    uri = fill(own_bucket, objects, prefix)
    name = own_bucket.create(LIST, ProcessingInputs=[s3_input("in", uri, "/opt/ml/processing/in")])
    assert own_bucket.end(name)["ProcessingJobStatus"] == "Completed"
    assert own_bucket.logs(name).get("algo-1", []) == found


CLASH = (
    ": s3://{{bucket}}/{one} and s3://{{bucket}}/{other} both need {path!r} in the input's folder. Is the same name a "
    "file and a folder? Rename one of them, or choose a longer prefix."
)
IMPOSSIBLE = {
    "two slashes": (
        {"mk/a//b.csv": "x"},
        "mk/",
        ":Failed to download data. S3 key: s3://{bucket}/mk/a//b.csv has an illegal char sub-sequence '//' in it",
    ),
    "two slashes above the prefix": (
        {"mk//a/b.csv": "x"},
        "mk//a/",
        ":Failed to download data. S3 key: s3://{bucket}/mk//a/b.csv has an illegal char sub-sequence '//' in it",
    ),
    "a file beside a folder of its name": (
        {"mk/x": "x", "mk/x/y": "y"},
        "mk/",
        CLASH.format(one="mk/x", other="mk/x/y", path="x"),
    ),
    "a file beside a folder's mark": (
        {"mk/x": "x", "mk/x/": ""},
        "mk/",
        CLASH.format(one="mk/x", other="mk/x/", path="x"),
    ),
    "two objects in one place": (
        {"d/a/b": "1", "d/ab": "2", "d/a/ab": "3"},
        "d/a",
        CLASH.format(one="d/ab", other="d/a/ab", path="ab"),
    ),
    "a long name": (
        {"mk/" + "é" * 128: "x"},
        "mk/",
        ": s3://{bucket}/mk/" + "é" * 128 + " can't be a file: a name in it has 256 bytes, and a file's name has at "
        "most 255.",
    ),
    "a folder's long name": (
        {"mk/" + "a" * 256 + "/b": "x"},
        "mk/",
        ": s3://{bucket}/mk/" + "a" * 256 + "/b can't be a file: a name in it has 256 bytes, and a file's name has at "
        "most 255.",
    ),
    "a way out of the folder": (
        {"mk/../x": "x"},
        "mk/",
        ": 's3://{bucket}/mk/../x' can't be a file: it has the name '..' in it.",
    ),
    "a folder's mark with content": (
        {"mk/x/": "lost"},
        "mk/",
        ": s3://{bucket}/mk/x/ has 4 bytes, but its name is a folder's. Give it a name that doesn't end in a slash.",
    ),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_cannot_be_a_file_fails_the_job_before_anything_runs(own_bucket: Bench, case: str):
    objects, prefix, reason = IMPOSSIBLE[case]
    uri = fill(own_bucket, objects, prefix)
    job = own_bucket.run(["true"], ProcessingInputs=[s3_input("in", uri, "/opt/ml/processing/in")])
    assert job["ProcessingJobStatus"] == "Failed"
    expected = "ClientError: Data download failed" + reason.replace("{bucket}", own_bucket.bucket)
    assert job["FailureReason"] == expected


def test_folders_marks_are_on_every_host_and_no_hosts_share(own_bucket: Bench):
    uri = fill(own_bucket, {"mk/": "", "mk/a": "", "mk/b": "", "mk/c/": ""}, "mk/")
    item = s3_input("in", uri, "/opt/ml/processing/in", S3DataDistributionType="ShardedByS3Key")
    name = own_bucket.create(LIST, hosts=2, ProcessingInputs=[item])
    own_bucket.end(name)
    assert own_bucket.logs(name) == {"algo-1": ["./a", "./c"], "algo-2": ["./b", "./c"]}


def test_a_manifest_may_name_folders_marks_and_a_key_twice(own_bucket: Bench):
    fill(own_bucket, {"d/": "", "d/sub/": "", "d/sub/a": "a", "d/marked": "", "d/marked/b": "b"}, "")
    names = ["/sub/", "/sub/a", "/sub/a", "/marked", "/marked/b"]
    uri = own_bucket.put("manifest", json.dumps([{"prefix": f"s3://{own_bucket.bucket}/d"}, *names]))
    item = s3_input("in", uri, "/opt/ml/processing/in", S3DataType="ManifestFile")
    name = own_bucket.create(LIST, ProcessingInputs=[item])
    own_bucket.end(name)
    assert own_bucket.logs(name)["algo-1"] == ["./marked", "./marked/b", "./sub", "./sub/a"]
