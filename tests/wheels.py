"""A wheel for the tests that install something without an index."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TINY_WHEEL = "sm_tiny-1.0-py3-none-any.whl"


def make_tiny_wheel(folder: Path) -> Path:
    """Write a wheel of the project `sm-tiny`, version 1.0, whose module says `SIZE`; return its path."""
    files = {
        "sm_tiny.py": "SIZE = 'tiny'\n",
        "sm_tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: sm-tiny\nVersion: 1.0\n",
        "sm_tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, "sm_tiny-1.0.dist-info/RECORD"])
    path = folder / TINY_WHEEL
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in {**files, "sm_tiny-1.0.dist-info/RECORD": record}.items():
            wheel.writestr(name, text)
    return path
