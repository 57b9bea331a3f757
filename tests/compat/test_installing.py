"""The package beside what its users have: Airflow's own pins, aiobotocore, the oldest and the newest of everything.

The pins in `pins/` are what Airflow's releases were made with, as far as this package and aiobotocore need it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.time_limits import HANGS_AFTER_SECONDS

from .dag_tested import dag_tested
from .environments import HERE, ROOT, environment, install

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = ("--editable", f"{ROOT}[crt,local]")
AIOBOTOCORE = "apache-airflow-providers-amazon[aiobotocore]"
OLDEST_PYTHON = "3.10"
RELEASES = ("3.1.0", "3.2.0", "3.3.0")
FLOOR = re.compile(r'"([a-z0-9-]+)(?:\[[a-z0-9,]+\])?>=([0-9.]+)"')
# What goes with a floor: each is pinned by the package that stands in front of it.
DEPENDENTS = {"botocore", "s3transfer", "awscrt", "aiobotocore"}
# An older model has other words in some of its patterns, and no preferences and no DeleteProcessingJob.
DIFFERS = "broken_rule or preferences or pattern or lists_above"
UNIT = ("processing/test_boto3_versions.py", "processing/test_validation.py", "processing/test_limits.py",
    "processing/test_request.py", "processing/test_aws_calls.py", "processing/test_description.py",
    "local/test_shapes.py")  # fmt: skip


def released(version: str) -> Path:
    """Return the commands of an environment as an Airflow was released."""
    pins = HERE / "pins" / f"airflow-{version}.txt"
    needed = ("--constraint", pins, *PACKAGE, f"apache-airflow=={version}", AIOBOTOCORE)
    return environment(f"pins-{version}", *needed, wanted=pins)


def floors() -> dict[str, str]:
    """Return the oldest versions that the package asks for, as pyproject.toml has them."""
    text = (ROOT / "pyproject.toml").read_text()
    return dict(FLOOR.findall(text[text.index("\ndependencies = [") : text.index("[dependency-groups]")]))


@pytest.fixture(scope="module")
def lowest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The oldest that the package asks for, on what Airflow 3.1.0 has beside it."""
    exact = floors() | {"apache-airflow": "3.1.0"}
    pins = HERE / "pins" / "airflow-3.1.0.txt"
    others = [
        line for line in pins.read_text().splitlines() if line.partition("==")[0] not in exact.keys() | DEPENDENTS
    ]
    constraints = tmp_path_factory.mktemp("lowest") / "constraints.txt"
    constraints.write_text("\n".join([*others, *(f"{name}=={version}" for name, version in exact.items())]))
    return environment("lowest", "--constraint", constraints, *PACKAGE, AIOBOTOCORE, wanted=pins)


@pytest.fixture(scope="module", params=[*RELEASES, "lowest", "newest", "newest beside aiobotocore"])
def commands(request: pytest.FixtureRequest) -> Path:
    """The commands of each environment."""
    if request.param == "lowest":
        commands: Path = request.getfixturevalue("lowest")
        return commands
    if request.param in RELEASES:
        return released(request.param)
    beside = [AIOBOTOCORE] if "beside" in request.param else []
    return environment(str(request.param).replace(" ", "-"), *PACKAGE, *beside)


