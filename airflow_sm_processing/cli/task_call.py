"""Convert a DAG file's call of one of the amazon provider's processing operators or sensors to this package's."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from airflow_sm_processing.cli.dag_source import UnknownValueError, formatted
from airflow_sm_processing.processing.values import snake_case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from typing_extensions import Self

    from airflow_sm_processing.cli.dag_source import DagSource

    _Reader: TypeAlias = "Callable[[TaskCall, ast.expr], dict[str, ast.expr]]"

__all__ = ["OPERATOR", "OURS", "SENSOR", "TEMPLATE", "Replacement", "TaskCall"]

OPERATOR, SENSOR = "SageMakerProcessingOperator", "SageMakerProcessingSensor"
OURS = {OPERATOR: "ProcessingOperator", SENSOR: "ProcessingJobSensor"}
_NAME_IN_REQUEST = (
    "Its ProcessingJobName becomes base_job_name, so that each run's job has a name of its own; with a template in it, "
    "job_name."
)
_FAIL_IN_REQUEST = (
    'action_if_job_exists="fail" is job_name=…: pass it along with the request. Otherwise a ProcessingJobName without '
    "a template becomes base_job_name."
)
_OPERATIONS_IN_REQUEST = (
    "S3Operations, if the request has them, aren't CreateProcessingJob's: remove them, and set the local path as an "
    "input's source, which is uploaded."
)
TEMPLATE = re.compile(r"\{\{|\{%")


@dataclass
class Replacement:
    """A task of the amazon provider, and its replacement."""

    old: ast.expr
    """The expression in the file, from `SageMakerProcessingOperator` to the last call on it."""
    title: str
    new: ast.expr | None = None
    """The call to paste instead; None if there is none."""
    names: set[str] = field(default_factory=set)
    """The names of this package that the new call uses."""
    xcom: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """What isn't carried over, and other remarks."""

    @property
    def code(self) -> str:
        """The new call, ready to paste; empty if there is none."""
        return "" if self.new is None else formatted(self.new)


class _Moved(dict[str, ast.expr]):
    """Parameters under this package's names, in the order of the call."""

    def keywords(self) -> list[ast.keyword]:
        return [ast.keyword(None if name.startswith("**") else name, value) for name, value in self.items()]


