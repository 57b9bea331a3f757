"""Which Python each contender runs in: the amazon provider's `[aiobotocore]` needs another botocore than ours."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.watching.scenarios import AMAZON

ROOT = Path(__file__).resolve().parents[2]
AMAZON_ENVIRONMENT = ROOT / ".venv-amazon"
CONSTRAINTS = Path(__file__).with_name("amazon-constraints.txt")
"""Renew with `uv pip compile --universal --python-version 3.10` over `REQUIREMENTS`, constrained by `constraints.txt`
without its boto packages and its amazon provider."""
REQUIREMENTS = ("apache-airflow==3.3.2", "apache-airflow-providers-amazon[aiobotocore]")


def python_of(contender: str) -> Path:
    """Return the interpreter, making its environment if it is missing or its pins have changed."""
    if contender != AMAZON:
        return Path(sys.executable)
    stamp = AMAZON_ENVIRONMENT / ".installed"
    fingerprint = hashlib.sha256(CONSTRAINTS.read_bytes() + sys.version.encode()).hexdigest()
    python = AMAZON_ENVIRONMENT / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != fingerprint:
        _uv("venv", "--clear", "--python", sys.executable, AMAZON_ENVIRONMENT)
        _uv("pip", "install", "--python", python, "--constraint", CONSTRAINTS, *REQUIREMENTS)
        stamp.write_text(fingerprint)
    return python


def variables(home: Path, port: int) -> dict[str, str]:
    """Return the environment of a process that waits: the fake's address, no one's credentials, an Airflow home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "AIRFLOW"))}
    return kept | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(home / "dag_bundles"),
        "AIRFLOW__SM_PROCESSING__SHORTEST_DEFERRAL": "0",  # jobs end right away here
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "NO_PROXY": "127.0.0.1",
    }


def _uv(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "uv", *map(str, arguments), "--quiet"], check=True)
