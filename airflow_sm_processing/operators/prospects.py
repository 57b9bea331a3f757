"""What all runs of a task as it stands in the DAG file may need: templates are taken for anything."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.definitions.xcom_arg import PlainXComArg, XComArg

from airflow_sm_processing.operators.base import BaseProcessingOperator
from airflow_sm_processing.operators.expansions import mapped_sets, shared_parameters
from airflow_sm_processing.operators.folder_references import FolderReference
from airflow_sm_processing.operators.mode_parameters import MODE_PARAMETERS, read_modes
from airflow_sm_processing.operators.parameters import DEFINITION_PARAMETERS, DefinitionReader
from airflow_sm_processing.operators.plans import outputs_read, ways_of
from airflow_sm_processing.ownership.names import stem
from airflow_sm_processing.planning.job_plan import upload_prefix
from airflow_sm_processing.planning.needs import JobNeeds, locations
from airflow_sm_processing.planning.places import ANY, Place, account_in, partition_of
from airflow_sm_processing.processing.names import base_name_from_image, legal_name
from airflow_sm_processing.processing.plan import default_keys, plan_submission
from airflow_sm_processing.processing.s3_uris import as_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import DAG

__all__ = ["Prospect", "job_names", "prospects", "without_templates"]

_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_ANY_DIGEST = "?" * 12  # in IAM, any character; a digest has twelve
_ANYWHERE = "s3://*"
_OUTRIGHT = ("role", "kms_key", "output_kms_key", "volume_kms_key", "inputs", "outputs", "default_bucket")
"""Parameters that a policy has nothing to say of while all of their value is unknown."""
_GIVEN_LATE = frozenset({*_OUTRIGHT, "image_uri"})
"""What a task may be given that is mapped over dicts which only a run knows."""
_IN_ONE_ARN = ("job_name", "base_job_name", "image_uri", "role", "region_name")
_CALLED_WITH = "called_with"
_SETTINGS = ("region_name", "default_bucket", "default_bucket_prefix", "own_outputs", "result_files")


class Prospect(NamedTuple):
    """A task's needs, and what no policy can be written for before it runs."""

    needs: JobNeeds
    left_out: tuple[str, ...]


def prospects(dag: DAG, *, account: str | None = None, region: str | None = None) -> Iterator[Prospect]:
    """Yield what each processing task of a DAG needs; a mapped one once for each set of parameters in the DAG file.

    Args:
        dag: The DAG.
        account: Where the jobs run; any account if None and no role tells it.
        region: Likewise; what a task says of its region goes first.
    """
    for task in dag.tasks:
        for parameters in _parameter_sets(task):
            yield _Reading(parameters, account, region).prospect(f"{dag.dag_id}.{task.task_id}")


def job_names(task: Any, *, account: str | None = None, region: str | None = None) -> Iterator[tuple[Place, str]]:
    """Yield where a processing task's jobs run, and a pattern of their names; nothing for a task of another kind."""
    for parameters in _parameter_sets(task):
        needs = _Reading(parameters, account, region).prospect("").needs
        yield needs.place, needs.job_name


def without_templates(text: str) -> str:
    """Give a text with stars for what only a run knows of it."""
    return _TEMPLATE.sub(ANY, text)


def _parameter_sets(task: Any) -> Iterator[dict[str, Any]]:
    if isinstance(task, BaseProcessingOperator):
        rest = {name: getattr(task, name, None) for name in (*MODE_PARAMETERS, *_SETTINGS)}
        called_with = [getattr(task, name, None) for name in ("op_args", "op_kwargs")]
        yield {**task.definition_parameters(), **rest, _CALLED_WITH: called_with}
    elif isinstance(task, MappedOperator) and issubclass(task.operator_class, BaseProcessingOperator):
        for parameters in _mapped_parameters(task, shared_parameters(task)):
            yield {**parameters, "own_outputs": task.operator_class.own_outputs}


