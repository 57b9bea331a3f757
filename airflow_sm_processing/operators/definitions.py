"""A task's job definition: what is wrong with it early, and the whole of it when the task runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import DefinitionError, Problem
from airflow_sm_processing.operators.assets import problems_of_assets
from airflow_sm_processing.operators.late import hide_late, is_known
from airflow_sm_processing.operators.masking import mask_problems
from airflow_sm_processing.operators.mode_parameters import mode_problems, read_modes
from airflow_sm_processing.operators.nothing import nothing_problems, without_left_out
from airflow_sm_processing.operators.parameters import DefinitionReader
from airflow_sm_processing.operators.result_files import problems_of_results
from airflow_sm_processing.processing.definition import local_path
from airflow_sm_processing.processing.validation import definition_problems
from airflow_sm_processing.xcoms import reserved_name_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_sm_processing.operators.getting import ClaimingTask
    from airflow_sm_processing.operators.modes import Modes
    from airflow_sm_processing.processing.definition import JobDefinition

__all__ = ["early_problems", "read_task"]


def early_problems(task: ClaimingTask) -> list[Problem]:
    """Give what is wrong with a task as it stands in the DAG file; what only a run knows is passed over."""
    reader = DefinitionReader()
    definition = reader.read({name: hide_late(value) for name, value in task.definition_parameters().items()})
    known_modes = {name: value for name, value in task.mode_parameters().items() if is_known(value)}
    return [
        *reader.problems,
        *definition_problems(definition),
        *reserved_name_problems(definition.outputs),
        *problems_of_results(task, definition.outputs),
        *problems_of_assets(task),
        *mode_problems(known_modes),
        *_mask_problems(task),
    ]


def read_task(
    task: ClaimingTask, *, is_excused: Callable[[Problem], bool] = lambda _: False
) -> tuple[JobDefinition, Modes]:
    """Give the definition and the modes of a task whose parameters are rendered; local files are beside the DAG file.

    Args:
        task: The task.
        is_excused: Tells which problems are passed over.

    Raises:
        DefinitionError: A parameter can't be read.
    """
    reader = DefinitionReader()
    parameters = task.definition_parameters()
    parameters["inputs"] = without_left_out(task.written.get("inputs"), parameters["inputs"])
    nothings = [*nothing_problems(task.written, parameters)]
    definition = reader.read(parameters)
    modes, unreadable = read_modes(task.mode_parameters())
    problems = [
        *nothings,
        *reader.problems,
        *reserved_name_problems(definition.outputs),
        *problems_of_results(task, definition.outputs),
        *problems_of_assets(task),
        *unreadable,
        *_mask_problems(task),
    ]
    if not all(map(is_excused, problems)):
        problems += (item for item in definition_problems(definition) if item.parameter not in _named(nothings))
        raise DefinitionError([item for item in problems if not is_excused(item)], subject=f"task {task.task_id}")
    return _beside(definition, _dag_folder(task)), modes


def _named(problems: Sequence[Problem]) -> frozenset[str]:
    return frozenset(item.parameter for item in problems)


def _mask_problems(task: ClaimingTask) -> Iterator[Problem]:
    """Yield what is wrong with `mask_env`; in `default_args` it may name variables that this task's own env hasn't."""
    is_for_others = "mask_env" in task.inherited and "env" not in task.inherited
    return mask_problems(task.mask_env, None if is_for_others else task.env)


def _dag_folder(task: ClaimingTask) -> Path:
    dag = task.get_dag()
    return Path(dag.fileloc).parent if dag is not None and dag.fileloc else Path.cwd()


def _beside(definition: JobDefinition, folder: Path) -> JobDefinition:
    inputs = tuple(
        item.at(_absolute(item.source, folder)) if isinstance(item.source, str) else item for item in definition.inputs
    )
    code = _absolute(definition.code, folder) if isinstance(definition.code, str) else definition.code
    return dataclasses.replace(definition, code=code, inputs=inputs)


def _absolute(text: str, folder: Path) -> str:
    """Give a relative path as one below the folder; a URI or an absolute path stays as it is."""
    path: Any = None if "://" in text else local_path(text)
    return text if path is None or path.is_absolute() else str(folder / path)