class TaskCall:
    """Converts one call; remarks are added to the `Replacement` that it makes."""

    def __init__(self, source: DagSource, call: ast.Call, kind: str, made: Replacement) -> None:
        self.source = source
        self.call = call
        self.kind = kind
        self.made = made
        self.names = made.names
        self.names.add(OURS[kind])

    def convert(self) -> Self:
        """Convert a plain call."""
        ours = ast.Name(OURS[self.kind], ast.Load())
        moved, config = self._parameters(self.call.keywords)
        if config is None:
            self.made.new = ast.Call(ours, [], moved.keywords())
        else:
            self.made.new = self._with_request(ours, config, moved)
        printed = self.made.new.keywords if isinstance(self.made.new, ast.Call) else []
        self._say_xcom({item.arg or "": item.value for item in printed})
        return self

    def map(self, expansion: ast.Call | None) -> Self:
        """Convert a mapped task: an expanded `config` becomes dicts of parameters."""
        moved, config = self._parameters(self.call.keywords)
        if config is not None:
            try:
                moved = _Moved(_by_order(moved, self._request(config)))
            except UnknownValueError as error:
                return self._by_hand(f"config, passed to .partial(…), isn't known from this file: {error.reason}")
        partial = ast.Call(_method(ast.Name(OURS[self.kind], ast.Load()), "partial"), [], moved.keywords())
        if expansion is None:
            self.made.new = partial
            self.made.lost.append("The .expand(…) of it is elsewhere: what it expands has our names too, there.")
        else:
            self._expand(partial, expansion)
        self._say_xcom(moved)
        return self

    def _expand(self, partial: ast.Call, expansion: ast.Call) -> None:
        method = expansion.func.attr if isinstance(expansion.func, ast.Attribute) else ""
        given = {item.arg: item.value for item in expansion.keywords if item.arg is not None}
        if method == "expand_kwargs" and expansion.args:
            self._expand_kwargs(partial, expansion.args[0], self._mapped_keywords)
        elif given.keys() == {"config"}:
            self._expand_kwargs(partial, given["config"], lambda node: _dict_of(self._request(node)))
        elif "config" in given:
            self._by_hand(
                "config is expanded together with other parameters: write the combinations as dicts of expand_kwargs"
            )
        else:
            moved, _ = self._parameters(expansion.keywords)
            self.made.new = ast.Call(_method(partial, "expand"), [], moved.keywords())

    def _expand_kwargs(self, partial: ast.Call, items: ast.expr, convert: Callable[[ast.expr], ast.expr]) -> None:
        lost = [*self.made.lost]
        try:
            converted = self._list(items, convert)
        except UnknownValueError as error:
            converted = items
            self.made.lost[:] = lost
            self.made.lost.append(
                f"The requests that are mapped over aren't known from this file: {error.reason}. What yields them must "
                'yield dicts of parameters instead, such as {"image_uri": …, "instance_type": …, "instance_count": 1, '
                '"role": …, "base_job_name": …}.'
            )
        self.made.new = ast.Call(_method(partial, "expand_kwargs"), [converted], [])

    def _mapped_keywords(self, node: ast.expr) -> ast.expr:
        given = self.source.fields(node, self.made.old)
        moved, config = self._parameters([ast.keyword(name, value) for name, value in given.items()])
        return _dict_of(moved if config is None else _Moved(_by_order(moved, self._request(config))))

    def _by_hand(self, reason: str) -> Self:
        self.made.new = None
        self.names.clear()
        self.made.lost.append(f"No call can be printed: {reason}.")
        return self

    # The parameters of the task

    def _parameters(self, keywords: Sequence[ast.keyword]) -> tuple[_Moved, ast.expr | None]:
        """Return the parameters other than the request under this package's names, and the request."""
        moved, config = _Moved(), None
        for item in self._spread(keywords):
            if item.arg == "config" and self.kind == OPERATOR:
                config = item.value
            elif item.arg is None:
                moved[f"**{ast.unparse(item.value)}"] = item.value
                self.made.lost.append(
                    f"What **{ast.unparse(item.value)} holds isn't known from this file; a name of the provider's in "
                    "it is an error that says what it is called here."
                )
            else:
                moved |= self._parameter(item.arg, item.value)
        return moved, config

    def _spread(self, keywords: Sequence[ast.keyword]) -> Iterator[ast.keyword]:
        for item in keywords:
            try:
                spread = {} if item.arg is not None else self.source.fields(item.value, self.made.old)
            except UnknownValueError:
                spread = {}
            yield from (ast.keyword(name, value) for name, value in spread.items())
            if not spread:
                yield item

    def _parameter(self, name: str, value: ast.expr) -> dict[str, ast.expr]:
        """Return one parameter under this package's name; an empty dict, and a remark, if it is left out."""
        if isinstance(value, ast.Constant) and value.value is None and name in self._left_out_if_none:
            return {}
        special = self._special[self.kind].get(name)
        return special(self, value) if special is not None else {self._renamed.get(name, name): value}

    def _print_log(self, value: ast.expr) -> dict[str, ast.expr]:
        is_default = isinstance(value, ast.Constant) and value.value is True
        return {} if is_default else {"logs": value}

    def _max_attempts(self, value: ast.expr) -> dict[str, ast.expr]:
        self.made.lost.append(
            f"max_attempts={ast.unparse(value)}: the provider's deferred task gives up after that number of polls. A "
            "wait has no such limit here; max_wait=… sets one in seconds, after which the job is stopped too."
        )
        return {}

    def _max_ingestion_time(self, value: ast.expr) -> dict[str, ast.expr]:
        self.made.lost.append(
            "max_ingestion_time is max_wait: then the job is stopped too, which the provider lets go on "
            "(stop_on_kill=False does so here)."
        )
        return {"max_wait": value}

    def _action_if_job_exists(self, value: ast.expr) -> dict[str, ast.expr]:
        if self.source.text(value, self.made.old) is None:
            self.made.lost.append(
                f"action_if_job_exists={ast.unparse(value)} isn't known from this file; it is taken for "
                '"timestamp", which is base_job_name here. job_name is "fail".'
            )
        return {}

    def _output_files(self, value: ast.expr) -> dict[str, ast.expr]:
        try:
            read = self._files_by_name(value)
        except UnknownValueError as error:
            self.made.lost.append(
                f"output_files_to_xcom isn't known from this file: {error.reason}. Here it is "
                'result_files={"<XCom>": "<output name>/<file>"}.'
            )
            return {}
        labels = ", ".join(ast.unparse(key) for key in read)
        self.made.lost.append(
            f'output_files_to_xcom is result_files: ["OutputFiles"][label] is an XCom of its own now, key={labels}. A '
            "file that is missing or doesn't parse fails the task; only names that end in .json are read as JSON."
        )
        return {"result_files": ast.Dict([*read], [*read.values()])}

    def _files_by_name(self, value: ast.expr) -> dict[ast.expr, ast.expr]:
        value, at = self.source.value(value, self.made.old), self.made.old
        if not isinstance(value, (ast.List, ast.Tuple)):
            raise UnknownValueError(value, "it isn't a literal list in this file")
        read: dict[ast.expr, ast.expr] = {}
        for item in value.elts:
            fields = self.source.fields(item, at)
            parts = [self.source.text(fields[name], at) for name in ("output_name", "file_name") if name in fields]
            if len(parts) != 2 or None in parts or "result_name" not in fields:  # noqa: PLR2004  # the two parts of a path
                raise UnknownValueError(item, "an item lacks output_name, file_name or result_name as text")
            read[fields["result_name"]] = ast.Constant("/".join(map(str, parts)))
        return read

    def _resource_type(self, _: ast.expr) -> dict[str, ast.expr]:
        self.made.lost.append("resource_type is only a word of the provider's log.")
        return {}

    def _is_named_exactly(self) -> bool:
        given = [item for item in self.call.keywords if item.arg == "action_if_job_exists"]
        return bool(given) and self.source.text(given[0].value, self.made.old) == "fail"

    # The request

    def _with_request(self, ours: ast.expr, config: ast.expr, moved: _Moved) -> ast.expr | None:
        lost = [*self.made.lost]
        try:
            return ast.Call(ours, [], _Moved(_by_order(moved, self._request(config))).keywords())
        except UnknownValueError as error:
            self.made.lost[:] = lost  # drop remarks on parameters that won't be printed
            return self._from_request(ours, config, moved, error.reason)

    def _from_request(self, ours: ast.expr, config: ast.expr, moved: _Moved, reason: str) -> ast.expr | None:
        if self.source.text(config, self.made.old) is not None or self.source.is_task_result(config):
            self._by_hand(
                f"config={ast.unparse(config)} is known only when the task runs. The parts of a request are parameters "
                "here, all of them templated: set a template or reference for each"
            )
            return None
        self.names.intersection_update({OURS[self.kind]})
        self.made.lost += [
            f"The request isn't known from this file: {reason}. from_request reads it when the file is parsed.",
            _FAIL_IN_REQUEST if self._is_named_exactly() else _NAME_IN_REQUEST,
            _OPERATIONS_IN_REQUEST,
        ]
        return ast.Call(_method(ours, "from_request"), [config], moved.keywords())

    def _request(self, config: ast.expr) -> dict[str, ast.expr]:
        """Return the parameters that are equivalent to a CreateProcessingJob request."""
        request = self.source.fields(config, self.made.old)
        moved: dict[str, ast.expr] = {}
        for name, read in self._readers.items():
            if name in request:
                moved |= read(self, request[name])
        for name in sorted(request.keys() - self._readers.keys()):
            self.made.lost.append(f"{name}: a CreateProcessingJob request has no such field that is known here.")
        return moved

    def _fields(self, node: ast.expr, where: str, names: Mapping[str, str]) -> dict[str, ast.expr]:
        """Return a structure's fields under this package's names, and add a remark on each other field."""
        given = self.source.fields(node, self.made.old)
        for name in sorted(given.keys() - names.keys()):
            self.made.lost.append(
                f"{where}.{name}: a CreateProcessingJob request has no such field that is known here."
            )
        return {ours: given[name] for name, ours in names.items() if name in given}

    def _list(self, node: ast.expr, convert: Callable[[ast.expr], ast.expr]) -> ast.expr:
        """Return a list with each element converted."""
        node = self.source.value(node, self.made.old)
        if isinstance(node, (ast.List, ast.Tuple)):
            return ast.List([convert(item) for item in node.elts], ast.Load())
        if isinstance(node, ast.ListComp):
            return ast.ListComp(convert(node.elt), node.generators)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return ast.BinOp(self._list(node.left, convert), node.op, self._list(node.right, convert))
        raise UnknownValueError(node, f"{ast.unparse(node)[:40]} isn't a literal list in this file")

    def _object(self, name: str, fields: Mapping[str, ast.expr]) -> ast.expr:
        self.names.add(name)
        return ast.Call(ast.Name(name, ast.Load()), [], [ast.keyword(key, value) for key, value in fields.items()])

    def _name(self, value: ast.expr) -> dict[str, ast.expr]:
        if self._is_named_exactly():
            self.made.lost.append(
                'action_if_job_exists="fail" is job_name: it fails where the job of something else has that name. A '
                'retry takes over the job of an earlier try; on_existing_job="fail" forbids that as well.'
            )
            return {"job_name": value}
        if _has_template(value):
            return {"job_name": value}
        self.made.lost.append(
            f"ProcessingJobName={ast.unparse(value)} is base_job_name: each job is called <base>-<digest>-<number>, by "
            "which a retry finds it, and not the name alone or <name>-<timestamp>."
        )
        if any(isinstance(node, ast.Call) for node in ast.walk(value)):
            self.made.lost.append("base_job_name is computed whenever the file is parsed: leave times out of it.")
        return {"base_job_name": value}

    def _app(self, value: ast.expr) -> dict[str, ast.expr]:
        return self._fields(
            value,
            "AppSpecification",
            {"ImageUri": "image_uri", "ContainerEntrypoint": "entrypoint", "ContainerArguments": "arguments"},
        )

    def _resources(self, value: ast.expr) -> dict[str, ast.expr]:
        cluster = self._fields(value, "ProcessingResources", {"ClusterConfig": "cluster"})
        if "cluster" not in cluster:
            return {}
        names = {
            "InstanceCount": "instance_count",
            "InstanceType": "instance_type",
            "InstancePreferences": "instance_preferences",
            "VolumeSizeInGB": "volume_size_in_gb",
            "VolumeKmsKeyId": "volume_kms_key",
        }
        fields = self._fields(cluster["cluster"], "ClusterConfig", names)
        if "instance_preferences" in fields:
            fields["instance_preferences"] = self._list(fields["instance_preferences"], self._preference)
        return fields

    def _preference(self, value: ast.expr) -> ast.expr:
        names = {"InstanceType": "instance_type", "InstanceCount": "instance_count"}
        return _dict_of(self._fields(value, "InstancePreferences", names))

    def _inputs(self, value: ast.expr) -> dict[str, ast.expr]:
        return {"inputs": self._list(value, self._input)}

    def _input(self, value: ast.expr) -> ast.expr:
        names = {name: name for name in ("InputName", "AppManaged", "S3Input", "DatasetDefinition")}
        given = self._fields(value, "ProcessingInputs", names)
        fields: dict[str, ast.expr] = {}
        if "S3Input" in given:
            s3 = self._fields(given["S3Input"], "S3Input", _S3_INPUT)
            fields |= {name: item for name, item in s3.items() if not self._is_default(name, item)}
        if "InputName" in given:
            fields["input_name"] = given["InputName"]
        if "DatasetDefinition" in given:
            fields["dataset_definition"] = self._dataset(given["DatasetDefinition"])
        return self._object("ProcessingInput", fields | self._app_managed(given))

    def _dataset(self, value: ast.expr) -> ast.expr:
        names = ("LocalPath", "DataDistributionType", "InputMode")
        queries = ("AthenaDatasetDefinition", "RedshiftDatasetDefinition")
        given = self._fields(value, "DatasetDefinition", {name: name for name in (*names, *queries)})
        absent = ast.Constant(None)  # the SDK's defaults aren't the API's
        fields = {snake_case(name): given.get(name, absent) for name in names if name in given or name != "LocalPath"}
        for name in queries:
            if name in given:
                query = self.source.fields(given[name], self.made.old)
                fields[snake_case(name)] = self._object(name, {snake_case(key): item for key, item in query.items()})
        return self._object("DatasetDefinition", fields)

    def _outputs(self, value: ast.expr) -> dict[str, ast.expr]:
        fields = self._fields(value, "ProcessingOutputConfig", {"Outputs": "outputs", "KmsKeyId": "output_kms_key"})
        if "outputs" in fields:
            fields["outputs"] = self._list(fields["outputs"], self._output)
        return fields

    def _output(self, value: ast.expr) -> ast.expr:
        names = {name: name for name in ("OutputName", "AppManaged", "S3Output", "FeatureStoreOutput")}
        given = self._fields(value, "ProcessingOutputConfig", names)
        fields: dict[str, ast.expr] = {}
        if "S3Output" in given:
            s3 = self._fields(given["S3Output"], "S3Output", _S3_OUTPUT)
            fields |= {name: item for name, item in s3.items() if not self._is_default(name, item)}
            if "source" not in fields:
                self.made.lost.append("An output without LocalPath has no S3 destination here: set one.")
        if "OutputName" in given:
            fields["output_name"] = given["OutputName"]
        if "FeatureStoreOutput" in given:
            group = self._fields(given["FeatureStoreOutput"], "FeatureStoreOutput", _FEATURE_STORE)
            fields["feature_store_output"] = self._object("FeatureStoreOutput", group)
        return self._object("ProcessingOutput", fields | self._app_managed(given))

    def _app_managed(self, given: Mapping[str, ast.expr]) -> dict[str, ast.expr]:
        value = given.get("AppManaged")
        is_default = value is None or (isinstance(value, ast.Constant) and value.value is False)
        return {} if is_default or value is None else {"app_managed": value}

    def _network(self, value: ast.expr) -> dict[str, ast.expr]:
        names = {
            "EnableNetworkIsolation": "enable_network_isolation",
            "EnableInterContainerTrafficEncryption": "encrypt_inter_container_traffic",
            "VpcConfig": "vpc",
        }
        fields = self._fields(value, "NetworkConfig", names)
        if "vpc" in fields:
            vpc = {"SecurityGroupIds": "security_group_ids", "Subnets": "subnets"}
            fields |= self._fields(fields.pop("vpc"), "VpcConfig", vpc)
        return {"network_config": self._object("NetworkConfig", fields)}

    def _stopping(self, value: ast.expr) -> dict[str, ast.expr]:
        return self._fields(value, "StoppingCondition", {"MaxRuntimeInSeconds": "max_runtime_in_seconds"})

    def _tags(self, value: ast.expr) -> dict[str, ast.expr]:
        return {"tags": self._tags_by_key(value) or value}

    def _tags_by_key(self, value: ast.expr) -> ast.expr | None:
        try:
            listed = self.source.value(value, self.made.old)
            items = listed.elts if isinstance(listed, (ast.List, ast.Tuple)) else []
            tags = [self.source.fields(item, self.made.old) for item in items]
        except UnknownValueError:
            return None
        keys = [self.source.text(tag["Key"], self.made.old) if tag.keys() == {"Key", "Value"} else None for tag in tags]
        if not keys or None in keys or len({*keys}) < len(keys) or any(TEMPLATE.search(str(key)) for key in keys):
            return None
        return ast.Dict([tag["Key"] for tag in tags], [tag["Value"] for tag in tags])

    def _s3_operations(self, value: ast.expr) -> dict[str, ast.expr]:
        self.made.lost.append(
            f"S3Operations={ast.unparse(value)}: set a local path as an input's source, or as code of a "
            "ScriptProcessingOperator, and it is uploaded to a key of its own if S3 doesn't have it yet. No bucket is "
            "created but the default one."
        )
        return {}

    def _is_default(self, name: str, value: ast.expr) -> bool:
        return name in _DEFAULTS and isinstance(value, ast.Constant) and value.value == _DEFAULTS[name]

    # XComs

    def _say_xcom(self, moved: Mapping[str, ast.expr]) -> None:
        if self.kind == SENSOR:
            self.made.xcom.append(
                "the provider's sensor had none. return_value is the job's result now, and the S3 URI of each of its "
                "outputs is an XCom under the output's name."
            )
            self.made.lost.append(
                "A job that isn't there yet is waited for until timeout; the provider's sensor fails at once."
            )
            return
        waits = moved.get("wait_for_completion")
        doesnt_wait = isinstance(waits, ast.Constant) and waits.value is False
        status = ', with the status "InProgress"' if doesnt_wait else ""
        self.made.xcom.append(
            f'return_value is the job\'s result{status}, without the key "Processing". {self._said_of_outputs(moved)}'
        )

    def _said_of_outputs(self, moved: Mapping[str, ast.expr]) -> str:
        listed = moved.get("outputs")
        fields = [item for call in getattr(listed, "elts", ()) for item in getattr(call, "keywords", ())]
        named = [self.source.text(item.value, self.made.old) for item in fields if item.arg == "output_name"]
        if not named or None in named:
            return "Each output's S3 URI is an XCom under the output's name."
        return f"The S3 URI of each output is an XCom too: {', '.join(map(repr, named))}."

    _renamed: ClassVar[dict[str, str]] = {"check_interval": "poll_interval", "region": "region_name"}
    _left_out_if_none: ClassVar[set[str]] = {"max_attempts", "max_ingestion_time", "output_files_to_xcom", "region"}
    _special: ClassVar[dict[str, dict[str, _Reader]]] = {
        OPERATOR: {
            "print_log": _print_log,
            "max_attempts": _max_attempts,
            "max_ingestion_time": _max_ingestion_time,
            "action_if_job_exists": _action_if_job_exists,
            "output_files_to_xcom": _output_files,
        },
        SENSOR: {"resource_type": _resource_type},
    }
    _readers: ClassVar[dict[str, _Reader]] = {
        "ProcessingJobName": _name,
        "RoleArn": lambda _, value: {"role": value},
        "AppSpecification": _app,
        "ProcessingResources": _resources,
        "StoppingCondition": _stopping,
        "ProcessingInputs": _inputs,
        "ProcessingOutputConfig": _outputs,
        "Environment": lambda _, value: {"env": value},
        "NetworkConfig": _network,
        "ExperimentConfig": lambda _, value: {"experiment_config": value},
        "Tags": _tags,
        "S3Operations": _s3_operations,
    }


