"""Which jobs, started elsewhere, the sensors of a DAG may look for, whatever a run brings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.definitions.xcom_arg import PlainXComArg

from airflow_sm_processing.exceptions import DefinitionError
from airflow_sm_processing.operators.expansions import mapped_sets, shared_parameters
from airflow_sm_processing.operators.prospects import job_names, without_templates
from airflow_sm_processing.planning.places import ANY, Place, place_of_jobs
from airflow_sm_processing.planning.statements import beginning
from airflow_sm_processing.sensors.processing import ProcessingJobSensor, defers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import DAG

__all__ = ["SoughtJobs", "sought_jobs"]

_ARN_PARTS = ("arn", "partition", "service", "region", "account", "resource")
_PARAMETERS = ("job_name", "job_arn", "job_name_prefix", "region_name", "deferrable", "mode")


class SoughtJobs(NamedTuple):
    """What one of a DAG's sensors looks for."""

    place: Place
    names: str
    """The job's name, or a pattern of what it may be."""
    listed: bool
    """Whether only the name's beginning is known, so that the job is looked for in listings."""
    defers: bool


def sought_jobs(dag: DAG, *, account: str | None = None, region: str | None = None) -> Iterator[SoughtJobs]:
    """Yield what each sensor of a DAG looks for; a mapped one once for each set of parameters in the DAG file.

    Args:
        dag: The DAG.
        account: Where the jobs are; any account if None and no ARN or upstream task tells it.
        region: Likewise; what a sensor says of its region goes first.
    """
    for task in dag.tasks:
        for parameters in _parameter_sets(task):
            region_name = _known(parameters["region_name"]) or region
            for place, names in _named(parameters, account, region_name):
                yield SoughtJobs(place, names, bool(parameters["job_name_prefix"]), _may_defer(parameters))


def _parameter_sets(task: Any) -> Iterator[dict[str, Any]]:
    if isinstance(task, ProcessingJobSensor):
        yield {name: getattr(task, name) for name in _PARAMETERS}
    elif isinstance(task, MappedOperator) and issubclass(task.operator_class, ProcessingJobSensor):
        shared = shared_parameters(task)
        any_job = {} if shared.keys() & {"job_name", "job_arn"} else {"job_name_prefix": ANY}
        for mapped in [*mapped_sets(task.expand_input.value, together=_PARAMETERS)] or [any_job]:
            given = {**shared, **mapped}
            yield {name: given.get(name) for name in _PARAMETERS}


def _may_defer(parameters: dict[str, Any]) -> bool:
    try:
        return defers(parameters["deferrable"], reschedules=parameters["mode"] == "reschedule")
    except DefinitionError:  # a template: only a run knows
        return True


def _named(parameters: dict[str, Any], account: str | None, region: str | None) -> Iterator[tuple[Place, str]]:
    arn, prefix = parameters["job_arn"], parameters["job_name_prefix"]
    reference = arn or parameters["job_name"]
    if isinstance(reference, PlainXComArg) and reference.key in {"job_name", "job_arn"}:
        known = [*job_names(reference.operator, account=account, region=region)]
        yield from known or [(place_of_jobs(account=account, region=region), ANY)]
    elif isinstance(arn, str):
        yield _named_by(arn, account, region)
    else:
        name = _known(parameters["job_name"]) or ANY
        yield place_of_jobs(account=account, region=region), beginning(_known(prefix) or "") if prefix else name


def _named_by(arn: str, account: str | None, region: str | None) -> tuple[Place, str]:
    parts = without_templates(arn).split(":", 5)
    if len(parts) != len(_ARN_PARTS):  # a template, or what the sensor itself will complain of
        return place_of_jobs(account=account, region=region), ANY
    _, partition, _, region, account, resource = parts
    return Place(account=account, region=region, partition=partition), resource.rpartition("/")[2]


def _known(value: Any) -> str | None:
    """Give a text with stars for what only a run knows; None for no value."""
    if value is None or value == "":
        return None
    return without_templates(value) if isinstance(value, str) else ANY
