"""A task's data as Airflow's assets: where its inputs are, and what became of its outputs."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk import Asset, AssetAlias

from airflow_sm_processing.exceptions import Problem
from airflow_sm_processing.operators.templating import LATE, as_bool, hide_unresolved
from airflow_sm_processing.processing.s3_uris import is_s3_uri

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from airflow.sdk import Context

    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.s3 import Size

__all__ = [
    "AssetOutlets",
    "declare",
    "declare_partial",
    "emit_asset_events",
    "emit_assets_problems",
    "outputs_alias",
    "with_uris",
]

log = logging.getLogger(__name__)


def with_uris(value: Any) -> Any:
    """Put an asset's URI in place of each asset.

    Airflow takes a slash off a URI's end, which says of a prefix that the keys go on below it, and what follows a `#`.
    Where the asset has no name of its own, its name is the URI as it was written.
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
    """Make the assets that a task's inputs name its inlets, and add an outlet for what its outputs turn out to be.

    Args:
        task: An operator, or the arguments of a mapped one as an object with attributes.
        inputs: The task's inputs, plain.
    """
    task.inlets.extend(asset for asset in _assets_in(inputs) if asset not in task.inlets)
    if task.emit_assets:
        alias = outputs_alias(task)
        task.outlets.extend([alias] if alias not in task.outlets else [])


def declare_partial(arguments: dict[str, Any]) -> None:
    """Do what `declare` does for a task that will be mapped, by the arguments that all its instances share."""
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
        is_unawaited: Whether the task says itself that it doesn't wait for its job's end.
    """
    if hide_unresolved(emit_assets) is LATE:
        return
    emits = as_bool(emit_assets)
    if emits is None:
        yield Problem("emit_assets", emit_assets, "must be true or false")
    if emits and is_unawaited:
        rule = "no output is complete before the job's end: set wait_for_completion=True"
        yield Problem("emit_assets", emit_assets, rule)


class AssetOutlets(NamedTuple):
    """What of a task becomes asset events."""

    outlets: Collection[Any]
    """The task's."""
    own_outputs: Collection[str]
    """The names of outputs that are the task's own business."""
    alias: AssetAlias | None
    """The one for all outputs, of a task with `emit_assets=True`."""


def emit_asset_events(
    emitted: AssetOutlets, context: Context, description: JobDescription, sizes: Mapping[str, Size | None]
) -> None:
    """Add to the asset events of a task's success the job, the output's URI and its size.

    An outlet is an output's if it is an alias or asset of the output's name, or an asset of its URI.
    """
    outputs = {name: uri for name, uri in description.output_uris.items() if name not in emitted.own_outputs}
    places = {str(item.output_name): str(item.destination) for item in description.outputs}  # as their user wrote them
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
    except ValueError as error:  # such as of a letter that isn't in ASCII, where Airflow's database is MySQL
        log.warning("No asset event tells of %s: %s", uri, error)
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
