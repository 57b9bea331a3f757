"""Outputs: references to other tasks' outputs, and the assets and result files of a task's own outputs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.definitions._internal.mixins import ResolveMixin
from airflow.sdk.definitions.xcom_arg import PlainXComArg

from airflow_sm_processing.exceptions import DefinitionError, Problem
from airflow_sm_processing.operators.templating import LATE, as_bool, hide_unresolved, resolved
from airflow_sm_processing.processing.models import as_folder, is_s3_uri, own_names
from airflow_sm_processing.processing.values import Value, from_json, json_or_as_is, to_plain, value_object
from airflow_sm_processing.xcoms import RESERVED_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from airflow.sdk import Context, XComArg

    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.s3 import Size
    from airflow_sm_processing.processing.session import Session

__all__ = [
    "AssetOutlets",
    "ElementReference",
    "FolderReference",
    "OptionalReference",
    "PlaceReference",
    "TaskOutput",
    "as_folders",
    "check_reference",
    "declare",
    "declare_partial",
    "emit_asset_events",
    "emit_assets_problems",
    "output_names",
    "outputs_alias",
    "plain_parameter",
    "read_result_files",
    "result_file_values",
    "result_files_problems",
    "with_folder_parameters",
    "with_folder_references",
    "with_optional_references",
    "with_uris",
]


log = logging.getLogger(__name__)


_PARAMETERS = frozenset({"inputs", "code", "source_dir"})
"""The parameters that name what a job reads. In others, a key such as `source` has no meaning: `env` may have one."""

_PACKAGE = "airflow_sm_processing."
_MAY_PUSH = (
    "multiple_outputs",
    "spark_event_logs_s3_uri",
    "on_execute_callback",
    "on_success_callback",
)
"""The parameters with which a task may push XComs under other keys than those of its outputs."""
_HOOKS = {True: ("pre_execute", "post_execute"), False: ("_pre_execute_hook", "_post_execute_hook")}
"""Further such parameters: their names in a mapped task, and in a task that isn't mapped."""

_PLACES = frozenset({"source", "s3_uri", "code", "source_dir"})
"""The fields that have the place of data."""


class PlaceReference(PlainXComArg):
    """A reference to an XCom that resolves to the S3 location in it."""

    __slots__ = ()

    def resolve(self, context: Mapping[str, Any]) -> Any:
        """Return the location; for a mapped task, those of its instances."""
        return self.read(super().resolve(context))

    def read(self, value: Any) -> Any:
        """Return the location in an XCom, or those in a list of XComs; None for None."""
        raise NotImplementedError


class FolderReference(PlaceReference):
    """A reference to an output's URI that resolves with a slash at its end.

    The XCom has no such slash, so that paths can be appended to it; as an input without one, it would also match keys
    beside the folder that begin alike.
    """

    __slots__ = ()

    def read(self, value: Any) -> Any:
        """Return the URI of the folder, for an input."""
        return as_folders(value)


class ElementReference(ResolveMixin):
    """An XComArg inside a mapped element, such as `task.output["train"]`.

    Airflow refuses to map *over* an XCom with a custom key, and mistakes one inside an element for such a case.
    """

    def __init__(self, reference: XComArg) -> None:
        self.reference = reference

    def __repr__(self) -> str:
        return repr(self.reference)

    def iter_references(self) -> Iterable[Any]:
        """Return the tasks and XCom keys that are referred to."""
        return self.reference.iter_references()

    def resolve(self, context: Mapping[str, Any]) -> Any:
        """Return what the reference resolves to."""
        return self.reference.resolve(context)


class TaskOutput(PlainXComArg):
    """A reference to a task's result, which only accepts the names of existing outputs."""

    __slots__ = ()

    def __getitem__(self, item: str) -> Any:
        """Return the reference to an output.

        Raises:
            DefinitionError: The task's outputs are known, and this isn't one of them.
        """
        check_reference(self.operator, item)
        return super().__getitem__(item)


