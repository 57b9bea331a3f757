"""Recognisable secrets, and the search for them in everything that an Airflow wrote."""

from __future__ import annotations

import json
import secrets
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_sm_processing.local import LocalSageMaker
    from demo.airflow_services import RunningAirflow

LITERAL = "canary-that-stands-in-the-dag-file"


def _canary(kind: str) -> str:
    return f"canary-{kind}-{secrets.token_hex(8)}"


@dataclass(frozen=True, kw_only=True)
class Canaries:
    """One secret of each kind; each is different, and has no characters that need escaping anywhere."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    word: str = field(default_factory=lambda: _canary("word"))
    mapped: str = field(default_factory=lambda: _canary("mapped"))
    first_line: str = field(default_factory=lambda: _canary("first-line"))
    last_line: str = field(default_factory=lambda: _canary("last-line"))
    in_json: str = field(default_factory=lambda: _canary("json"))
    signature: str = field(default_factory=lambda: _canary("signature"))
    password: str = field(default_factory=lambda: _canary("password"))

    @classmethod
    def with_keys_of(cls, sagemaker: LocalSageMaker) -> Canaries:
        """Make canaries; keys and token are of a role's session, which AWS issues."""
        role = "arn:aws:iam::123456789012:role/SageMakerRole"
        keys = sagemaker.client("sts").assume_role(RoleArn=role, RoleSessionName="canary")["Credentials"]
        return cls(
            access_key_id=keys["AccessKeyId"],
            secret_access_key=keys["SecretAccessKey"],
            session_token=keys["SessionToken"],
        )

    def all(self) -> dict[str, str]:
        """Return what must not be seen, by name."""
        told = {name: value for name, value in vars(self).items() if name != "access_key_id"}
        return {**told, "literal": LITERAL}

    def variables(self) -> dict[str, str]:
        """Return Airflow's variables; none has a name that Airflow takes for a secret's."""
        return {
            "canary_word": self.word,
            "canary_mapped": self.mapped,
            "canary_lines": f"{self.first_line}\n{self.last_line}\n",
            "canary_json": json.dumps({"user": "alice", "password": self.in_json}),
            "canary_url": f"https://a-bucket.s3.amazonaws.com/key?X-Amz-Expires=60&X-Amz-Signature={self.signature}",
        }

    def connections(self) -> dict[str, Any]:
        """Return Airflow's connections."""
        return {
            "canary_database": {"conn_type": "generic", "login": "alice", "password": self.password},
            "canary_aws": {
                "conn_type": "aws",
                "login": self.access_key_id,
                "password": self.secret_access_key,
                "extra": json.dumps({"aws_session_token": self.session_token, "region_name": "us-east-1"}),
            },
        }

    def plant(self, airflow: RunningAirflow, folder: Path) -> None:
        """Let Airflow read them from files in this folder, since its command line is logged."""
        for kind, planted in (("variables", self.variables()), ("connections", self.connections())):
            path = folder / f"{kind}.json"
            path.write_text(json.dumps(planted))
            command = ["airflow", kind, "import", str(path)]
            airflow.processes.run(f"import-{kind}", command, airflow.home.environment())

    def in_text(self, text: str) -> set[str]:
        """Return the names of the secrets in a text."""
        return {name for name, value in self.all().items() if value in text}

    def in_files(self, folder: Path) -> set[tuple[str, str]]:
        """Return the secrets in files below the folder, except databases: file and name."""
        found = set()
        for path in folder.rglob("*"):
            if path.is_file() and not path.name.startswith("airflow.db"):
                text = path.read_bytes().decode(errors="replace")
                found |= {(str(path.relative_to(folder)), name) for name in self.in_text(text)}
        return found

    def in_database(self, path: Path) -> set[tuple[str, str, str]]:
        """Return the secrets in any row of any table: table, column and name."""
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            database.text_factory = lambda text: text.decode(errors="replace")
            return {
                (table, column, name) for table, column, value in _cells(database) for name in self.in_text(str(value))
            }


def _cells(database: sqlite3.Connection) -> Iterator[tuple[str, str, Any]]:
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        rows = database.execute(f'SELECT * FROM "{table}"')
        columns = [column[0] for column in rows.description]
        for row in rows:
            yield from ((table, column, value) for column, value in zip(columns, row, strict=True))
