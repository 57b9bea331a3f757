"""Play the matrix with operators of your choice, and print the table of the documentation.

python -m tests.acceptance.crash_matrix            this package's operator and the amazon provider's
python -m tests.acceptance.crash_matrix amazon     one of them
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from demo.isolation import forget_users_aws

from .operators import OPERATORS
from .playing import play
from .rows import ROWS
from .stage import staged
from .table import markdown

if TYPE_CHECKING:
    from .playing import Outcome
    from .rows import Row


def main() -> int:
    """Play and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.crash_matrix", description=__doc__)
    parser.add_argument("operators", nargs="*", metavar="OPERATOR", help=", ".join(OPERATORS))
    parser.add_argument("--only", default="", help="rows whose name has this in it")
    parser.add_argument("--keep", type=Path, help="a folder for Airflow's home and its logs")
    options = parser.parse_args()
    forget_users_aws()
    rows = [row for row in ROWS if options.only in row.name]
    columns = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.operators or OPERATORS:
            columns[name] = _play(name, rows, (options.keep or Path(temporary)) / name)
    print("\n".join(markdown(rows, columns)))
    return 0


def _play(name: str, rows: list[Row], folder: Path) -> dict[str, Outcome]:
    with staged(OPERATORS[name], [row.name for row in rows], folder) as stage:
        outcomes = play(stage, rows)
    for row in rows:
        print(f"{name}: {row.name}: {outcomes[row.name]}", file=sys.stderr)
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
