"""Spark's processors: the options of `smspark-submit`, the files that they name, and the configuration."""

from __future__ import annotations

from typing import Any

from tests.parity.case import FOLDER, Case, Refused, processing_input, processing_output
from tests.parity.endpoint.account import ACCOUNT_ID, Bucket

FILES = {
    "app.py": "print(1)",
    "app.jar": "PK1",
    "lib/helper.py": "helper",
    "lib/other.py": "other",
    "package/__init__.py": "",
    "package/deep/er.py": "er",
    "jars/one.jar": "PK2",
    "jars/two words.jar": "PK3",
    "lookup.csv": "a,b",
    "data/a.csv": "a",
}
BUCKETS = {"mine": Bucket(), f"sagemaker-us-west-2-{ACCOUNT_ID}": Bucket()}
DEFAULTS = {"Classification": "spark-defaults", "Properties": {"spark.executor.memory": "2g", "spark.ü": "1"}}
ENVIRONMENT = {
    "Classification": "spark-env",
    "Properties": {},
    "Configurations": [{"Classification": "export", "Properties": {"A": "1"}}],
}
EVENTS = {"spark_event_logs_s3_uri": "s3://mine/events"}
VALUE_ERROR = Refused("ValueError", "DefinitionError")


def _python(name: str, run: dict[str, Any], **more: Any) -> Case:
    given = {"submit_app": "app.py", **run}
    return Case(name=name, processor="PySparkProcessor", runs=(given,), files=FILES, buckets=BUCKETS, **more)


def _jar(name: str, run: dict[str, Any], **more: Any) -> Case:
    given = {"submit_app": "app.jar", "submit_class": "org.example.Main", **run}
    return Case(name=name, processor="SparkJarProcessor", runs=(given,), files=FILES, buckets=BUCKETS, **more)


def _image(name: str, **init: Any) -> Case:
    return _python(name, {}, init={"image_uri": None, **init})


