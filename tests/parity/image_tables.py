"""`make images`: write the package's tables of images from those of the SageMaker SDK.

The SDK's files have the accounts of some forty regions beside each version, and are 600 kB. The package's has each set
of accounts once.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tests.time_limits import HANGS_AFTER_SECONDS

from .sdk_environment import sdk_python

TABLES = Path(__file__).parents[2] / "airflow_sm_processing" / "image_uris.json"
_WORKER = Path(__file__).with_name("sdk_images.py")


def ask_sdk(question: Any) -> Any:
    """Return what the SDK answers to all cases at once, or its tables."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [str(sdk_python()), str(_WORKER), str(answer)]
        subprocess.run(
            command, input=json.dumps(question), text=True, capture_output=True, check=True, timeout=HANGS_AFTER_SECONDS
        )
        return json.loads(answer.read_text())


def compact(tables: dict[str, Any]) -> dict[str, Any]:
    """Return the SDK's tables with each set of accounts once, and numbers in place of the sets."""
    registries: list[dict[str, list[str]]] = []

    def numbered(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: _number(item) if key == "registries" else numbered(item) for key, item in value.items()}

    def _number(accounts: dict[str, str]) -> int:
        by_account: dict[str, list[str]] = {}
        for region, account in sorted(accounts.items()):
            by_account.setdefault(account, []).append(region)
        if by_account not in registries:
            registries.append(by_account)
        return registries.index(by_account)

    frameworks = numbered(tables["frameworks"])
    return {**tables, "frameworks": frameworks, "registries": registries}


def written(tables: dict[str, Any]) -> str:
    """Return the file's text: a line for each version and each set of accounts, so that a diff can be read."""
    return _text(tables, depth=5) + "\n"


def _text(value: Any, depth: int, indent: str = "") -> str:
    is_deep = (
        isinstance(value, (dict, list)) and value and depth and any(isinstance(i, (dict, list)) for i in _items(value))
    )
    if not is_deep:
        return json.dumps(value, separators=(",", ":"))
    inner = indent + " "
    if isinstance(value, dict):
        parts = [f"{json.dumps(key)}:{_text(item, depth - 1, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(inner + part for part in parts) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + _text(item, 0, inner) for item in value) + f"\n{indent}]"


def _items(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value


def main() -> None:
    """Write the tables; the date stays if nothing else has changed."""
    tables = compact(ask_sdk("tables"))
    before = json.loads(TABLES.read_text()) if TABLES.exists() else {}
    if {**before, "date": None} != {**tables, "date": None}:
        tables = {"date": f"{datetime.now(timezone.utc):%Y-%m-%d}", **tables}
        TABLES.write_text(written(tables))
    print(f"{TABLES}: {TABLES.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