_S3_INPUT = {
    "S3Uri": "source",
    "LocalPath": "destination",
    "S3DataType": "s3_data_type",
    "S3InputMode": "s3_input_mode",
    "S3DataDistributionType": "s3_data_distribution_type",
    "S3CompressionType": "s3_compression_type",
}
_S3_OUTPUT = {"LocalPath": "source", "S3Uri": "destination", "S3UploadMode": "s3_upload_mode"}
_FEATURE_STORE = {"FeatureGroupName": "feature_group_name"}
_DEFAULTS = {
    "s3_data_type": "S3Prefix",
    "s3_input_mode": "File",
    "s3_data_distribution_type": "FullyReplicated",
    "s3_compression_type": "None",
    "s3_upload_mode": "EndOfJob",
}
"""The API's own defaults, which the SDK, and so this package, has too."""


def _by_order(moved: Mapping[str, ast.expr], request: Mapping[str, ast.expr]) -> dict[str, ast.expr]:
    """Return a task's parameters in order: its id, those of its job, then the others."""
    task_id = {name: value for name, value in moved.items() if name == "task_id"}
    return {**task_id, **request, **moved}


def _dict_of(fields: Mapping[str, ast.expr]) -> ast.expr:
    keys = [None if name.startswith("**") else ast.Constant(name) for name in fields]
    return ast.Dict([*keys], [*fields.values()])


def _method(owner: ast.expr, name: str) -> ast.expr:
    return ast.Attribute(owner, name, ast.Load())


def _has_template(node: ast.expr) -> bool:
    texts = [item.value for item in ast.walk(node) if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    return any(TEMPLATE.search(text) for text in texts)