def check_reference(operator: Any, key: object) -> None:
    """Refuse a reference to an output that a processing task can't have.

    Raises:
        DefinitionError: There is no such output. Otherwise a run would notice that only after the upstream job's end.
    """
    known = _known_keys(operator)
    if known is None or key in known or not isinstance(key, str):
        return
    own = getattr(operator, "operator_class", operator).own_outputs
    names = sorted(known - RESERVED_KEYS.union(own))
    has = f"it has {', '.join(map(repr, names))}" if names else "it has no outputs"
    rule = f"task {operator.task_id} has no output {key!r}; {has}"
    raise DefinitionError([Problem("output", key, rule)], subject=f"a reference to task {operator.task_id}")


def _known_keys(operator: Any) -> frozenset[str] | None:
    """Return the keys of all XComs that a task can have; None if that isn't known when its DAG file is parsed."""
    cls = getattr(operator, "operator_class", type(operator))
    names = output_names(operator)
    parameters = _parameters_of(operator)
    if (
        names is None
        or not cls.__module__.startswith(_PACKAGE)
        or any(map(parameters, (*_MAY_PUSH, *_HOOKS[operator.is_mapped])))
    ):
        return None
    values = read_result_files(hide_unresolved(parameters("result_files")))
    if LATE in names or not isinstance(values, (Mapping, type(None))):
        return None
    return RESERVED_KEYS.union(names, values or ())


def _parameters_of(operator: Any) -> Callable[[str], Any]:
    """Return a function that reads a parameter of a plain or mapped operator; it returns LATE for mapped parameters."""
    if not operator.is_mapped:
        return lambda name: getattr(operator, name, None)
    mapped = getattr(operator.expand_input, "value", None)
    over = mapped if isinstance(mapped, dict) else None  # whole dicts of arguments may have any parameter

    def parameter(name: str) -> Any:
        return LATE if over is None or name in over else operator.partial_kwargs.get(name)

    return parameter


def output_names(operator: Any) -> list[Any] | None:
    """Return the names of a processing task's outputs, LATE for unknown ones; None for a task of another kind."""
    own = getattr(getattr(operator, "operator_class", operator), "own_outputs", None)
    if own is None:
        return None
    outputs = hide_unresolved(json_or_as_is(_parameters_of(operator)("outputs")))
    if outputs is not None and not isinstance(outputs, (list, tuple)):
        return [*own, LATE]
    names = [item.get("output_name") if isinstance(item, dict) else None for item in outputs or ()]
    return [*own, *(name or f"output-{position}" for position, name in enumerate(names, 1))]


def with_folder_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task's plain parameters, with folder references for the outputs that the job reads."""
    return {
        name: with_folder_references(value, name) if name in _PARAMETERS else value
        for name, value in parameters.items()
    }


