"""Spark applications on the local SageMaker: by a real pyspark where one is installed, and refused where not."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from typing import Any

import boto3
import pytest

from airflow_sm_processing.exceptions import JobFailedError
from airflow_sm_processing.processing import ProcessingInput, ProcessingOutput, PySparkProcessor, SparkJarProcessor

HAS_SPARK = importlib.util.find_spec("pyspark") is not None and shutil.which("java") is not None
APPLICATION = """\
import sys
from pyspark import SparkFiles
from pyspark.sql import SparkSession
from helper import COLUMN

spark = SparkSession.builder.getOrCreate()
assert spark.conf.get("spark.sql.shuffle.partitions") == "3"
factor = int(open(SparkFiles.get("factor.txt")).read())
frame = spark.read.csv(sys.argv[1], header=True, inferSchema=True)
totals = {row[COLUMN]: row["sum(v)"] * factor for row in frame.groupBy(COLUMN).sum("v").collect()}
open(sys.argv[2] + "/totals.txt", "w").write(repr(sorted(totals.items())))
spark.stop()
"""
GIVEN: dict[str, Any] = {"role": "SageMakerRole", "instance_count": 1, "instance_type": "ml.m5.xlarge"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in {
        "app.py": APPLICATION,
        "helper.py": "COLUMN = 'k'",
        "factor.txt": "10",
        "data/a.csv": "k,v\na,1\nb,2\na,3\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.skipif(not HAS_SPARK, reason="needs pyspark, which is 300 MB, and Java: pip install '.[spark]'")
@pytest.mark.usefixtures("environment", "folder")
def test_an_application_runs_with_its_files_configuration_and_event_logs() -> None:
    client = boto3.Session().client("s3")
    client.create_bucket(Bucket="spark-events")
    job = PySparkProcessor(**GIVEN, framework_version="3.5").run(
        "app.py",
        submit_py_files=["helper.py"],
        submit_files=["factor.txt"],
        inputs=[ProcessingInput("data", "/opt/ml/processing/in")],
        outputs=[ProcessingOutput("/opt/ml/processing/out", output_name="out")],
        arguments=["/opt/ml/processing/in", "/opt/ml/processing/out"],
        configuration={"Classification": "spark-defaults", "Properties": {"spark.sql.shuffle.partitions": "3"}},
        spark_event_logs_s3_uri="s3://spark-events/logs",
    )
    bucket, _, key = job.output_uris["out"].removeprefix("s3://").partition("/")
    body = client.get_object(Bucket=bucket, Key=f"{key}/totals.txt")["Body"].read()
    assert body == b"[('a', 40), ('b', 20)]"
    logs = client.list_objects_v2(Bucket="spark-events", Prefix="logs/")["Contents"]
    assert any(item["Size"] for item in logs)


JAR = """\
package example;

import java.nio.file.*;
import org.apache.spark.sql.*;

public class CountRows {
    public static void main(String[] args) throws Exception {
        SparkSession spark = SparkSession.builder().getOrCreate();
        long rows = spark.read().option("header", "true").csv(args[0]).count();
        Files.write(Paths.get(args[1], "rows.txt"), (rows + " " + example.helper.Word.RESULT).getBytes());
        spark.stop();
    }
}
"""
HELPER_JAR = """\
package example.helper;

public class Word {
    public static final String RESULT = new StringBuilder("swor").reverse().toString();
}
"""


def make_jar(folder: Path, jar: Path, sources: dict[str, str], classpath: str) -> None:
    """Compile Java sources, by their paths, into a jar."""
    for name, text in sources.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    classes = folder / "classes"
    files = [str(folder / name) for name in sources]
    subprocess.run(["javac", "--release", "8", "-cp", classpath, "-d", classes, *files], check=True)
    subprocess.run(["jar", "--create", "--file", jar, "-C", classes, "."], check=True)


@pytest.mark.skipif(not (HAS_SPARK and shutil.which("javac")), reason="needs pyspark, and Java with its compiler")
@pytest.mark.usefixtures("environment")
def test_a_class_of_a_jar_runs_with_another_jar(folder: Path) -> None:
    import pyspark

    spark_jars = f"{Path(pyspark.__file__).parent}/jars/*"
    make_jar(folder / "helper", folder / "helper.jar", {"example/helper/Word.java": HELPER_JAR}, spark_jars)
    make_jar(
        folder / "app", folder / "app.jar", {"example/CountRows.java": JAR}, f"{spark_jars}:{folder / 'helper.jar'}"
    )
    job = SparkJarProcessor(**GIVEN, framework_version="3.5").run(
        "app.jar",
        submit_class="example.CountRows",
        submit_jars=["helper.jar"],
        inputs=[ProcessingInput("data", "/opt/ml/processing/in")],
        outputs=[ProcessingOutput("/opt/ml/processing/out", output_name="out")],
        arguments=["/opt/ml/processing/in", "/opt/ml/processing/out"],
    )
    bucket, _, key = job.output_uris["out"].removeprefix("s3://").partition("/")
    body = boto3.Session().client("s3").get_object(Bucket=bucket, Key=f"{key}/rows.txt")["Body"].read()
    assert body == b"3 rows"


@pytest.mark.skipif(importlib.util.find_spec("pyspark") is not None, reason="pyspark is installed")
@pytest.mark.usefixtures("environment", "folder")
def test_without_pyspark_the_exit_message_says_how_to_get_it() -> None:
    with pytest.raises(JobFailedError) as raised:
        PySparkProcessor(**GIVEN, image_uri="spark").run("app.py", submit_py_files=["helper.py"])
    message = raised.value.exit_message or ""
    assert message.startswith("smspark-submit needs pyspark")
    assert "pip install 'airflow-sm-processing[spark]'" in message