CASES = (
    _python("a Spark application", {}),
    _python("a Spark application by its absolute path", {"submit_app": f"{FOLDER}/app.py"}),
    _python("a Spark application by its file URI", {"submit_app": f"file://{FOLDER}/app.py"}),
    _python("a Spark application in S3", {"submit_app": "s3://mine/code/app.py"}),
    _python("a Spark application's Python files", {"submit_py_files": ["lib/helper.py", f"{FOLDER}/lib/other.py"]}),
    _python("a Spark application's package", {"submit_py_files": ["package", "lib/helper.py"]}),
    _python("a Spark application's package with a slash", {"submit_py_files": ["package/"]}),
    _python("a Spark application's Python files in S3", {"submit_py_files": ["s3://mine/a.py", "s3a://mine/b.zip"]}),
    _python(
        "a Spark application's files here and in S3",
        {"submit_files": ["lookup.csv", "s3://mine/a.csv", "data/a.csv", "s3://mine/b.csv"]},
    ),
    _python("a Spark application's jars", {"submit_jars": ["jars/one.jar", "jars/two words.jar"]}),
    _python(
        "a Spark application's every kind of files",
        {"submit_py_files": ["lib"], "submit_jars": ["jars"], "submit_files": ["lookup.csv"]},
    ),
    _python("a Spark application without files", {"submit_py_files": [], "submit_jars": None, "submit_files": []}),
    _python("a Spark application's configuration", {"configuration": DEFAULTS}),
    _python("a Spark application's configurations", {"configuration": [DEFAULTS, ENVIRONMENT]}),
    _python("a Spark application's empty configuration", {"configuration": {}}),
    _python("a Spark application's event logs", EVENTS),
    _python(
        "a Spark application's event logs beside its outputs",
        {**EVENTS, "outputs": [processing_output(source="/opt/ml/processing/out")]},
    ),
    _python("a Spark application's empty place for event logs", {"spark_event_logs_s3_uri": ""}),
    _python(
        "a Spark application with all that there is",
        {
            "submit_py_files": ["lib/helper.py", "s3://mine/a.py"],
            "submit_jars": ["s3://mine/a.jar"],
            "submit_files": ["lookup.csv"],
            "configuration": DEFAULTS,
            **EVENTS,
            "inputs": [processing_input(source="data", destination="/opt/ml/processing/in")],
            "outputs": [processing_output(source="/opt/ml/processing/out")],
            "arguments": ["--a", "b c"],
            "experiment_config": {"ExperimentName": "e"},
            "job_name": "my-job",
        },
    ),
    _python(
        "a Spark processor's own places",
        {"submit_jars": ["jars/one.jar"], "configuration": DEFAULTS},
        init={"dependency_location": "s3://mine/deps/", "configuration_location": "s3://mine/conf"},
    ),
    _python(
        "a Spark processor's own buckets",
        {"submit_files": ["lookup.csv"], "configuration": [DEFAULTS]},
        init={"dependency_location": "s3://mine", "configuration_location": "s3://mine/"},
    ),
    _python(
        "a Spark processor in a session's bucket",
        {"submit_py_files": ["lib/helper.py"], "configuration": DEFAULTS},
        session={"default_bucket": "mine", "default_bucket_prefix": "a/b"},
    ),
    _python("a Spark processor's base name", {"submit_jars": ["jars"]}, init={"base_job_name": "nightly"}),
    _python("a Spark processor's environment", {}, init={"env": {"A": "1"}, "tags": {"a": "b"}}),
    _python("a Spark application's key", {}, init={"output_kms_key": "alias/out"}),
    Case(
        name="two applications of a Spark processor",
        processor="PySparkProcessor",
        runs=(
            {"submit_app": "app.py", "submit_jars": ["jars/one.jar"], "job_name": "one", **EVENTS},
            {"submit_app": "app.py", "submit_files": ["lookup.csv"], "job_name": "two"},
        ),
        files=FILES,
        buckets=BUCKETS,
    ),
    _image("Spark's newest image"),
    _image("Spark's image of a version", framework_version="3.3"),
    _image("Spark's image of a container", framework_version="3.1", py_version="py37", container_version="1.2"),
    Case(
        name="Spark's image in China",
        processor="PySparkProcessor",
        init={"image_uri": None, "framework_version": "3.3"},
        runs=({"submit_app": "s3://mine/app.py"},),
        region="cn-north-1",
    ),
    _jar("a Spark jar", {}),
    _jar("a Spark jar in S3", {"submit_app": "s3://mine/code/app.jar"}),
    _jar("a Spark jar's jars and files", {"submit_jars": ["jars", "s3://mine/a.jar"], "submit_files": ["lookup.csv"]}),
    _jar("a Spark jar's configuration and event logs", {"configuration": [DEFAULTS], **EVENTS, "arguments": ["1"]}),
    _jar("a Spark jar's image", {}, init={"image_uri": None, "framework_version": "3.5"}),
    _python("no Spark application", {"submit_app": ""}, refused=VALUE_ERROR),
    _python("a Spark application that isn't there", {"submit_app": "no.py"}, refused=VALUE_ERROR),
    _python("a Spark file that isn't there", {"submit_files": ["no.csv"]}, refused=VALUE_ERROR),
    _python("a Spark file of another scheme", {"submit_files": ["https://example.org/a.csv"]}, refused=VALUE_ERROR),
    _python("Spark event logs that aren't in S3", {"spark_event_logs_s3_uri": "/tmp/events"}, refused=VALUE_ERROR),
    _python(
        "a Spark classification that there isn't",
        {"configuration": {**DEFAULTS, "Classification": "x"}},
        refused=VALUE_ERROR,
    ),
    _python(
        "a Spark configuration without properties",
        {"configuration": {"Classification": "hive-env"}},
        refused=VALUE_ERROR,
    ),
    _python(
        "a Spark configuration with another key", {"configuration": [{**DEFAULTS, "Extra": 1}]}, refused=VALUE_ERROR
    ),
    _python(
        "Spark's Python without a container version",
        {},
        init={"image_uri": None, "framework_version": "3.3", "py_version": "py39"},
        refused=VALUE_ERROR,
    ),
    _jar("a Spark jar without a class", {"submit_class": ""}, refused=VALUE_ERROR),
)
