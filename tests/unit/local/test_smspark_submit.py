"""What the local SageMaker's `smspark-submit` makes of its command line, told by a stand-in for Spark's own program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import airflow_sm_processing.local

PROGRAM = Path(airflow_sm_processing.local.__file__).with_name("smspark_submit.py")
TELL = """#!{python}
import json, os, sys
properties = open(sys.argv[sys.argv.index("--properties-file") + 1]).read()
told = {{"command": sys.argv[1:], "properties": properties, "environment": dict(os.environ)}}
print(json.dumps(told))
sys.exit(7)
"""


@pytest.fixture
def ml(tmp_path: Path) -> Path:
    """An instance's /opt/ml, on the first of two hosts, with an application's files."""
    ml = tmp_path / "ml"
    for name, text in {
        "config/resourceconfig.json": json.dumps({"current_host": "algo-1", "hosts": ["algo-1", "algo-2"]}),
        "processing/input/jars/b.jar": "",
        "processing/input/jars/a.jar": "",
        "processing/input/jars/deep/c.jar": "",
        "processing/input/files/deep/a.csv": "",
    }.items():
        (ml / name).parent.mkdir(parents=True, exist_ok=True)
        (ml / name).write_text(text)
    return ml


def submit(ml: Path, *words: str, spark: bool = True, java: bool = True) -> subprocess.CompletedProcess[str]:
    modules = ml.parent / "modules"
    program = modules / "pyspark" / "bin" / "spark-submit"
    program.parent.mkdir(parents=True, exist_ok=True)
    if spark:
        (modules / "pyspark" / "__init__.py").touch()
        program.write_text(TELL.format(python=sys.executable))
        program.chmod(0o755)
        (modules / "java").touch()
        (modules / "java").chmod(0o755)
    environment = {
        "PATH": str(modules) if java else "",
        "PYTHONPATH": str(modules) if spark else "",
        "SMSPARK_SUBMIT_ML": str(ml),
        "TMPDIR": str(ml.parent),
    }
    return subprocess.run(
        [sys.executable, PROGRAM, *words], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def told(ml: Path, *words: str) -> dict[str, Any]:
    run = submit(ml, *words)
    assert run.returncode == 7, run.stderr
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def configure(ml: Path, *classifications: dict[str, Any]) -> None:
    (ml / "processing" / "input" / "conf").mkdir()
    (ml / "processing" / "input" / "conf" / "configuration.json").write_text(json.dumps(classifications))


def test_the_application_and_its_arguments_are_handed_on(ml: Path) -> None:
    command = told(ml, "--class", "Main", "app.jar", "--jars", "a b", "-v")["command"]
    assert command[:2] == ["--master", "local[*]"]
    assert command[-6:] == ["--class", "Main", "app.jar", "--jars", "a b", "-v"]


def test_a_folder_stands_for_the_files_that_are_directly_in_it(ml: Path) -> None:
    jars = ml / "processing" / "input" / "jars"
    command = told(ml, "--jars", f"/other.jar,{jars}", "app.py")["command"]
    assert command[command.index("--jars") + 1] == f"/other.jar,{jars}/a.jar,{jars}/b.jar"


def test_the_configuration_holds_as_far_as_it_has_a_meaning(ml: Path) -> None:
    secret = r" it's \ä: = #1"
    configure(
        ml,
        {
            "Classification": "spark-defaults",
            "Properties": {"spark.a": secret, "spark.b": True, "spark.master": "yarn"},
        },
        {"Classification": "core-site", "Properties": {"fs.a b": "1"}},
        {
            "Classification": "spark-env",
            "Properties": {},
            "Configurations": [{"Classification": "export", "Properties": {"OF_SPARK": "1"}}],
        },
        {"Classification": "yarn-site", "Properties": {"a": "b"}},
    )
    run = submit(ml, "app.py")
    assert "[local] Without effect here: the configuration of yarn-site.\n" in run.stdout
    assert "[local] Without effect here: spark.master=yarn; it is local[*].\n" in run.stdout
    found = json.loads(run.stdout.splitlines()[-1])
    lines = found["properties"].splitlines()
    assert r"spark.a=\ it's\ \\ä:\ =\ #1" in lines
    assert {"spark.b=true", r"spark.hadoop.fs.a\ b=1"} <= {*lines}
    assert not any("it's" in word for word in found["command"])  # the list of processes shows it
    assert found["environment"]["OF_SPARK"] == "1"
    assert "SMSPARK_SUBMIT_ML" not in found["environment"]


def test_event_logs_go_where_the_output_is(ml: Path) -> None:
    folder = ml / "processing" / "spark-events"
    lines = told(ml, "--local-spark-event-logs-dir", f"{folder}/", "app.py")["properties"].splitlines()
    assert {"spark.eventLog.enabled=true", f"spark.eventLog.dir={folder.as_uri()}"} <= {*lines}
    assert folder.is_dir()


def test_spark_runs_on_the_first_host_alone(ml: Path) -> None:
    (ml / "config" / "resourceconfig.json").write_text(
        json.dumps({"current_host": "algo-2", "hosts": ["algo-1", "algo-2"]})
    )
    run = submit(ml, "app.py", spark=False)
    assert (run.returncode, run.stdout) == (0, "[local] Spark runs on algo-1 alone: there is no cluster here.\n")


@pytest.mark.parametrize(
    ("words", "options", "said"),
    [
        (["app.py"], {"spark": False}, "smspark-submit needs pyspark, which the Python of this image hasn't got."),
        (["app.py"], {"java": False}, "smspark-submit needs Java, which isn't on the PATH"),
        (["--jars", "s3a://b/a.jar", "app.py"], {}, "--jars s3a://b/a.jar: Spark can't read S3 here"),
        (["--files", "{ml}/processing/input/files", "app.py"], {}, "there are no files directly in it"),
    ],
)
def test_what_cannot_be_done_is_said_in_the_exit_message(
    ml: Path, words: list[str], options: dict[str, bool], said: str
) -> None:
    if options.get("spark") is False and _has_pyspark():
        pytest.skip("pyspark is installed")
    run = submit(ml, *(word.format(ml=ml) for word in words), **options)
    assert run.returncode == 1, run.stderr
    assert said in (ml / "output" / "message").read_text()
    assert said in run.stdout


def _has_pyspark() -> bool:
    return bool(
        subprocess.run([sys.executable, "-c", "import pyspark"], capture_output=True, check=False).returncode == 0
    )