def run(home: Path, *command: str | Path) -> str:
    """Run a command with an Airflow home of its own; return what it prints."""
    environ = os.environ | {"AIRFLOW_HOME": str(home), "PYTHONWARNINGS": "ignore", "PYTEST_ADDOPTS": ""}
    ran = subprocess.run(
        command, capture_output=True, text=True, env=environ, cwd=ROOT, timeout=HANGS_AFTER_SECONDS, check=False
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    return ran.stdout


def test_every_module_is_imported_and_the_command_starts(commands: Path, tmp_path: Path):
    printed: dict[str, Any] = json.loads(run(tmp_path, commands / "python", HERE / "imports.py").splitlines()[-1])
    assert printed == {}
    assert "usage: airflow-sm-processing" in run(tmp_path, commands / "airflow-sm-processing", "--help")


def test_the_oldest_are_what_is_asked_for(lowest: Path, tmp_path: Path):
    text = (
        "import boto3, importlib.metadata as m; print(boto3.__version__, m.version('apache-airflow-providers-amazon'))"
    )
    boto3, amazon = run(tmp_path, lowest / "python", "-c", text).split()[-2:]
    assert (boto3, amazon.removesuffix(".0")) == (floors()["boto3"], floors()["apache-airflow-providers-amazon"])


def test_definitions_are_checked_on_the_oldest_boto3_too(lowest: Path, tmp_path: Path):
    tools = ("pytest", "pytest-timeout", "hypothesis", "blockbuster", "greenlet")
    install(lowest, "--constraint", ROOT / "constraints.txt", *tools)
    files = [ROOT / "tests" / "unit" / name for name in UNIT]
    pytest_ = (lowest / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", f"not ({DIFFERS})")
    assert " passed" in run(tmp_path, *pytest_, *files, "tests/unit/processing/test_boto3_versions.py")


def test_it_works_on_the_oldest_python(tmp_path: Path):
    """Every module's import, and the tests of the core and the decorator."""
    interpreter = oldest_python()
    if interpreter is None:
        pytest.skip(f"no Python {OLDEST_PYTHON} is on this machine")
    constraints = ROOT / "constraints.txt"
    needed = ("--constraint", constraints, "--group", f"{ROOT / 'pyproject.toml'}:dev", *PACKAGE)
    oldest = environment(f"python-{OLDEST_PYTHON}", *needed, wanted=constraints, python=interpreter)
    files = [ROOT / "tests" / "unit" / name for name in ("processing", "decorators")]
    assert json.loads(run(tmp_path, oldest / "python", HERE / "imports.py").splitlines()[-1]) == {}
    pytest_ = (oldest / "python", "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "--timeout=900")
    assert " passed" in run(tmp_path, *pytest_, *files)


def oldest_python() -> Path | None:
    """Return an interpreter of the oldest Python that the package runs on: from PATH, or one of pyenv's."""
    on_path = shutil.which(f"python{OLDEST_PYTHON}")
    pyenvs = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    for found in [*([Path(on_path)] if on_path else ()), *pyenvs.glob(f"{OLDEST_PYTHON}.*/bin/python")]:
        ran = subprocess.run([found, "-c", ""], check=False, capture_output=True)
        if ran.returncode == 0:  # pyenv's shims may lead nowhere
            return found
    return None


def test_the_celery_provider_works_with_our_constraints(tmp_path: Path):
    constraints = ROOT / "constraints.txt"
    celery = environment(
        "celery", "--constraint", constraints, *PACKAGE, "apache-airflow-providers-celery", wanted=constraints
    )
    text = (
        "import airflow_sm_processing, airflow.providers.celery.executors.celery_executor as c; print(c.CeleryExecutor)"
    )
    assert "CeleryExecutor" in run(tmp_path, celery / "python", "-c", text)
    assert "celery worker" in run(tmp_path, celery / "airflow", "celery", "worker", "--help")


@contextmanager
def noting_looks(log: Path, folder: Path) -> Iterator[None]:
    """Make a file in the folder for each kind of job that a trigger of the amazon provider says it has looked at."""
    done = threading.Event()

    def note() -> None:
        while not done.wait(0.2):
            text = log.read_text() if log.exists() else ""
            for kind in ("Training", "Processing"):
                if f"{kind} job not done yet" in text:
                    (folder / kind).touch()

    thread = threading.Thread(target=note)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_deferrable_training_and_processing_jobs_follow_a_deferrable_processing_job(tmp_path: Path):
    """All wait in one triggerer; the amazon provider's triggers ask through aiobotocore."""
    looked = tmp_path / "looked"
    looked.mkdir()
    settings = {"LOOKED": str(looked), "PYTHONUNBUFFERED": "1"}
    with (
        noting_looks(tmp_path / "log", looked),
        dag_tested(released("3.3.0"), tmp_path, dags="training_dags", dag_id="training", **settings) as log,
    ):
        text = log.read_text()
    assert re.findall(r"new_state=(\w+)", text) == ["deferred", "success"] * 3, text
    assert {path.name for path in looked.iterdir()} == {"Training", "Processing"}


def test_the_example_that_trains_runs_deferred_too(tmp_path: Path):
    settings = {"AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": "True"}
    examples = str(ROOT / "dags_examples")
    with dag_tested(released("3.3.0"), tmp_path, dags=examples, dag_id="sm_training", **settings) as log:
        text = log.read_text()
    assert re.findall(r"new_state=(\w+)", text) == ["deferred", "success"] * 3, text
