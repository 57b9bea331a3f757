"""Load DAGs from their files and render a task of a run that doesn't exist, without Airflow's database.

Airflow's SDK asks a supervisor for whatever a template needs and the process doesn't have. Here the supervisor is an
object that answers with placeholders, `<…>`, each of which names the value that a real run would have.
"""

from __future__ import annotations

import dataclasses
import os
import uuid
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.operators.outputs import output_names
from airflow_sm_processing.processing.models import ProcessingInput
from airflow_sm_processing.processing.values import LATE
from airflow_sm_processing.xcoms import RESULT_KEY, submitted_result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from airflow.sdk import DAG, Context

    from airflow_sm_processing.operators.base import BaseProcessingOperator


__all__ = ["RunFields", "check_runs_a_job", "find_dag", "own_definition", "read_dags", "rendered"]


class RunFields:
    """The known fields of the run."""

    def __init__(self, run_id: str | None = None, logical_date: datetime | None = None, map_index: int = -1) -> None:
        self.date = logical_date or datetime.now(timezone.utc).replace(microsecond=0)
        self.run_id = run_id or f"manual__{self.date.isoformat()}"
        self.map_index = map_index


def check_runs_a_job(dag: DAG, task_id: str) -> None:
    """Check that a task is one of this package's operators.

    Raises:
        LookupError: It isn't, so that it has no jobs to plan.
    """
    task: Any = dag.get_task(task_id) if dag.has_task(task_id) else None
    if task is not None and not _runs_a_job(task):
        kind = _operator_class(task).__name__
        others = ", ".join(sorted(other.task_id for other in dag.tasks if _runs_a_job(other))) or "none"
        task = f"Task {task_id} of DAG {dag.dag_id}"
        raise LookupError(f"{task} runs no processing job: it is a {kind}. Tasks that do: {others}.")


@contextmanager
def rendered(dag: DAG, task_id: str, run: RunFields) -> Iterator[tuple[BaseProcessingOperator, Context]]:
    """Yield a processing task as a worker of the run would have it, and its context.

    The `with` block runs as if it were in that worker.

    Raises:
        LookupError: The DAG has no such task, or the task is mapped and no index is given.
    """
    task = _task(dag, task_id, run.map_index)
    with _answering(_Answers(dag, task, run.map_index)):
        instance = _instance(dag, task, run)
        instance.task = instance.task.prepare_for_execution()
        context = instance.get_template_context()
        context["task"] = instance.task
        instance.render_templates(context, instance.task.dag.get_template_env())
        _put_placeholders_in_s3(instance.task)
        yield instance.task, context


def own_definition(task: BaseProcessingOperator) -> Callable[..., AbstractContextManager[Any]]:
    """Return the method that defines the job from the task's parameters alone, without a function's call."""
    from airflow_sm_processing.operators.base import BaseProcessingOperator

    return partial(BaseProcessingOperator.job_definition, task)


def _task(dag: DAG, task_id: str, map_index: int) -> Any:
    if not dag.has_task(task_id):
        raise LookupError(f"DAG {dag.dag_id} has no task {task_id!r}; it has {', '.join(sorted(dag.task_ids))}.")
    task: Any = dag.get_task(task_id)
    if task.is_mapped and map_index < 0:
        raise LookupError(f"Task {task_id} is mapped: choose an instance with --map-index, from 0 on.")
    if not task.is_mapped and map_index >= 0:
        raise LookupError(f"Task {task_id} isn't mapped: leave --map-index out.")
    return task


def _runs_a_job(task: Any) -> bool:
    from airflow_sm_processing.operators.base import BaseProcessingOperator

    return issubclass(_operator_class(task), BaseProcessingOperator)


def _operator_class(task: Any) -> type[Any]:
    cls: type[Any] = task.operator_class if task.is_mapped else type(task)
    return cls


