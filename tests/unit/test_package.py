"""What the package promises at its front."""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
import sys

import pytest

import airflow_sm_processing
import airflow_sm_processing.processing

FRONT = [
    "AthenaDatasetDefinition",
    "CompletedJobsTrigger",
    "DatasetDefinition",
    "DefinitionError",
    "FeatureStoreOutput",
    "InstancePreference",
    "JobEndedError",
    "JobFailedError",
    "JobStatus",
    "JobStoppedError",
    "NetworkConfig",
    "ProcessingError",
    "ProcessingHook",
    "ProcessingInput",
    "ProcessingJobSensor",
    "ProcessingJobTrigger",
    "ProcessingOperator",
    "ProcessingOutput",
    "RedshiftDatasetDefinition",
    "S3Input",
    "ScriptProcessingOperator",
    "SparkProcessingOperator",
    "channel",
    "model_artifacts",
]
CORE = [
    "AthenaDatasetDefinition",
    "DatasetDefinition",
    "FeatureStoreOutput",
    "FrameworkProcessor",
    "HuggingFaceProcessor",
    "InstancePreference",
    "JobDefinition",
    "JobDescription",
    "JobLogs",
    "JobStatus",
    "LogLine",
    "MXNetProcessor",
    "NetworkConfig",
    "ProcessingInput",
    "ProcessingJob",
    "ProcessingOutput",
    "Processor",
    "PySparkProcessor",
    "PyTorchProcessor",
    "RedshiftDatasetDefinition",
    "S3Downloader",
    "S3Input",
    "S3Uploader",
    "SKLearnProcessor",
    "ScriptProcessor",
    "Session",
    "SparkJarProcessor",
    "TensorFlowProcessor",
    "WaitSettings",
    "XGBoostProcessor",
    "get_execution_role",
]
HEAVY = ("boto3", "botocore", "airflow.providers.amazon", "openlineage")


@pytest.mark.parametrize(
    ("module", "names"), [(airflow_sm_processing, FRONT), (airflow_sm_processing.processing, CORE)]
)
def test_the_front_has_exactly_these_names(module, names):
    assert module.__all__ == names
    assert dir(module) == names
    assert {name: getattr(module, name).__name__ for name in names} == {name: name for name in names}
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        module.Nonsense  # noqa: B018


@pytest.mark.parametrize(
    "name",
    [
        "Session",
        "image_uris.retrieve",
        "network.NetworkConfig",
        "processing.ProcessingInput",
        "processing.processing.ScriptProcessor",
        "s3.S3Downloader",
        "session.Session",
    ],
)
def test_the_core_stands_for_the_sdk_where_a_script_names_modules_in_full(name):
    """In an interpreter that has loaded nothing else of the package."""
    program = f"import airflow_sm_processing.processing as sagemaker\nprint(sagemaker.{name}.__name__)"
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == name.rpartition(".")[2]


def loaded_by(statements: str) -> set[str]:
    """Return the heavy modules that a fresh interpreter has loaded after the statements."""
    program = f"import sys\n{statements}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return {module for module in run.stdout.split() if module.startswith(HEAVY)}


def test_parse_law_a_dag_file_loads_neither_boto3_nor_the_amazon_provider():
    names = ", ".join(name for name in FRONT if name != "ProcessingHook")
    before = loaded_by("from airflow.sdk import BaseOperator")  # Airflow itself reads every provider's metadata
    assert loaded_by(f"from airflow.sdk import BaseOperator\nfrom airflow_sm_processing import {names}") == before
    assert before <= {"airflow.providers.amazon", "airflow.providers.amazon.get_provider_info"}


def test_a_dag_file_loads_no_links():
    """Only Airflow's serialization reads them, and a worker parses DAG files too."""
    program = (
        "import sys\nfrom airflow_sm_processing import ScriptProcessingOperator as Task\n"
        "assert 'airflow_sm_processing.links' not in sys.modules\nassert len(Task.operator_extra_links) == 3"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_parse_law_a_task_that_is_defined_loads_neither_boto3_nor_the_amazon_provider():
    program = """
from airflow.sdk import DAG
from airflow_sm_processing import NetworkConfig, ProcessingInput, ProcessingOutput, ScriptProcessingOperator
with DAG("a_dag", schedule=None):
    common = dict(role="R", image_uri="i", instance_count=1, instance_type="ml.m5.xlarge", code="s3://b/c.py")
    output = ProcessingOutput("/opt/ml/processing/o", None, "o")
    one = ScriptProcessingOperator(task_id="one", outputs=[output], **common)
    reference = ProcessingInput(one.output["o"], "/opt/ml/processing/i")
    ScriptProcessingOperator(task_id="two", inputs=[reference], **common)
    mapped = ScriptProcessingOperator.partial(task_id="three", network_config=NetworkConfig(), **common)
    mapped.expand(arguments=[["a"]])
"""
    before = loaded_by("from airflow.sdk import DAG\nwith DAG('a_dag', schedule=None): pass")
    assert loaded_by(program) == before


def test_core_law_the_core_works_with_airflow_absent():
    program = """
import importlib.abc
class NoAirflow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "airflow":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NoAirflow())
from airflow_sm_processing.processing import *
import boto3
session = Session(boto3.Session("key", "secret", region_name="eu-west-1"), default_bucket="bucket")
processor = Processor("arn:aws:iam::123456789012:role/R", "image", 1, "ml.m5.xlarge", sagemaker_session=session)
processor.define(inputs=[ProcessingInput("s3://b/k", "/opt/ml/processing/in")])
assert not [name for name in sys.modules if name.partition(".")[0] == "airflow"]
"""
    loaded_by(program)


def test_airflow_accepts_the_provider_info():
    import json
    from importlib.resources import files

    import jsonschema

    from airflow_sm_processing.provider_info import get_provider_info

    schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())
    info = get_provider_info()
    jsonschema.validate(info, schema)
    for kind in ("hooks", "operators", "sensors", "triggers"):
        for entry in info[kind]:
            for module in entry["python-modules"]:
                importlib.import_module(module)
    integrations = {entry["integration-name"] for entry in info["integrations"]}
    entries = [entry for kind in ("hooks", "operators", "sensors", "triggers") for entry in info[kind]]
    assert {entry["integration-name"] for entry in entries} == integrations


def test_each_option_says_since_when_it_is_there():
    from airflow_sm_processing.provider_info import get_provider_info

    (section,) = get_provider_info()["config"].values()
    assert {name: option["version_added"] for name, option in section["options"].items()} == {
        "deployment": "0.1.0",
        "sagemaker_config": "0.1.0",
        "poll_interval": "0.1.0",
        "measure_data": "0.1.0",
        "shortest_deferral": "0.1.0",
        "ask_sagemaker": "0.1.0",
    }


def test_airflow_links_to_the_documentation_in_its_list_of_providers():
    from airflow.providers_manager import ProvidersManager

    (provider,) = (info for name, info in ProvidersManager().providers.items() if name == "airflow-sm-processing")
    urls = importlib.metadata.metadata("airflow-sm-processing").get_all("Project-URL")
    assert f"Documentation, {provider.data['documentation-url']}" in urls
