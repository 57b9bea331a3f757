"""Derive, from a DAG file alone, the jobs, permissions and watched jobs that any run of its tasks may need."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk import Asset
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.definitions.xcom_arg import PlainXComArg, XComArg

from airflow_sm_processing.exceptions import DefinitionError
from airflow_sm_processing.iam.plan import create_operation, upload_prefix
from airflow_sm_processing.iam.statements import (
    ANY,
    JobNeeds,
    Place,
    account_in,
    beginning,
    locations,
    partition_of,
    place_of_jobs,
)
from airflow_sm_processing.operators.acquire import outputs_read, ways_of
from airflow_sm_processing.operators.base import BaseProcessingOperator
from airflow_sm_processing.operators.outputs import FolderReference
from airflow_sm_processing.operators.parameters import (
    DEFINITION_PARAMETERS,
    WAIT_PARAMETERS,
    TaskDefinitionReader,
    read_wait_options,
    with_base_name,
)
from airflow_sm_processing.ownership.owner import stem
from airflow_sm_processing.processing.definition import legal_name, with_image
from airflow_sm_processing.processing.models import as_folder
from airflow_sm_processing.processing.request import default_keys, plan_submission
from airflow_sm_processing.sensors.processing import ProcessingJobSensor, defers
from airflow_sm_processing.triggers.completions import CompletedJobsTrigger

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from airflow.sdk import DAG


__all__ = [
    "SensedJobs",
    "TaskPolicy",
    "job_names",
    "job_watchers",
    "mapped_sets",
    "sensed_jobs",
    "shared_parameters",
    "task_policies",
    "without_templates",
]


def shared_parameters(task: MappedOperator) -> dict[str, Any]:
    """Return the parameters that all instances of a mapped task share.

    They come from the DAG, the task group and `partial()`; a later one of these overrides an earlier one.
    """
    group = getattr(task.task_group, "default_args", None)
    defaults = {**(task.dag.default_args if task.dag else {}), **(group or {})}
    defaults.update(task.partial_kwargs.get("default_args") or {})
    return {**defaults, **task.partial_kwargs}


def mapped_sets(expanded: Any, *, together: Collection[str]) -> Iterator[dict[str, Any]]:
    """Yield the sets of parameters that a task is mapped over, as far as the DAG file has them.

    Args:
        expanded: What the task is expanded with.
        together: Parameters that make up one ARN: every combination of their elements is yielded. Each element of any
            other parameter is yielded once, since policies add up.
    """
    if isinstance(expanded, Mapping):
        lists = {name: list(value) for name, value in expanded.items() if isinstance(value, (list, tuple))}
        first = {name: items[0] if items else None for name, items in lists.items()}
        plain = {**expanded, **first}
        among = {name: items for name, items in lists.items() if name in together}
        yield from ({**plain, **dict(zip(among, items, strict=True))} for items in product(*among.values()))
        for name in sorted(lists.keys() - among.keys()):
            yield from ({**plain, name: item} for item in lists[name][1:])
    elif isinstance(expanded, Iterable) and not isinstance(expanded, (str, XComArg)):  # they only look iterable
        yield from (dict(item) for item in expanded if isinstance(item, Mapping))


_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_ANY_DIGEST = "?" * 12  # `?` is any one character in IAM; a digest has twelve
_ANYWHERE = "s3://*"
_OUTRIGHT = ("role", "kms_key", "output_kms_key", "volume_kms_key", "inputs", "outputs", "default_bucket")
"""Parameters that are left out of a policy while nothing is known of their value."""
_GIVEN_LATE = frozenset({*_OUTRIGHT, "image_uri"})
"""Parameters that may be set by the mapping, for a task that is mapped over dicts which only a run knows."""
_IN_ONE_ARN = ("job_name", "base_job_name", "image", "image_uri", "role", "region_name")
_CALLED_WITH = "called_with"
_SETTINGS = ("region_name", "default_bucket", "default_bucket_prefix", "own_outputs", "result_files")


class TaskPolicy(NamedTuple):
    """The permissions that a task needs, and those that can't be determined before it runs."""

    needs: JobNeeds
    left_out: tuple[str, ...]


