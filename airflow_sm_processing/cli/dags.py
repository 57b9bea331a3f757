"""DAGs from their files, without Airflow's database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import DAG

__all__ = ["find_dag", "read_dags"]


def read_dags(path: str | Path) -> list[DAG]:
    """Give the DAGs that a file defines.

    Raises:
        LookupError: There are none, or the file can't be imported.
    """
    path = Path(path).absolute()
    if not path.is_file():
        raise LookupError(f"There is no file {path}.")
    dags, error = _parsed(path)
    if error:
        raise LookupError(f"{path} can't be imported:\n{error}")
    if not dags:
        raise LookupError(f"{path} defines no DAG.")
    return dags


def find_dag(dag_id: str, path: str | None = None) -> DAG:
    """Give the DAG of an id: from the file, or from the DAG bundles that Airflow is configured with.

    Raises:
        LookupError: There is none.
    """
    errors = []
    for file in [Path(path)] if path else _by_likelihood(dag_id):
        dags, error = _parsed(file.absolute())
        if error:
            errors.append(f"{file}: {error.strip().splitlines()[-1]}")
        for dag in dags:
            if dag.dag_id == dag_id:
                return dag
    where = path or ", ".join(map(str, _folders()))
    broken = "".join(f"\n  can't be imported: {error}" for error in errors)
    raise LookupError(f"There is no DAG {dag_id!r} in {where}. Name its file with --dag-file.{broken}")


def _parsed(path: Path) -> tuple[list[DAG], str]:
    bag = _dag_bag()
    dags: list[DAG] = bag.process_file(str(path), only_if_updated=False, safe_mode=False)
    return dags, "\n".join(bag.import_errors.values())


def _dag_bag() -> Any:
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # before Airflow 3.2
        from airflow.models.dagbag import DagBag  # type: ignore[no-redef]
    return DagBag(dag_folder=os.devnull, collect_dags=False)


def _by_likelihood(dag_id: str) -> Iterator[Path]:
    """Yield the DAG files, first those in which the DAG's id stands."""
    from airflow.utils.file import list_py_file_paths

    files = [Path(file) for folder in _folders() for file in sorted(list_py_file_paths(folder))]
    with_it = {file for file in files if dag_id.encode() in file.read_bytes()}
    yield from sorted(files, key=lambda file: file not in with_it)


def _folders() -> list[Path]:
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    manager: Any = DagBundlesManager  # which is untyped
    return [bundle.path for bundle in manager().get_all_dag_bundles()]
