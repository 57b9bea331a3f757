"""The SDK's own objects, v2's and v3's, are taken wherever ours are."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.time_limits import HANGS_AFTER_SECONDS

from .sdk_environment import sdk_python

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("version", "at_least"), [("v2", 45), ("v3", 20)])
def test_the_sdks_objects_are_read(version: str, at_least: int, proven: Callable[..., None]) -> None:
    run = subprocess.run(
        [sdk_python(version), ROOT / "tests" / "parity" / "shapes.py", version],
        env={**os.environ, "PYTHONPATH": str(ROOT), "AWS_DEFAULT_REGION": "us-west-2"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
    )
    parts = json.loads(run.stdout.splitlines()[-1])
    assert len(parts) >= at_least
    different = {name: (sdk, ours) for name, sdk, ours in parts if sdk != ours}
    assert different == {}
    proven(written=len(parts))