def task_policies(dag: DAG, *, account: str | None = None, region: str | None = None) -> Iterator[TaskPolicy]:
    """Yield what each processing task of a DAG needs; a mapped one once for each set of parameters in the DAG file.

    Args:
        dag: The DAG.
        account: Where the jobs run; any account if None and no role has it.
        region: Likewise; a region that the task sets takes precedence.
    """
    for task in dag.tasks:
        for parameters in _parameter_sets(task):
            yield _Reading(parameters, account, region).task_policy(f"{dag.dag_id}.{task.task_id}")


def job_names(task: Any, *, account: str | None = None, region: str | None = None) -> Iterator[tuple[Place, str]]:
    """Yield where a processing task's jobs run, and a pattern of their names; nothing for other kinds of tasks."""
    for parameters in _parameter_sets(task):
        needs = _Reading(parameters, account, region).task_policy("").needs
        yield needs.place, needs.job_name


def without_templates(text: str) -> str:
    """Return a text with a star in place of each template, whose value only a run knows."""
    return _TEMPLATE.sub(ANY, text)


def _parameter_sets(task: Any) -> Iterator[dict[str, Any]]:
    if isinstance(task, BaseProcessingOperator):
        rest = {name: getattr(task, name, None) for name in (*WAIT_PARAMETERS, *_SETTINGS)}
        called_with = [getattr(task, name, None) for name in ("op_args", "op_kwargs")]
        given = {**task.definition_parameters(), "base_job_name": task.base_job_name}
        yield {**_named_together(given, task), **rest, _CALLED_WITH: called_with}
    elif isinstance(task, MappedOperator) and issubclass(task.operator_class, BaseProcessingOperator):
        for parameters in _mapped_parameters(task, shared_parameters(task)):
            yield {**_named_together(parameters, task), "own_outputs": task.operator_class.own_outputs}


def _named_together(parameters: dict[str, Any], task: Any) -> dict[str, Any]:
    """Return the parameters with a name pattern that all unnamed tasks of a DAG share, to keep policies short."""
    return with_base_name(parameters, dag_id=task.dag_id, task_name=ANY)