def with_folder_references(value: Any, field: str = "") -> Any:
    """Return plain parameters with a folder reference in place of each reference to an output in a field for a place.

    A value without such references is returned unchanged, as the same object.
    """
    if isinstance(value, PlainXComArg):
        is_folder = field in _PLACES and not isinstance(value, PlaceReference) and _is_to_an_output(value)
        return FolderReference(value.operator, value.key) if is_folder else value
    if isinstance(value, dict):
        # The user's own JSON is left alone, whatever its keys are.
        converted = {key: item if key == "json" else with_folder_references(item, key) for key, item in value.items()}
        return converted if any(converted[key] is not item for key, item in value.items()) else value
    if type(value) in {list, tuple}:
        items = [with_folder_references(item, field) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value


def _is_to_an_output(reference: PlainXComArg) -> bool:
    """Return whether a reference is to a known output of a processing task.

    Raises:
        DefinitionError: The task has no such output.
    """
    check_reference(reference.operator, reference.key)
    return reference.key in (output_names(reference.operator) or ())


def as_folders(value: Any) -> Any:
    """Return an output's URI, or those of a mapped task's instances, as URIs of folders, for inputs."""
    plain = resolved(value)
    if isinstance(plain, str):
        return as_folder(plain) if is_s3_uri(plain) else plain
    return [as_folders(item) for item in plain] if isinstance(plain, (list, tuple)) else plain


# References of optional inputs, to tasks that may be skipped

_DID_NOT_RUN = frozenset({"skipped", "upstream_failed", "removed", "None"})


class OptionalReference(ResolveMixin):
    """A reference that resolves to None if the referenced task was skipped.

    The task's state decides, not its XComs: a task that skipped itself has pushed XComs, and one that a branch skips
    now may have pushed some before it was cleared.
    """

    def __init__(self, reference: Any) -> None:
        self.reference = getattr(reference, "reference", reference)
        """Airflow's own reference, without the wrapper for mapped tasks."""

    def __repr__(self) -> str:
        return repr(self.reference)

    def iter_references(self) -> Iterable[Any]:
        """Return the tasks and XCom keys that are referred to."""
        yield from self.reference.iter_references()

    def resolve(self, context: Mapping[str, Any]) -> Any:
        """Return the XCom; for a mapped task, those of the instances that ran; None if there are none."""
        return _if_ran(self.reference, context)


def _if_ran(reference: Any, context: Mapping[str, Any]) -> Any:
    """Return what a reference resolves to; `.concat()` and `.map()` apply to the parts that ran."""
    from airflow.sdk.definitions.xcom_arg import ConcatXComArg, MapXComArg

    if isinstance(reference, ConcatXComArg):
        parts = [_elements(_if_ran(part, context), "concat") for part in reference.args]
        return [item for part in parts for item in part] or None
    if isinstance(reference, MapXComArg):
        before = _if_ran(reference.arg, context)
        return None if before is None else [_mapped(item, reference.callables) for item in _elements(before, "map")]
    return _pulled_if_ran(reference, context)


def _elements(value: Any, way: str) -> list[Any]:
    plain = [] if value is None else resolved(value)
    if not isinstance(plain, (list, tuple)):
        raise TypeError(f"XCom {way} expects a list, not {type(plain).__name__}")
    return [*plain]


def _mapped(item: Any, callables: Iterable[Callable[[Any], Any]]) -> Any:
    for function in callables:
        item = function(item)
    return item


def _pulled_if_ran(reference: Any, context: Mapping[str, Any]) -> Any:
    from airflow_sm_processing.airflow_compat import XComNotFound

    ti = context["ti"]
    references = [*reference.iter_references()]
    states = {operator.task_id: _states(ti, operator) for operator, _ in references}
    if any(found and not any(found.values()) for found in states.values()):
        return None
    (operator, key), *others = references
    ran = states[operator.task_id]
    if operator.is_mapped and not others and not all(ran.values()):
        indexes = [index for index, has_run in ran.items() if has_run and index >= 0]
        found = ti.xcom_pull(task_ids=operator.task_id, key=key, map_indexes=indexes)
        return reference.read(found) if isinstance(reference, PlaceReference) else found
    try:
        return reference.resolve(context)
    except XComNotFound:
        return None


def with_optional_references(inputs: Any) -> Any:
    """Return plain inputs, with references that allow skipped tasks in the optional ones."""
    if not isinstance(inputs, (list, tuple)):
        return inputs
    fields = [_with_optional_references(item) for item in inputs]
    return fields if any(new is not old for new, old in zip(fields, inputs, strict=True)) else inputs


def _with_optional_references(item: Any) -> Any:
    if not isinstance(item, dict) or as_bool(item.get("optional")) is False or "optional" not in item:
        return item
    nested = item.get("s3_input")
    if isinstance(nested, dict):
        return {**item, "s3_input": _wrapped(nested, "s3_uri")}
    return _wrapped(item, "source")


def _wrapped(fields: dict[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name)
    is_reference = isinstance(value, ResolveMixin) and not isinstance(value, OptionalReference)
    return {**fields, name: OptionalReference(value)} if is_reference else fields


def _states(ti: Any, operator: Any) -> dict[int, bool]:
    """Return, by map index, whether each instance ran that this task may refer to; empty if Airflow can't be read."""
    try:
        answer = ti.get_task_states(dag_id=ti.dag_id, task_ids=[operator.task_id], run_ids=[ti.run_id])
        states = answer.get(ti.run_id) or {}
    except Exception as error:  # noqa: BLE001  # Airflow raises many kinds; the XCom alone then decides
        log.warning("Could not read from Airflow whether task %s was skipped: %r", operator.task_id, error)
        return {}
    ran = {_map_index(name, operator.task_id): _has_run(state) for name, state in states.items()}
    is_beside = operator.get_closest_mapped_task_group() is not None and ti.map_index in ran
    return {ti.map_index: ran[ti.map_index]} if is_beside and not operator.is_mapped else ran


def _map_index(name: str, task_id: str) -> int:
    rest = name.removeprefix(f"{task_id}_")
    return int(rest) if name != task_id and rest.isdecimal() else -1


def _has_run(state: Any) -> bool:
    return str(getattr(state, "value", state)) not in _DID_NOT_RUN


def plain_parameter(name: str, value: Any) -> Any:
    """Return an operator's parameter as plain dicts and lists; inputs and outputs with this package's field names."""
    plain = to_plain(value)
    return own_names(name, plain) if name in {"inputs", "outputs"} else plain


def with_uris(value: Any) -> Any:
    """Return a value with its URI in place of each asset.

    Airflow strips from an asset's URI the slash at its end, which distinguishes a folder from a prefix, and everything
    after a `#`. An asset without a name of its own has the URI as it was written for its name.
    """
    if isinstance(value, Asset):
        as_written = is_s3_uri(value.name) and Asset(value.name).uri == value.uri
        return value.name if as_written else value.uri
    if not any(True for _ in _assets_in(value)):
        return value
    if isinstance(value, dict):
        return {key: with_uris(item) for key, item in value.items()}
    return [with_uris(item) for item in value]


def declare(task: Any, inputs: Any) -> None:
    """Add the assets in a task's inputs to its inlets, and the alias for its outputs to its outlets.

    Args:
        task: An operator, or the arguments of a mapped one as an object with attributes.
        inputs: The task's plain inputs.
    """
    task.inlets.extend(asset for asset in _assets_in(inputs) if asset not in task.inlets)
    if task.emit_assets:
        alias = outputs_alias(task)
        task.outlets.extend([alias] if alias not in task.outlets else [])


def declare_partial(arguments: dict[str, Any]) -> None:
    """Do the same as `declare` for a task that will be mapped, with the arguments that all its instances share."""
    declared = SimpleNamespace(
        get_dag=lambda: arguments.get("dag"),
        task_id=arguments["task_id"],
        emit_assets=arguments.get("emit_assets", False),
        inlets=_as_list(arguments.get("inlets")),
        outlets=_as_list(arguments.get("outlets")),
    )
    declare(declared, arguments.get("inputs"))
    arguments.update(inlets=declared.inlets, outlets=declared.outlets)
    if "inputs" in arguments:
        arguments["inputs"] = with_uris(arguments["inputs"])


def outputs_alias(task: Any) -> AssetAlias:
    """Return the alias under which a task with `emit_assets=True` emits all its outputs."""
    dag = task.get_dag()
    return AssetAlias(task.task_id if dag is None else f"{dag.dag_id}.{task.task_id}")


def emit_assets_problems(emit_assets: Any, *, is_unawaited: bool) -> Iterator[Problem]:
    """Yield what is wrong with a task's `emit_assets`.

    Args:
        emit_assets: The parameter.
        is_unawaited: Whether the task itself is set not to wait for its job's end.
    """
    if hide_unresolved(emit_assets) is LATE:
        return
    emits = as_bool(emit_assets)
    if emits is None:
        yield Problem("emit_assets", emit_assets, "must be true or false")
    if emits and is_unawaited:
        rule = "no output is complete before the job's end: set wait_for_completion=True"
        yield Problem("emit_assets", emit_assets, rule)


@value_object
class AssetOutlets(Value):
    """Determines which of a task's outputs become asset events."""

    outlets: Collection[Any]
    """The task's outlets."""
    own_outputs: Collection[str]
    """The names of outputs that are internal to the task and never become events."""
    alias: AssetAlias | None
    """The alias for all outputs, if the task has `emit_assets=True`."""


def emit_asset_events(
    emitted: AssetOutlets, context: Context, description: JobDescription, sizes: Mapping[str, Size | None]
) -> None:
    """Add the job, the output's URI and its size to the asset events of a successful task.

    An outlet belongs to an output if it is an alias or asset with the output's name, or an asset with its URI.
    """
    outputs = {name: uri for name, uri in description.output_uris.items() if name not in emitted.own_outputs}
    places = {str(item.output_name): str(item.destination) for item in description.outputs}  # as the user wrote them
    extras = {name: _extra(description, name, uri, sizes.get(places[name])) for name, uri in outputs.items()}
    for outlet in emitted.outlets:
        if isinstance(outlet, AssetAlias):
            for name in outputs:
                if outlet.name == name or outlet == emitted.alias:
                    _add(context, outlet, places[name], extras[name])
        elif isinstance(outlet, Asset):
            for name, uri in outputs.items():
                if outlet.name == name or _asset_uri(uri) == outlet.uri:
                    context["outlet_events"][outlet].extra.update(extras[name])


def _add(context: Context, alias: AssetAlias, uri: str, extra: dict[str, Any]) -> None:
    try:
        asset = Asset(uri)
    except ValueError as error:  # for example a non-ASCII letter, if Airflow's database is MySQL
        log.warning("No asset event was created for %s: %s", uri, error)
    else:
        context["outlet_events"][alias].add(asset, extra=extra)


def _extra(description: JobDescription, name: str, uri: str, size: Size | None) -> dict[str, Any]:
    return {
        "job_name": description.job_name,
        "job_arn": description.job_arn,
        "output": name,
        "uri": uri,
        "bytes": size and size.bytes,
        "objects": size and size.objects,
        "is_complete": size is not None and size.complete,
    }


def _asset_uri(uri: str) -> str | None:
    try:
        return Asset(uri).uri
    except ValueError:
        return None


def _assets_in(value: Any) -> Iterator[Asset]:
    if isinstance(value, Asset):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _assets_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _assets_in(item)


def _as_list(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]


# Result files: small files that a job writes, and whose values become XComs


def result_files_problems(
    result_files: Any, max_bytes: Any, *, output_names: Collection[object], is_unawaited: bool
) -> Iterator[Problem]:
    """Yield what is wrong with the known parts of a task's `result_files`.

    Args:
        result_files: The parameter.
        max_bytes: The task's `max_result_file_bytes`.
        output_names: The names of the job's outputs; empty if they aren't all known.
        is_unawaited: Whether the task itself is set not to wait for its job's end.
    """
    plain = read_result_files(hide_unresolved(result_files))
    if not plain or plain is LATE:
        return
    from airflow_sm_processing.result_files import result_file_problems

    if is_unawaited:
        yield Problem("result_files", plain, "needs the job's end: set wait_for_completion=True")
    known = {name: place for name, place in plain.items() if place is not LATE} if isinstance(plain, Mapping) else plain
    yield from result_file_problems(known, output_names)
    yield from _bound_problems(max_bytes)


def read_result_files(value: Any) -> Any:
    """Return the result files by name, parsed if a template wrote them as JSON; anything else is returned unchanged."""
    if not isinstance(value, str):
        return value
    try:
        return from_json(value)
    except (ValueError, RecursionError):
        return value


def _bound_problems(value: Any) -> Iterator[Problem]:
    if hide_unresolved(value) is LATE:
        return
    try:
        positive = int(value) > 0
    except (TypeError, ValueError):
        positive = False
    if not positive:
        yield Problem("max_result_file_bytes", value, "must be a positive number of bytes")


def result_file_values(
    named: Mapping[str, str],
    session: Session,
    output_uris: Mapping[str, str],
    *,
    max_bytes: int,
    max_transient_seconds: float,
) -> dict[str, Any]:
    """Read all result files of a completed job.

    Args:
        named: The files by the names of their XComs.
        session: The session to read them with.
        output_uris: The S3 URIs of the job's outputs by name.
        max_bytes: The maximum size of a file, in bytes.
        max_transient_seconds: How long to retry while S3 can't be reached.

    Raises:
        UnusableResultError: A file is missing, too large, or doesn't parse.
        ServiceError: S3 refused or couldn't be reached.
    """
    from airflow_sm_processing.exceptions import ResultFileError
    from airflow_sm_processing.operators.attempt import UnusableResultError
    from airflow_sm_processing.processing.aws_calls import retry
    from airflow_sm_processing.result_files import read_result_file, result_files

    try:
        return {
            file.name: retry(
                partial(read_result_file, session, file, output_uris.get(file.output_name), max_bytes=max_bytes),
                max_seconds=max_transient_seconds,
            )
            for file in result_files(named)
        }
    except ResultFileError as error:
        raise UnusableResultError(error.name, error.reason) from None
