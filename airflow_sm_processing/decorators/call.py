"""The call of a function as files, which the container gets as the job's code."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_sm_processing.decorators.function import FunctionSource

__all__ = ["CONTAINER", "SCRIPT", "FunctionCall"]

CONTAINER = Path(__file__).parent / "container"
"""The package that runs there."""
SCRIPT = "run.py"
_PACKAGE = "airflow_sm_container"
_START = f"""\
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # not there under PYTHONSAFEPATH

from {_PACKAGE}.running import main

main()
"""


@dataclass(frozen=True, kw_only=True)
class FunctionCall:
    """Everything that the container needs to know."""

    source: FunctionSource
    arguments: dict[str, Any]
    """As JSON, by the function's parameters."""
    requirements: Sequence[str]
    multiple_outputs: bool
    max_xcom_bytes: int

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Write the call to a folder that nobody else can read, and remove it after the block."""
        with TemporaryDirectory(prefix="sm-processing-call-") as name:
            folder = Path(name)
            shutil.copytree(CONTAINER, folder / _PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
            (folder / SCRIPT).write_text(_START, encoding="utf-8")
            (folder / "call.json").write_text(json.dumps(self._to_plain()), encoding="utf-8")
            yield folder

    def _to_plain(self) -> dict[str, Any]:
        return {
            "function": self.source.name,
            "source": self.source.text,
            "file": self.source.file,
            "first_line": self.source.first_line,
            "future": self.source.future,
            "arguments": self.arguments,
            "requirements": list(self.requirements),
            "multiple_outputs": self.multiple_outputs,
            "max_xcom_bytes": self.max_xcom_bytes,
        }