def _instance(dag: DAG, task: Any, run: RunFields) -> Any:
    from airflow.sdk.api.datamodels._generated import DagRun, DagRunState, DagRunType, TIRunContext
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    newer = {name: None for name in ("partition_key",) if name in DagRun.model_fields}  # since Airflow 3.2
    dag_run = DagRun(
        dag_id=dag.dag_id,
        run_id=run.run_id,
        logical_date=run.date,
        data_interval_start=run.date,
        data_interval_end=run.date,
        run_after=run.date,
        start_date=run.date,
        end_date=None,
        run_type=DagRunType.MANUAL,
        state=DagRunState.RUNNING,
        consumed_asset_events=[],
        **newer,
    )
    return RuntimeTaskInstance.model_construct(
        id=uuid.uuid4(),
        task_id=task.task_id,
        dag_id=dag.dag_id,
        run_id=run.run_id,
        try_number=1,
        dag_version_id=uuid.uuid4(),
        map_index=run.map_index,
        task=task,
        max_tries=task.retries,
        start_date=run.date,
        _ti_context_from_server=TIRunContext(dag_run=dag_run, max_tries=task.retries, should_retry=False),
    )


class _Answers:
    """Stands in for a worker's connection to its supervisor."""

    def __init__(self, dag: DAG, task: Any, map_index: int) -> None:
        self._dag = dag
        self._map_index = map_index
        self._mapped_over = _mapped_over(task) if task.is_mapped else {}
        self._length = max(1, map_index + 1)

    def send(self, msg: Any) -> Any:
        """Answer one request; those for the task's own state have no answer yet."""
        answer = getattr(self, f"_{type(msg).__name__}", None)
        return None if answer is None else answer(msg)

    # Looked up by the requests' names, because the oldest Airflow doesn't have all request classes of the newest.

    def _GetXCom(self, msg: Any) -> Any:  # noqa: N802  # a request's name
        value = self._xcom(msg.task_id, msg.key)
        if msg.key == RESULT_KEY and msg.task_id in self._mapped_over:
            value = [_element(self._mapped_over[msg.task_id], value)] * (self._map_index + 1)
        return _comms().XComResult(key=msg.key, value=value)

    def _GetXComSequenceSlice(self, msg: Any) -> Any:  # noqa: N802
        return _comms().XComSequenceSliceResult(root=[self._xcom(msg.task_id, msg.key)])

    def _GetXComSequenceItem(self, msg: Any) -> Any:  # noqa: N802
        if msg.offset >= self._length:
            return _comms().ErrorResponse()  # which ends a loop over them
        return _comms().XComSequenceIndexResult(root=self._xcom(msg.task_id, msg.key))

    def _GetXComCount(self, _: Any) -> Any:  # noqa: N802
        return _comms().XComCountResponse(len=self._length)

    def _GetTaskStates(self, _: Any) -> Any:  # noqa: N802
        return _comms().TaskStatesResult(task_states={})  # so that nothing counts as skipped

    def _GetVariable(self, msg: Any) -> Any:  # noqa: N802
        return _comms().VariableResult(key=msg.key, value=f"<variable {msg.key}>")

    def _GetConnection(self, msg: Any) -> Any:  # noqa: N802
        known = {what: f"<{what} of connection {msg.conn_id}>" for what in ("host", "schema", "login", "password")}
        fields = {"conn_id": msg.conn_id, "conn_type": "aws", "port": None, "extra": None, **known}
        return _comms().ConnectionResult.model_validate(fields)

    def _xcom(self, task_id: str, key: str) -> Any:
        task = self._dag.get_task(task_id) if self._dag.has_task(task_id) else None
        names = [name for name in output_names(task) or () if name is not LATE]
        places = {name: f"s3://<output {name} of task {task_id}>" for name in names}
        if key == RESULT_KEY and places and not _is_function(self._dag, task_id):
            job = f"<job of task {task_id}>"
            return submitted_result(job, job, places)
        return places.get(key, f"<{key} of task {task_id}>")


