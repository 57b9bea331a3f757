"""Hosts of a job are machines of their own to each other, where this machine permits it; else the log says so."""

from __future__ import annotations

import array
import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.local import LocalSageMaker, launch, sandbox

from .test_isolation import works_here

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_sm_processing.local.sandbox import Mode

    from .bench import Bench

PYTHON = Path("/usr/bin/python3")
NOBODY = 65534
MEET = """
import json, os, socket, time
me = json.load(open("/opt/ml/config/resourceconfig.json"))
server = socket.create_server(("0.0.0.0", 17771))
until = time.monotonic() + 60
for host in me["hosts"]:
    if host != me["current_host"]:
        while True:
            try:
                with socket.create_connection((host, 17771), timeout=5) as connection:
                    connection.sendall(me["current_host"].encode())
                break
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.1)
heard = sorted(server.accept()[0].recv(100).decode() for host in me["hosts"][1:])
print("heard", *heard)
import boto3
boto3.client("s3").put_object(Bucket=os.environ["BUCKET"], Key="met/" + me["current_host"], Body=b"x")
"""


@pytest.fixture(scope="module", params=["namespace", "mount"])
def server(request: pytest.FixtureRequest) -> Iterator[LocalSageMaker]:
    if not works_here(request.param) or not sandbox.can_be_own(request.param):
        pytest.skip(f"this machine permits no networks with the isolation {request.param}")
    with LocalSageMaker(isolation=request.param, stop_grace=1, account_id="444444444444") as server:
        yield server


@pytest.fixture
def bench(server: LocalSageMaker, bench_factory: Any) -> Bench:
    return bench_factory(server)


def test_hosts_listen_on_one_port_reach_each_other_by_name_and_reach_the_server(bench: Bench):
    name = bench.create_script(MEET, hosts=3, Environment={"BUCKET": bench.bucket})
    assert bench.end(name)["ProcessingJobStatus"] == "Completed", bench.logs(name)
    assert bench.logs(name) == {
        "algo-1": ["heard algo-2 algo-3"],
        "algo-2": ["heard algo-1 algo-3"],
        "algo-3": ["heard algo-1 algo-2"],
    }
    assert set(bench.objects("met/")) == {"met/algo-1", "met/algo-2", "met/algo-3"}
    for once in ("isn't pulled", "a network of its own"):
        assert sum(once in remark for remark in bench.remarks(name)) == 1


def test_two_jobs_at_once_do_not_meet(bench: Bench):
    names = [bench.create_script(MEET, hosts=2, Environment={"BUCKET": bench.bucket}) for _ in range(2)]
    assert [bench.end(name)["ProcessingJobStatus"] for name in names] == ["Completed", "Completed"]


def left_open() -> list[str]:
    """Return what this process has open for jobs' networks: threads that serve them, and namespaces."""
    threads = [thread.name for thread in threading.enumerate() if thread.name.startswith("network-")]
    found = []
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile, by a connection's thread
            found.append(str(path.readlink()))
    return threads + [target for target in found if target.startswith(("net:", "user:"))]


def test_hosts_are_stopped_and_killed_as_ever_and_nothing_is_left_open(bench: Bench):
    name = bench.create(["sh", "-c", "trap '' TERM; echo ready; sleep 600"], hosts=2)
    bench.wait_for_line(name, "ready")
    assert len(left_open()) >= 3
    bench.sagemaker.stop_processing_job(ProcessingJobName=name)
    assert bench.end(name)["ProcessingJobStatus"] == "Stopped"
    assert left_open() == []


def test_a_script_inherits_nothing_of_the_helpers(bench: Bench):
    name = bench.create(["sh", "-c", "ls -l /proc/self/fd | grep -c net: ; true"], hosts=2)
    bench.end(name)
    assert bench.logs(name) == {"algo-1": ["0"], "algo-2": ["0"]}


def test_a_job_of_one_host_keeps_the_machines_network(bench: Bench):
    with socket.create_server(("127.0.0.1", 0)) as outside:
        port = outside.getsockname()[1]
        connect = ["python3", "-c", f"import socket; socket.create_connection(('127.0.0.1', {port}), timeout=10)"]
        assert bench.run(connect)["ProcessingJobStatus"] == "Completed"
        assert bench.run(connect, hosts=2)["ProcessingJobStatus"] == "Failed"


@pytest.mark.parametrize(("wanted", "hosts"), [("own", 1), ("shared", 2)])
def test_the_network_can_be_chosen(bench_factory: Any, server: LocalSageMaker, wanted: Any, hosts: int):
    with LocalSageMaker(network=wanted, isolation=server.isolation) as chosen:
        bench: Bench = bench_factory(chosen)
        name = bench.create(["cat", "/etc/hosts"], hosts=hosts)
        bench.end(name)
        address = "192.0.2.1" if wanted == "own" else "127.0.1.1"
        assert f"{address} algo-1" in bench.logs(name)["algo-1"]
        assert any("share this machine's network" in remark for remark in bench.remarks(name)) == (wanted == "shared")


def test_where_hosts_cannot_have_networks_the_log_says_so(bench_factory: Any):
    with LocalSageMaker(isolation="folder") as server:
        bench: Bench = bench_factory(server)
        name = bench.create(["true"], hosts=2)
        assert bench.end(name)["ProcessingJobStatus"] == "Completed"
        remarks = [remark for remark in bench.remarks(name) if "share this machine's network" in remark]
        assert [remark.rpartition("own name, ")[2] for remark in remarks] == ["such as algo-1, instead."]


