"""The code that the guides show for moving over, on the local SageMaker."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_sm_processing.local import LocalSageMaker

GUIDE = Path(__file__).parents[3] / "docs" / "from-sdk-v2.md"
SCRIPT = """
import pathlib, sys
found = pathlib.Path("/opt/ml/processing/input/a.csv").read_text()
pathlib.Path("/opt/ml/processing/train/train.csv").write_text(found + " ".join(sys.argv[1:]))
"""


@pytest.mark.usefixtures("environment")
def test_code_of_the_sdk_v2_runs_with_its_import_changed_alone(
    sagemaker: LocalSageMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = re.findall(r"^```py\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "preprocess.py").write_text(SCRIPT)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("1,2 ")
    changed = code.replace("from sagemaker.processing import", "from airflow_sm_processing.processing import")
    assert changed != code
    names: dict[str, str] = {}
    exec(compile(changed, GUIDE, "exec"), names)
    bucket, _, prefix = names["train"].removeprefix("s3://").partition("/")
    written = sagemaker.client("s3").get_object(Bucket=bucket, Key=f"{prefix}/train.csv")
    assert written["Body"].read() == b"1,2 --test-size 0.2"
