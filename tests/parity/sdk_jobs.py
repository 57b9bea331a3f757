"""Run jobs by the SDK's own classes, unmodified, on the server that the environment names, in the SDK's environment.

All jobs are started, then waited for. What came of each goes out as a JSON object on the last line, by its name.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import boto3

TRAIN = """\
import argparse, os, pathlib
import helper

parser = argparse.ArgumentParser()
parser.add_argument("--slope", type=float)
parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAINING"])
given = parser.parse_args()
rows = (pathlib.Path(given.train) / "rows.csv").read_text().split()
print(f"rows={len(rows)};")
(pathlib.Path(given.model_dir) / "model.txt").write_text(f"{helper.NAME} {given.slope * len(rows)}")
"""
PROCESS = """\
import pathlib, sys
pathlib.Path("/opt/ml/processing/out/said").write_text(" ".join(sys.argv[1:]))
"""
SHELL = ["sh", "-c", 'printf %s "$*" > /opt/ml/processing/out/said', "sh"]
INSTANCE: dict[str, Any] = {"role": "arn:aws:iam::123456789012:role/SageMakerRole", "instance_count": 1}
TYPE = {"instance_type": "ml.m5.xlarge"}
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/tools:1"


class ConfiguredSession(boto3.Session):
    """A session whose clients all call the endpoint that AWS_ENDPOINT_URL names; the SDK names AWS's own for STS."""

    def client(self, service_name: str, *arguments: Any, **options: Any) -> Any:
        """Make the client, whatever endpoint is asked for."""
        make: Any = super().client  # its stubs know each service by name
        return make(service_name, *arguments, **{**options, "endpoint_url": None})


def module(name: str) -> Any:
    """Return a module of the SDK's, which mypy doesn't see here."""
    return importlib.import_module(f"sagemaker.{name}")


def estimators(session: Any, source: Path) -> dict[str, Any]:
    """Return the estimators: two of script mode, and one with an entrypoint of its own."""
    code = {"entry_point": "train.py", "source_dir": str(source), "hyperparameters": {"slope": 2}}
    shared = INSTANCE | TYPE | {"sagemaker_session": session}
    metrics = [{"Name": "rows", "Regex": "rows=([0-9]+);"}]
    return {
        "SKLearn": module("sklearn").SKLearn(**shared, **code, framework_version="1.2-1", metric_definitions=metrics),
        "PyTorch": module("pytorch").PyTorch(
            **shared, **code, framework_version="2.3", py_version="py311", enable_network_isolation=True
        ),
        "Estimator": module("estimator").Estimator(
            **shared,
            image_uri=IMAGE,
            container_entry_point=["sh", "-c", "cp /opt/ml/input/data/training/rows.csv /opt/ml/model/model.txt"],
        ),
    }


def processors(session: Any) -> dict[str, Any]:
    """Return the processors."""
    shared = INSTANCE | TYPE | {"sagemaker_session": session}
    processing = module("processing")
    return {
        "Processor": processing.Processor(**shared, image_uri=IMAGE, entrypoint=SHELL),
        "ScriptProcessor": processing.ScriptProcessor(**shared, image_uri=IMAGE, command=["python3"]),
        "FrameworkProcessor": processing.FrameworkProcessor(
            **shared, estimator_cls=module("sklearn").SKLearn, framework_version="1.2-1"
        ),
    }


def main() -> None:
    """Start everything, wait for it, and print what came of it."""
    folder = Path(sys.argv[1])
    source = folder / "source"
    source.mkdir()
    for name, text in {"train.py": TRAIN, "helper.py": "NAME = 'model'", "process.py": PROCESS}.items():
        (source / name).write_text(text)
    (folder / "rows.csv").write_text("1 2 3")
    session = module("session").Session(ConfiguredSession())
    rows = session.upload_data(str(folder / "rows.csv"), key_prefix="data")
    fitted = estimators(session, source)
    ran = processors(session)
    for name, processor in ran.items():
        output = module("processing").ProcessingOutput(source="/opt/ml/processing/out", output_name="out")
        given = {"Processor": {}, "ScriptProcessor": {"code": str(source / "process.py")}}.get(
            name, {"code": "process.py", "source_dir": str(source)}
        )
        processor.run(**given, outputs=[output], arguments=[name, "b"], wait=False, logs=False)
    shown = fitted.pop("SKLearn")
    for estimator in fitted.values():
        estimator.fit(rows, wait=False)
    shown.fit(rows, logs="All")  # which asks for the status each 30 seconds only
    for estimator in fitted.values():
        estimator.latest_training_job.wait(logs="None")
    fitted["SKLearn"] = shown
    for name, processor in ran.items():
        processor.latest_job.wait(logs=name == "Processor")
    found: dict[str, Any] = {
        name: {"model": estimator.model_data, "job": estimator.latest_training_job.describe()}
        for name, estimator in fitted.items()
    }
    for name, processor in ran.items():
        described = processor.latest_job.describe()
        (output,) = described["ProcessingOutputConfig"]["Outputs"]
        found[name] = {"output": output["S3Output"]["S3Uri"], "job": described}
    sys.stdout.write("\n" + json.dumps(found, default=str) + "\n")


main()