def _is_function(dag: DAG, task_id: str) -> bool:
    """Return whether a task's result is what a function returns, rather than its job's outputs."""
    return hasattr(dag.get_task(task_id), "python_callable")


def _mapped_over(task: Any) -> dict[str, str]:
    """Return the tasks whose results a task is mapped over, each with the parameter that takes the elements."""
    expanded = getattr(task, "op_kwargs_expand_input", task.expand_input).value  # a function's arguments
    arguments = expanded.items() if isinstance(expanded, dict) else ()
    references = {name: value.iter_references() for name, value in arguments if hasattr(value, "iter_references")}
    return {operator.task_id: name for name, found in references.items() for operator, _ in found}


def _element(parameter: str, placeholder: Any) -> Any:
    """Return a placeholder for one element of a result, of the type that the parameter takes."""
    if parameter in {"inputs", "outputs"}:
        return []
    if parameter in {"arguments", "command", "entrypoint"}:
        return [placeholder]
    return {} if parameter in {"env", "tags", "experiment_config", "network_config"} else placeholder


def _comms() -> Any:
    """Return the module that defines the messages between tasks and supervisors."""
    from airflow.sdk.execution_time import comms as module

    return module


@contextmanager
def _answering(answers: _Answers) -> Iterator[None]:
    """Install the answers where Airflow's SDK looks for its supervisor."""
    from airflow.sdk.execution_time import task_runner

    place: Any = task_runner
    before = vars(place).get("SUPERVISOR_COMMS")
    place.SUPERVISOR_COMMS = answers
    try:
        yield
    finally:
        del place.SUPERVISOR_COMMS  # absent outside of a worker
        if before is not None:
            place.SUPERVISOR_COMMS = before


_SPARK_PLACES = ("submit_py_files", "submit_jars", "submit_files", "spark_event_logs_s3_uri")


def _put_placeholders_in_s3(task: BaseProcessingOperator) -> None:
    """Treat places that aren't known yet as S3 URIs; local paths would be in the DAG file."""
    fields: Any = task
    for name in ("inputs", "outputs", "code", "source_dir", "submit_app", *_SPARK_PLACES):
        if hasattr(task, name):
            setattr(task, name, _in_s3(getattr(fields, name)))
    for name in ("op_args", "op_kwargs"):
        if hasattr(task, name):
            setattr(task, name, _with_inputs_in_s3(getattr(fields, name)))


def _with_inputs_in_s3(value: Any) -> Any:
    """Return a function's arguments with the inputs among them in S3 and everything else unchanged."""
    if isinstance(value, ProcessingInput):
        return dataclasses.replace(value, source=_in_s3(value.source))
    if isinstance(value, (list, tuple)):
        return [_with_inputs_in_s3(item) for item in value]
    return {key: _with_inputs_in_s3(item) for key, item in value.items()} if isinstance(value, dict) else value


def _in_s3(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("<"):
        return f"s3://{value}"
    if isinstance(value, list):
        return [_in_s3(item) for item in value]
    if isinstance(value, dict):
        return {
            key: _in_s3(item) if key in {"source", "destination", "s3_uri"} else item for key, item in value.items()
        }
    return value


def read_dags(path: str | Path) -> list[DAG]:
    """Return the DAGs that a file defines.

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
    """Return the DAG with this id, from the file or from the configured DAG bundles.

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
    """Yield the DAG files, first those that contain the DAG's id."""
    from airflow.utils.file import list_py_file_paths

    files = [Path(file) for folder in _folders() for file in sorted(list_py_file_paths(folder))]
    with_it = {file for file in files if dag_id.encode() in file.read_bytes()}
    yield from sorted(files, key=lambda file: file not in with_it)


def _folders() -> list[Path]:
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    manager: Any = DagBundlesManager  # it is untyped
    return [bundle.path for bundle in manager().get_all_dag_bundles()]
