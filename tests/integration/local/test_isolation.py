"""Every isolation mode runs jobs, keeps them to themselves, and ends all of their processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.local import LocalSageMaker, launch, sandbox

from .bench import Bench, s3_input, s3_output
from .processes import children, command_of, running, wait_until_gone

if TYPE_CHECKING:
    from collections.abc import Iterator

MODES = ("namespace", "mount", "folder")


def works_here(mode: Any) -> bool:
    return mode == "folder" or sandbox.works(mode)


@pytest.fixture(scope="module", params=MODES)
def server(request: pytest.FixtureRequest) -> Iterator[LocalSageMaker]:
    if not works_here(request.param):
        pytest.skip(f"this machine permits no {request.param} isolation")
    with LocalSageMaker(isolation=request.param, stop_grace=1, account_id="222222222222") as server:
        yield server


@pytest.fixture
def bench(server: LocalSageMaker, bench_factory: Any) -> Bench:
    return bench_factory(server)


def test_paths_in_arguments_and_environment_lead_to_the_jobs_own_folders(bench: Bench):
    data = bench.put("in/a.txt", "data")
    output = s3_output("out", f"s3://{bench.bucket}/out", "/opt/ml/processing/out")
    command = (
        'cat /opt/ml/processing/in/a.txt opt/ml/processing/in/a.txt > "$OUT"/copy; printf ok > /opt/ml/output/message'
    )
    job = bench.run(
        ["sh", "-c", command],
        ProcessingInputs=[s3_input("in", data, "/opt/ml/processing/in")],
        ProcessingOutputConfig={"Outputs": [output]},
        Environment={"OUT": "/opt/ml/processing/out"},
    )
    assert (job["ProcessingJobStatus"], job["ExitMessage"]) == ("Completed", "ok")
    assert bench.objects("out/") == {"out/copy": b"datadata"}


def test_nothing_is_seen_of_other_jobs_and_nothing_is_left_at_the_machines_opt_ml(bench: Bench):
    existed = Path("/opt/ml").exists()
    bench.run(["touch", "/opt/ml/processing/trace"])
    name = bench.create(["ls", "/opt/ml/processing"])
    bench.end(name)
    assert bench.logs(name).get("algo-1", []) == []
    assert Path("/opt/ml").exists() == existed


def test_a_stop_ends_every_descendant_whatever_it_does(bench: Bench):
    marker = f"600.{os.getpid()}2"
    hide = f"trap '' TERM HUP; (setsid sh -c 'trap \"\" TERM; sleep {marker}' &) ; nohup sleep {marker} & "
    name = bench.create(["sh", "-c", f"{hide} echo ready; sleep {marker}"])
    bench.wait_for_line(name, "ready")
    assert running(marker)
    bench.sagemaker.stop_processing_job(ProcessingJobName=name)
    assert bench.end(name)["ProcessingJobStatus"] == "Stopped"
    assert running(marker) == []


def test_the_log_says_what_is_not_as_in_the_service(server: LocalSageMaker, bench: Bench):
    name = bench.create(["true"], NetworkConfig={"EnableNetworkIsolation": True})
    bench.end(name)
    events = bench.cloudwatch.filter_log_events(
        logGroupName="/aws/sagemaker/ProcessingJobs", logStreamNamePrefix=f"{name}/"
    )["events"]
    remarks = [event["message"] for event in events]
    assert all(remark.startswith("[local] ") for remark in remarks)
    assert any("isn't pulled" in remark for remark in remarks)
    assert any("EnableNetworkIsolation isn't enforced" in remark for remark in remarks)
    assert any("permits no private /opt/ml" in remark for remark in remarks) == (server.isolation == "folder")


def test_an_image_pattern_chooses_the_interpreter(tmp_path: Path, bench_factory: Any):
    environment = tmp_path / "special"
    venv.create(environment, with_pip=False, symlinks=True)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "only_here.py").write_text("")
    with LocalSageMaker(images={"*special*": str(environment / "bin" / "python")}) as server:
        bench = bench_factory(server)
        command = ["python3", "-c", "import only_here"]
        for image, status in {"repo/special-1:2": "Completed", "repo/other:1": "Failed"}.items():
            specification = {"ImageUri": image, "ContainerEntrypoint": command}
            assert bench.run(command, AppSpecification=specification)["ProcessingJobStatus"] == status


def test_an_interpreter_that_cannot_run_is_an_error_at_once():
    with pytest.raises(ValueError, match="interpreter '/no/python' can't be run"):
        LocalSageMaker(images={"*": "/no/python"})


@pytest.mark.skipif(os.getuid() != 0, reason="the other tests prove it where they aren't run by root")
@pytest.mark.parametrize("mode", MODES)
def test_a_plain_user_is_isolated_too(tmp_path: Path, mode: str):
    python = Path("/usr/bin/python3")
    if not python.exists() or not works_here(mode):
        pytest.skip("no interpreter that everybody may run, or no namespaces")
    nobody = 65534
    root = Path("/tmp") / f"plain-user-{os.getpid()}-{mode}"  # the parents of tmp_path are closed to others
    helper = root / "launch.py"
    try:
        sandbox.make_root(root)
        helper.write_bytes(Path(launch.__file__).read_bytes())
        (root / "ml" / "input").write_text("seen")
        for path in (root, *root.rglob("*")):
            os.chown(path, nobody, nobody)
        read, write = os.pipe()
        place = str(root / "ml") if mode == "folder" else "/opt/ml"
        spec = {
            "mode": mode,
            "report": write,
            "root": str(root),
            "directory": str(root),
            "command": ["sh", "-c", f"cat {place}/input; id -u; touch {place}/output; exit 9"],
            "environment": {"PATH": "/usr/bin:/bin"},
        }
        helper_process = subprocess.Popen(
            [python, "-I", "-S", helper],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[write],
            user=nobody,
            group=nobody,
            extra_groups=[],
        )
        os.close(write)
        assert helper_process.stdin
        helper_process.stdin.write(json.dumps(spec).encode() + b"\n")
        helper_process.stdin.flush()
        with os.fdopen(read) as report:
            assert json.loads(report.read()) == {"exit_code": 9}
        output, _ = helper_process.communicate()
        assert output.decode() == f"seen{nobody}\n"
        assert (root / "ml" / "output").stat().st_uid == nobody
    finally:
        subprocess.run(["rm", "-rf", root], check=True)


def test_it_works_without_airflow_and_without_the_rest_of_the_package():
    script = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "airflow" or (
            name.startswith("airflow_sm_processing.") and not name.startswith("airflow_sm_processing.local")
        ):
            raise ImportError(f"{name} is imported")

sys.meta_path.insert(0, Absent())
from airflow_sm_processing.local import Fault, LocalSageMaker
with LocalSageMaker() as server:
    print(server.client("sagemaker").list_processing_jobs()["ProcessingJobSummaries"])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def helpers() -> set[int]:
    """Return the processes that this one has started for the hosts of jobs; other servers of it may have some."""
    return {pid for pid in children(os.getpid()) if "launch.py" in command_of(pid)}


def test_a_job_whose_helper_is_killed_fails_and_leaves_no_process(server: LocalSageMaker, bench: Bench):
    marker = f"600.{os.getpid()}6"
    of_other_jobs = helpers()
    name = bench.create(["sh", "-c", f"echo ready; exec sleep {marker}"])
    bench.wait_for_line(name, "ready")
    (helper,) = helpers() - of_other_jobs
    os.kill(helper, signal.SIGKILL)
    job = bench.end(name)
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("InternalServerError")
    wait_until_gone(marker)
