"""`Session.upload_data`, `download_data` and `get_execution_role` do what the SDK's do, on the local SageMaker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.local import LocalSageMaker
from tests.time_limits import HANGS_AFTER_SECONDS

from .sdk_environment import sdk_python

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
FILES = {"a.csv": "1,2\n", "deep/b.csv": "3", "deep/er/c d.txt": "é", ".hidden": "h"}


def carried_out(side: str, folder: Path) -> list[Any]:
    for name, text in FILES.items():
        (folder / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "in" / name).write_text(text)
    python = sdk_python() if side == "sdk" else Path(sys.executable)
    with LocalSageMaker() as sagemaker:
        run = subprocess.run(
            [python, ROOT / "tests" / "parity" / "session_data.py", side, folder],
            env={**os.environ, **sagemaker.environment(), "PYTHONPATH": str(ROOT)},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
        )
    return list(json.loads(run.stdout.splitlines()[-1]))


def test_a_session_moves_data_as_the_sdks_does(tmp_path: Path, proven: Callable[..., None]) -> None:
    sdk, ours = (carried_out(side, tmp_path / side) for side in ("sdk", "ours"))
    assert ours == sdk
    assert ours[0] == "s3://data-bucket/team/data"
    assert len(ours[9]) == len(FILES)
    proven(written=len(ours))