def test_a_network_that_cannot_be_made_is_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sandbox, "_start_helper", _refused)
    sandbox.can_be_own.cache_clear()
    try:
        assert not sandbox.network_of(2, "auto", "namespace").is_own
    finally:
        sandbox.can_be_own.cache_clear()


def _refused(_: object) -> None:
    raise PermissionError("no processes here")


class PlainUsersHelpers:
    """Helpers that a plain user starts, in a folder that he may enter: the parents of tmp_path are closed to others."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="plain-network-", dir="/tmp"))
        for name in ("launch.py", "host_network.py"):
            shutil.copy(Path(launch.__file__).with_name(name), self.folder)
        self.folder.chmod(0o755)
        self._ours, self._theirs = socket.socketpair()
        self._ours.settimeout(60)
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, spec: dict[str, Any], *descriptors: int) -> subprocess.Popen[bytes]:
        report, result = os.pipe()
        started = subprocess.Popen(
            [PYTHON, "-I", "-S", self.folder / "launch.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[self._theirs.fileno(), result, *descriptors],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
        )
        os.close(result)
        os.close(report)
        self._started.append(started)
        assert started.stdin
        started.stdin.write(json.dumps({"report": result} | spec).encode() + b"\n")
        started.stdin.flush()
        return started

    def make_switch(self) -> list[int]:
        self.start({"mode": "switch", "channel": self._theirs.fileno()})
        return self._received()

    def start_host(self, mode: Mode, number: int, namespaces: list[int], script: str) -> subprocess.Popen[bytes]:
        root = self.folder / str(number)
        sandbox.make_root(root)
        for path in (root, *root.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        place = {"channel": self._theirs.fileno(), "namespaces": namespaces, "number": number}
        spec = {
            "mode": mode,
            "root": str(root),
            "directory": str(root),
            "command": [str(PYTHON), "-c", script],
            "environment": {"PATH": "/usr/bin:/bin"},
            "network": place | {"address": f"192.0.2.{number}", "port": 17770},
        }
        started = self.start(spec, *namespaces)
        for listener in self._received():
            os.close(listener)
        return started

    def _received(self) -> list[int]:
        _, data, _, _ = self._ours.recvmsg(1, 100)
        found = array.array("i")
        found.frombytes(data[0][2])
        return list(found)

    def close(self) -> None:
        for started in self._started:
            started.communicate(timeout=60)
        self._ours.close()
        self._theirs.close()
        shutil.rmtree(self.folder)


@pytest.fixture
def plain() -> Iterator[PlainUsersHelpers]:
    """A plain user's helpers, where root runs the tests."""
    if os.getuid() != 0 or not PYTHON.exists():
        pytest.skip(
            "the other tests prove it where they aren't run by root; and everybody must be able to run a Python"
        )
    helpers = PlainUsersHelpers()
    yield helpers
    helpers.close()


LISTEN = "import socket; print(socket.create_server(('0.0.0.0', 17771)).accept()[1][0])"
CONNECT = """
import socket, time
for _ in range(600):
    try:
        socket.create_connection(("192.0.2.1", 17771), timeout=60)
        break
    except OSError:
        time.sleep(0.1)
"""


def test_a_plain_users_hosts_have_networks_too(plain: PlainUsersHelpers, server: LocalSageMaker):
    namespaces = plain.make_switch()
    assert len(namespaces) == 2  # of the network, and of users
    listening = plain.start_host(server.isolation, 1, namespaces, LISTEN)
    plain.start_host(server.isolation, 2, namespaces, CONNECT)
    assert listening.stdout
    assert listening.stdout.readline() == b"192.0.2.2\n"
    for descriptor in namespaces:  # the network lives no longer than somebody has them
        os.close(descriptor)


ABSOLUTE = """
import sys
print(open("/opt/ml/processing/in/a.txt").read())
"""


def test_scripts_that_say_opt_ml_are_named_where_it_is_not_private(bench_factory: Any):
    with LocalSageMaker(isolation="folder") as server:
        bench: Bench = bench_factory(server)
        bench.put("code/helper.py", "FOLDER = '/opt/ml/processing/in'\n")
        bench.put("code/data.csv", "/opt/ml\n")
        bench.put("code/fine.py", "print('opt/ml')\n")
        bench.put("code/main.py", ABSOLUTE)
        code = {
            "InputName": "code",
            "S3Input": {
                "S3Uri": f"s3://{bench.bucket}/code/",
                "LocalPath": "/opt/ml/processing/input/code",
                "S3DataType": "S3Prefix",
                "S3InputMode": "File",
            },
        }
        for command in (
            ["python3", "/opt/ml/processing/input/code/main.py"],
            ["sh", "-c", "cd /opt/ml/processing/input/code; python3 /opt/ml/processing/input/code/main.py"],
        ):
            name = bench.create(command, ProcessingInputs=[code])
            assert bench.end(name)["ProcessingJobStatus"] == "Failed"
            (remark,) = [remark for remark in bench.remarks(name) if "themselves" in remark]
            assert (
                "where they will find nothing of this job's: /opt/ml/processing/input/code/main.py (line 3); "
                "/opt/ml/processing/input/code/helper.py (line 1). Take the paths from arguments" in remark
            )
        name = bench.create(["python3", "/opt/ml/processing/input/code/fine.py"], ProcessingInputs=[code])
        assert bench.end(name)["ProcessingJobStatus"] == "Completed"
        name = bench.create(["true"])
        bench.end(name)
        assert not [remark for remark in bench.remarks(name) if "themselves" in remark]