def _mapped_parameters(task: MappedOperator, partial: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the parameters of a mapped task's instances; a function's task is mapped over the function's arguments."""
    arguments = getattr(task, "op_kwargs_expand_input", None)
    if arguments is None:
        known = [*mapped_sets(task.expand_input.value, together=_IN_ONE_ARN)]
        yield from ({**partial, **mapped} for mapped in known or [dict.fromkeys(_GIVEN_LATE - partial.keys(), ANY)])
        return
    operator: Any = task.operator_class
    for mapped in [*mapped_sets(arguments.value, together=())] or [{}]:
        given = {**partial["op_kwargs"], **mapped}
        yield operator.mapped_parameters(partial, given) | {_CALLED_WITH: [given, arguments.value]}


class _Reading:
    """Reads one set of a task's parameters."""

    def __init__(self, parameters: Mapping[str, Any], account: str | None, region: str | None) -> None:
        self._given = account, region
        self._called_with = parameters.get(_CALLED_WITH)
        plain = {name: self._known(value) for name, value in parameters.items() if name != _CALLED_WITH}
        self._plain = plain
        self._definition = TaskDefinitionReader().read({name: plain.get(name) for name in DEFINITION_PARAMETERS})
        self._ways = ways_of(read_wait_options({name: plain.get(name) for name in WAIT_PARAMETERS})[0])
        self._place = self._read_place(account, plain.get("region_name") or region)
        if ANY not in self._place.region:
            self._definition, _ = with_image(self._definition, lambda: self._place.region)

    def task_policy(self, subject: str) -> TaskPolicy:
        definition, begin, place = self._definition, self._stem(), self._place
        bucket, prefix = self._plain.get("default_bucket"), self._plain.get("default_bucket_prefix")
        name = str(definition.job_name or f"{begin}-{ANY}")
        key = default_keys(bucket or place.bucket, prefix)
        role = str(definition.role or ANY)
        plan = plan_submission(
            dataclasses.replace(definition, job_name=name),
            role_arn=place.role_arns(role)[0],
            key=key,
            operation=create_operation(),
        )
        request = _with_uploads_below(plan.unmerged_request, key(name, "input"), key(begin, "input", ANY))
        request["ProcessingInputs"] += [{"InputName": uri, "S3Input": {"S3Uri": uri}} for uri in self._large_results()]
        needs = JobNeeds(
            place=place,
            request=request,
            role=role,
            has_own_name=definition.job_name is not None,
            bucket=bucket or place.bucket,
            finds_bucket=not bucket,
            upload_prefix=upload_prefix(prefix, begin) if plan.uploads else None,
            upload_kms_key=str(definition.kms_key) if definition.kms_key and plan.uploads else None,
            ways=self._ways,
            reads=outputs_read(self._plain["own_outputs"], self._plain.get("result_files")),
            codeartifact_repo_arn=definition.codeartifact_repo_arn,
            command=plan.command,
            listed=plan.listed,
        )
        return TaskPolicy(needs, tuple(f"{subject}: {reason}" for reason in self._left_out(request)))

    def output_uri(self, name: str) -> str:
        """Return an output's URI, with stars for unknown parts; `s3://*` if the task has no output of that name."""
        outputs = self.task_policy("").needs.request.get("ProcessingOutputConfig", {}).get("Outputs", ())
        uris = {item["OutputName"]: item.get("S3Output", {}).get("S3Uri") for item in outputs}
        return uris.get(name) or _ANYWHERE

    def _large_results(self) -> Iterator[str]:
        """Yield where large results may be that other functions return and this function takes as arguments."""
        for operator, _ in XComArg.iter_xcom_references(self._called_with):
            upstream = next(_parameter_sets(operator), {})
            for name in upstream.get("own_outputs") or ():
                yield _Reading(upstream, *self._given).output_uri(name)

    def _left_out(self, request: Mapping[str, Any]) -> Iterator[str]:
        for name in (*_OUTRIGHT, "codeartifact_repo_arn", "spark_event_logs_s3_uri"):
            if self._plain.get(name) == ANY:
                yield f"{name} is known only when the task runs"
        for direction, place in locations(request):
            if not place.bucket.strip(ANY):
                verb = "reads from" if direction == "in" else "writes to"
                yield f"a bucket that the job {verb} is known only when the task runs"
        for item in request.get("ProcessingInputs", ()):
            if item.get("DatasetDefinition"):
                yield f"input {item['InputName']} is a query: allow the job's role what it takes in Athena or Redshift"

    def _read_place(self, account: str | None, region: str | None) -> Place:
        role, image_uri = str(self._definition.role or ANY), str(self._definition.written_image)
        known = None if region is None or ANY in region else region
        return Place(
            account=account or account_in(role) or ANY,
            region=region or ANY,
            partition=partition_of(region=known, role=role, image_uri=image_uri),
        )

    def _stem(self) -> str:
        """Return a pattern for the beginning of the names of the task's jobs."""
        known, star, _ = self._definition.base_name.partition(ANY)
        if not star:
            return stem(self._definition, _ANY_DIGEST)
        return f"{legal_name(known) if known else ''}{ANY}-{_ANY_DIGEST}"

    def _known(self, value: Any, field: str = "") -> Any:
        """Return a value with stars in place of what only a run knows."""
        if isinstance(value, str):
            return _somewhere(without_templates(value), field)
        if isinstance(value, Mapping):
            return {key: self._known(item, key) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._known(item, field) for item in value]
        if value is None or isinstance(value, (bool, int, float, timedelta)):
            return value
        return _somewhere(self._referred(value), field)

    def _referred(self, value: Any) -> str:
        """Return the URI of the output that a reference names; a star for any other reference."""
        reference = getattr(value, "reference", value)
        if not isinstance(reference, PlainXComArg):
            return ANY
        upstream = next(_parameter_sets(reference.operator), None)
        if upstream is None:
            return ANY
        uri = _Reading(upstream, *self._given).output_uri(reference.key)
        return as_folder(uri) if isinstance(reference, FolderReference) and uri != _ANYWHERE else uri


_PLACES = frozenset({"source", "destination", "s3_uri", "code", "source_dir"})


def _somewhere(text: str, field: str) -> str:
    """Return `s3://*` for the unknown value of a field that takes a place; a local path would be in the DAG file."""
    return _ANYWHERE if text.startswith(ANY) and field in _PLACES else text


def _with_uploads_below(request: Mapping[str, Any], own: str, shared: str) -> dict[str, Any]:
    """Return the request with its uploaded inputs at the prefix that all jobs of a task instance share."""
    inputs = [
        {**item, "S3Input": {**item["S3Input"], "S3Uri": shared}}
        if str(item.get("S3Input", {}).get("S3Uri")).startswith(own)
        else item
        for item in request.get("ProcessingInputs", ())
    ]
    return {**request, "ProcessingInputs": inputs}


def job_watchers(dag: DAG) -> Iterator[CompletedJobsTrigger]:
    """Yield this package's triggers that watch the assets in a DAG's schedule."""
    for asset in _assets(getattr(dag.timetable, "asset_condition", None)):  # only asset schedules have it
        for watcher in asset.watchers:
            if isinstance(watcher.trigger, CompletedJobsTrigger):
                yield watcher.trigger


def _assets(condition: Any) -> Iterator[Asset]:
    if isinstance(condition, Asset):
        yield condition
    for part in getattr(condition, "objects", ()):  # of `|` and `&`
        yield from _assets(part)


_ARN_PARTS = ("arn", "partition", "service", "region", "account", "resource")
_PARAMETERS = ("job_name", "job_arn", "job_name_prefix", "region_name", "deferrable", "mode")


class SensedJobs(NamedTuple):
    """The jobs that one of a DAG's sensors looks for."""

    place: Place
    names: str
    """The job's name, or a pattern that it matches."""
    listed: bool
    """Whether only the name's beginning is known, so that the job is looked for in listings."""
    defers: bool


def sensed_jobs(dag: DAG, *, account: str | None = None, region: str | None = None) -> Iterator[SensedJobs]:
    """Yield the jobs that each sensor of a DAG looks for; for a mapped sensor, once per parameter set in the DAG file.

    Args:
        dag: The DAG.
        account: Where the jobs are; any account if None and no ARN or upstream task has it.
        region: Likewise; a region that the sensor sets takes precedence.
    """
    for task in dag.tasks:
        for parameters in _sensor_parameters(task):
            region_name = _known(parameters["region_name"]) or region
            for place, names in _named(parameters, account, region_name):
                yield SensedJobs(place, names, bool(parameters["job_name_prefix"]), _may_defer(parameters))


def _sensor_parameters(task: Any) -> Iterator[dict[str, Any]]:
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
    if len(parts) != len(_ARN_PARTS):  # a template, or an error that the sensor itself reports
        return place_of_jobs(account=account, region=region), ANY
    _, partition, _, region, account, resource = parts
    return Place(account=account, region=region, partition=partition), resource.rpartition("/")[2]


def _known(value: Any) -> str | None:
    """Return a text with stars in place of what only a run knows; None for no value."""
    if value is None or value == "":
        return None
    return without_templates(value) if isinstance(value, str) else ANY
