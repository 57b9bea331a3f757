"""The code that README.md shows for use without Airflow."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from airflow_sm_processing.local import LocalSageMaker

README = Path(__file__).parents[3] / "README.md"
SCRIPT = "open('/opt/ml/processing/train/train.csv', 'w').write('1,2')"


def test_the_second_block_runs_a_script_and_tells_where_its_output_is(
    sagemaker: LocalSageMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    for name, value in sagemaker.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "preprocess.py").write_text(SCRIPT)
    names: dict[str, object] = {}
    exec(compile(blocks[1], "README.md", "exec"), names)
    uri = names["job"].output_uris["train"]
    assert capsys.readouterr().out == f"{{'train': '{uri}'}}\n"
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    written = sagemaker.client("s3").get_object(Bucket=bucket, Key=f"{prefix}/train.csv")
    assert written["Body"].read() == b"1,2"
