"""Paths and numbers in the SDK-like classes, all the way to the script."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing.processing import ProcessingInput, ProcessingOutput, ScriptProcessor

if TYPE_CHECKING:
    from pathlib import Path

LONG = "it's <0> long\n" * 100
"""Over the bounds of a request, for a variable as for an argument."""
SCRIPT = """
import json, os, pathlib, sys
told = {"arguments": sys.argv[1:], "files": os.listdir("/opt/ml/processing/in")}
told |= {name.lower(): os.environ[name] for name in ("FLAG", "LONG")}
pathlib.Path("/opt/ml/processing/out/told.json").write_text(json.dumps(told))
"""


@pytest.mark.usefixtures("environment")
def test_a_script_gets_what_paths_and_numbers_stand_for(tmp_path: Path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("1")
    (tmp_path / "script.py").write_text(SCRIPT)
    processor = ScriptProcessor(
        role="SageMakerRole",
        image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/sklearn:1",
        command=["python3"],
        instance_count=1,
        instance_type="ml.m5.large",
        env={"FLAG": True, "LONG": LONG},
        tags={"cost": 7},
    )
    job = processor.run(
        tmp_path / "script.py",
        inputs=[ProcessingInput(source=tmp_path / "data", destination="/opt/ml/processing/in")],
        outputs=[ProcessingOutput("/opt/ml/processing/out", output_name="out")],
        arguments=[1, 0.5, tmp_path, LONG],
        logs=False,
    )
    bucket, _, key = job.output_uris["out"].removeprefix("s3://").partition("/")
    told = processor.sagemaker_session.s3_client.get_object(Bucket=bucket, Key=f"{key}/told.json")["Body"].read()
    assert json.loads(told) == {
        "arguments": ["1", "0.5", str(tmp_path), LONG],
        "flag": "True",
        "long": LONG,
        "files": ["a.csv"],
    }