def _mapped_parameters(task: MappedOperator, partial: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what a mapped task's instances have; of a function's task, the arguments are mapped over."""
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
        self._definition = DefinitionReader().read({name: plain.get(name) for name in DEFINITION_PARAMETERS})
        self._ways = ways_of(read_modes({name: plain.get(name) for name in MODE_PARAMETERS})[0])
        self._place = self._read_place(account, plain.get("region_name") or region)

    def prospect(self, subject: str) -> Prospect:
        definition, begin, place = self._definition, self._stem(), self._place
        bucket, prefix = self._plain.get("default_bucket"), self._plain.get("default_bucket_prefix")
        name = str(definition.job_name or f"{begin}-{ANY}")
        key = default_keys(bucket or place.bucket, prefix)
        role = str(definition.role)
        plan = plan_submission(
            dataclasses.replace(definition, job_name=name), role_arn=place.role_arns(role)[0], key=key
        )
        request = _with_uploads_below(plan.request, key(name, "input"), key(begin, "input", ANY))
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
        )
        return Prospect(needs, tuple(f"{subject}: {reason}" for reason in self._left_out(request)))

    def output_uri(self, name: str) -> str:
        """Give where an output goes, as far as that is known; `s3://*` if the task has none of that name."""
        outputs = self.prospect("").needs.request.get("ProcessingOutputConfig", {}).get("Outputs", ())
        uris = {item["OutputName"]: item.get("S3Output", {}).get("S3Uri") for item in outputs}
        return uris.get(name) or _ANYWHERE

    def _large_results(self) -> Iterator[str]:
        """Yield where the results of other functions may be that a function is called with."""
        for operator, _ in XComArg.iter_xcom_references(self._called_with):
            upstream = next(_parameter_sets(operator), {})
            for name in upstream.get("own_outputs") or ():
                yield _Reading(upstream, *self._given).output_uri(name)

    def _left_out(self, request: Mapping[str, Any]) -> Iterator[str]:
        for name in _OUTRIGHT:
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
        role, image_uri = str(self._definition.role), str(self._definition.image_uri)
        known = None if region is None or ANY in region else region
        return Place(
            account=account or account_in(role) or ANY,
            region=region or ANY,
            partition=partition_of(region=known, role=role, image_uri=image_uri),
        )

    def _stem(self) -> str:
        """Give a pattern of what the names of the task's jobs begin with."""
        base = str(self._definition.base_job_name or base_name_from_image(str(self._definition.image_uri)))
        known, star, _ = base.partition(ANY)
        if not star:
            return stem(self._definition, _ANY_DIGEST)
        return f"{legal_name(known) if known else ''}{ANY}-{_ANY_DIGEST}"

    def _known(self, value: Any, field: str = "") -> Any:
        """Give a value with stars for what only a run knows."""
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
        """Give where the output is that a reference is to; a star for any other reference."""
        reference = getattr(value, "reference", value)
        if not isinstance(reference, PlainXComArg):
            return ANY
        upstream = next(_parameter_sets(reference.operator), None)
        if upstream is None:
            return ANY
        uri = _Reading(upstream, *self._given).output_uri(reference.key)
        return as_folder(uri) if isinstance(reference, FolderReference) and uri != _ANYWHERE else uri


def _somewhere(text: str, field: str) -> str:
    """Take what may be anything for a place in S3, where it names a place: local files are named in the DAG file."""
    return _ANYWHERE if text.startswith(ANY) and field in {"source", "destination", "s3_uri", "code"} else text


def _with_uploads_below(request: Mapping[str, Any], own: str, shared: str) -> dict[str, Any]:
    """Give the request with its local inputs where a task instance's jobs share them."""
    inputs = [
        {**item, "S3Input": {**item["S3Input"], "S3Uri": shared}}
        if str(item.get("S3Input", {}).get("S3Uri")).startswith(own)
        else item
        for item in request.get("ProcessingInputs", ())
    ]
    return {**request, "ProcessingInputs": inputs}
