"""Read a task's parameters from the DAG file and at run time, its wait options included; mask the secret ones.

Parameters are kept as plain dicts and lists, which Airflow templates, resolves, serialises and shows by itself. They
are read into definition objects twice: when the DAG is parsed, except for what only a run knows, and when the task
runs.
"""

from __future__ import annotations

import dataclasses
import inspect
import warnings
from collections.abc import Collection, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from airflow_sm_processing.exceptions import DefinitionError, Problem
from airflow_sm_processing.operators.outputs import (
    emit_assets_problems,
    plain_parameter,
    result_files_problems,
    with_uris,
)
from airflow_sm_processing.operators.templating import (
    as_bool,
    hide_unresolved,
    is_resolved,
    missing_value_problems,
    one_for_each_source,
    without_left_out,
)
from airflow_sm_processing.processing.definition import (
    DEFINITION_PARAMETERS,
    DefinitionReader,
    absolute,
    legal_name,
    script_problems,
    with_code_below,
)
from airflow_sm_processing.processing.secrets import JobSecrets, hidden, secret_forms, secret_queries
from airflow_sm_processing.processing.validation import definition_problems
from airflow_sm_processing.processing.values import (
    BOOLEANS,
    DEFAULT_MAX_CAPACITY_WAIT,
    DEFAULT_MAX_TRANSIENT_SECONDS,
    DEFAULT_POLL_INTERVAL,
    LATE,
    Value,
    ValueReader,
    json_or_as_is,
    rule_of_structure,
    to_plain,
    value_object,
)
from airflow_sm_processing.xcoms import reserved_name_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from airflow_sm_processing.hooks.connection import AwsConnection
    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.description import JobDescription
    from airflow_sm_processing.processing.secrets import Mask

__all__ = [
    "CONTRADICTABLE",
    "DEFINITION_PARAMETERS",
    "MASK_PARAMETER",
    "WAIT_PARAMETERS",
    "Misnamed",
    "TaskDefinitionReader",
    "TaskParameters",
    "WaitOptions",
    "early_problems",
    "inherited",
    "job_secrets",
    "legal_name",
    "mask_in_airflow",
    "mask_problems",
    "misnamed_parameters",
    "own_over_inherited",
    "parameter_names",
    "paths_as_written",
    "read_connection",
    "read_definition",
    "read_exit_codes",
    "read_wait_options",
    "refuse_misnamed",
    "trigger_mask",
    "warn_of_misspelt_defaults",
    "with_base_name",
    "with_misnamed",
]

_LONGEST = 10 * 365.0 * 86_400
_LARGEST_EXIT_CODE = 255


@value_object
class WaitOptions(Value):
    """The parameters of a task's wait; times are in seconds."""

    deferrable: bool | None = None
    """None leaves it to Airflow's `[operators] default_deferrable`."""
    wait_for_completion: bool = True
    """If False, `deferrable` only decides where to wait for capacity for the job."""
    poll_interval: float = DEFAULT_POLL_INTERVAL
    max_wait: float | None = None
    max_transient_seconds: float = DEFAULT_MAX_TRANSIENT_SECONDS
    max_capacity_wait: float = DEFAULT_MAX_CAPACITY_WAIT
    """How long to wait for capacity for the job: the end of throttling, a free quota, or free instances."""
    on_existing_job: str = "reattach"
    """What to do with a job that an earlier try left running or completed."""
    logs: bool | Literal["tail"] = True
    """True shows the job's log lines as they arrive, `"tail"` the last lines of each host at the end."""
    on_stopped: str = "fail"
    stop_on_kill: bool = True
    """Whether the job is stopped when the task stops waiting for it."""
    end_from_trigger: bool = False
    """Whether a deferred task whose job completes ends without a worker."""
    skip_on_exit_code: frozenset[int] = frozenset()
    """The exit codes of a failed job that skip the task."""

    @property
    def is_deferrable(self) -> bool:
        """Whether the task waits in the triggerer."""
        if self.deferrable is not None:
            return self.deferrable
        from airflow_sm_processing.airflow_compat import conf

        default: bool = conf.getboolean("operators", "default_deferrable", fallback=False)
        return default

    def skips_on_exit_of(self, description: JobDescription) -> bool:
        """Return whether a job failed with an exit code that skips the task."""
        from airflow_sm_processing.processing.description import JobStatus

        return description.status is JobStatus.FAILED and description.exit_code in self.skip_on_exit_code


def read_wait_options(parameters: Mapping[str, Any]) -> tuple[WaitOptions, list[Problem]]:
    """Return the options, and what is wrong with them; a parameter that can't be read gets its default."""
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    for name, reader in _READERS.items():
        value = parameters.get(name)
        if value is None or value == "":
            continue
        try:
            values[name] = reader(value)
        except (TypeError, ValueError) as error:
            problems.append(Problem(name, value, str(error)))
    return WaitOptions(**values), problems


def read_exit_codes(value: Any) -> frozenset[int]:
    """Return the exit codes in a value: one, several or none, possibly written by a template as text or JSON.

    Raises:
        ValueError: Something in it isn't an exit code.
    """
    plain = json_or_as_is(value)
    if plain is None or plain == "":
        return frozenset()
    if isinstance(plain, Collection) and not isinstance(plain, (str, bytes, Mapping)):
        return frozenset(_exit_code(item) for item in plain)
    return frozenset([_exit_code(plain)])


def _exit_code(value: Any) -> int:
    text = value.strip() if isinstance(value, str) else ""
    code = int(text) if text.isascii() and text.isdecimal() else value
    if isinstance(code, bool) or not isinstance(code, int) or not 0 < code <= _LARGEST_EXIT_CODE:
        raise ValueError(f"must be an exit code from 1 to {_LARGEST_EXIT_CODE}, or several in a list")
    return code


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in BOOLEANS:
        return BOOLEANS[value.lower()]
    raise ValueError("must be true or false")


def _logs(value: object) -> bool | Literal["tail"]:
    if value == "tail":
        return "tail"
    try:
        return _boolean(value)
    except ValueError:
        raise ValueError("must be true, false or 'tail'") from None


def _seconds(value: Any) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else _number(value)
    if not seconds > 0:  # also refuses nan
        raise ValueError("must be more than 0 seconds")
    if seconds > _LONGEST:
        raise ValueError(f"must be at most {_LONGEST:.0f} seconds, which is ten years")
    return seconds


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError("must be a number of seconds, or a timedelta") from None


def _one_of(*words: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return str(value)

    return read


_READERS: dict[str, Callable[[Any], Any]] = {
    "deferrable": _boolean,
    "wait_for_completion": _boolean,
    "poll_interval": _seconds,
    "max_wait": _seconds,
    "max_transient_seconds": _seconds,
    "max_capacity_wait": _seconds,
    "on_existing_job": _one_of("reattach", "fail", "new"),
    "logs": _logs,
    "on_stopped": _one_of("fail", "skip", "succeed"),
    "stop_on_kill": _boolean,
    "end_from_trigger": _boolean,
    "skip_on_exit_code": read_exit_codes,
}
WAIT_PARAMETERS = tuple(_READERS)
"""The parameters of a task's wait; each is an attribute of the operator."""


CONTRADICTABLE = (
    "wait_for_completion",
    "result_files",
    "emit_assets",
    "env",
    "mask_env",
    "image",
    "image_uri",
    "instance_type",
    "instance_preferences",
    "instance_count",
)
"""The parameters of a processing task that may contradict each other."""


@value_object
class TaskParameters(Value):
    """The parameters of a task that are checked together, as written in the DAG file or as rendered by a run."""

    definition: Mapping[str, Any]
    """The parameters that define the job, by the names of `JobDefinition`'s fields."""
    wait: Mapping[str, Any]
    """The parameters of the wait, by the names of `WaitOptions`' fields."""
    mask_env: Any
    result_files: Any
    max_result_file_bytes: Any
    emit_assets: Any
    inherited: frozenset[str]
    """Of the parameters that may contradict others, those that the task has from `default_args`."""
    written: Mapping[str, Any]
    """The templated parameters as written in the DAG file; empty before they are rendered."""

    def needs_unawaited_end(self, name: str) -> bool:
        """Return whether a parameter needs the job's end, although the task itself is set not to wait for it.

        A DAG's `default_args` apply to tasks of many kinds, so a contradiction with them isn't a mistake.
        """
        is_own = not self.inherited & {name, "wait_for_completion"}
        return is_own and as_bool(self.wait["wait_for_completion"]) is False


class TaskDefinitionReader(DefinitionReader):
    """Reads a definition from a task's parameters, with assets replaced by their URIs."""

    def read(self, parameters: Mapping[str, Any]) -> JobDefinition:
        """Return the definition; a parameter that can't be read is left out and added to `problems`."""
        inputs = with_uris(to_plain(parameters.get("inputs")))
        return super().read({**parameters, "inputs": self._one_for_each_source(inputs)})

    def _one_for_each_source(self, inputs: Any) -> Any:
        if inputs is None or inputs is LATE:
            return inputs
        items = enumerate(plain_parameter("inputs", self.structure("inputs", inputs, "list")))
        return [
            fields for index, item in items for fields in one_for_each_source(f"inputs[{index}]", item, self.problems)
        ]


_DAG_CHARACTERS = 24  # of the about forty that a job's name has for its base, so that some are left for the task's ID


def with_base_name(parameters: Mapping[str, Any], *, dag_id: str, task_name: str) -> dict[str, Any]:
    """Return a definition's parameters with a base name from the DAG and the task, unless they name the job.

    Args:
        parameters: The parameters by the names of `JobDefinition`'s fields.
        dag_id: The DAG's ID.
        task_name: The part of the job's name for the task.
    """
    if any(parameters.get(name) not in (None, "") for name in ("base_job_name", "job_name")):
        return dict(parameters)
    return {**parameters, "base_job_name": f"{legal_name(dag_id)[:_DAG_CHARACTERS].rstrip('-')}-{task_name}"}


# Parameters of the amazon provider's operator and sensor, of the SageMaker SDK and of CreateProcessingJob that have
# another name here. None of them is also a parameter of this package's operators.

_PROVIDER, _SDK, _REQUEST = "the amazon provider's name", "the SageMaker SDK's name", "CreateProcessingJob's name"
_NO_NAME = "is no parameter: here it is"
_FOREIGN = {
    "config": f"is {_PROVIDER} for a request, whose parts are parameters here: airflow-sm-processing migrate DAG_FILE "
    "prints the call, and ProcessingOperator.from_request(config, task_id=…) takes all of it",
    "check_interval": f"is {_PROVIDER}: here it is poll_interval",
    "print_log": f"is {_PROVIDER}: here it is logs",
    "max_ingestion_time": f"is {_PROVIDER}: here it is max_wait, after which the job is stopped too",
    "max_attempts": f"is {_PROVIDER} for a number of polls: here max_wait is the limit, in seconds",
    "action_if_job_exists": f'is {_PROVIDER}: here base_job_name gives each job a name of its own, as "timestamp" '
    'does, and job_name is the whole name, as with "fail"; on_existing_job says what a retry does with an earlier job',
    "output_files_to_xcom": f'is {_PROVIDER}: here it is result_files={{"<XCom>": "<output name>/<file>"}}',
    "region": f"is {_PROVIDER}: here it is region_name",
    "wait": f"is {_SDK}: here it is wait_for_completion",
    "sagemaker_session": f"is {_SDK}: here aws_conn_id, region_name, botocore_config, default_bucket and "
    "default_bucket_prefix say the same",
    "estimator_cls": f'is {_SDK}: here image="<framework>:<version>" says both, such as "pytorch:2.3"',
    "framework_version": f'is {_SDK}: here image="<framework>:<version>" says both, such as "sklearn:1.4-2"',
    "py_version": f'is {_SDK}: here it ends the image, such as "pytorch:2.3-py311"',
    "code_location": f"is {_SDK}: here default_bucket and default_bucket_prefix say where code goes",
    "environment": f"{_NO_NAME} env",
    "role_arn": f"{_NO_NAME} role, which takes an ARN too",
    "script": f"{_NO_NAME} code",
    "timeout": f"{_NO_NAME} max_wait, after which the job is stopped, or Airflow's execution_timeout",
    "poke_interval": f"{_NO_NAME} poll_interval",
    "vpc_config": f"{_NO_NAME} network_config=NetworkConfig(subnets=[…], security_group_ids=[…])",
    "subnets": f"{_NO_NAME} network_config=NetworkConfig(subnets=[…], security_group_ids=[…])",
    "security_group_ids": f"{_NO_NAME} network_config=NetworkConfig(subnets=[…], security_group_ids=[…])",
    "ProcessingJobName": f"is {_REQUEST}: here it is job_name, or base_job_name for one that is completed",
    "ProcessingResources": f"is {_REQUEST}: here it is instance_count, instance_type and volume_size_in_gb",
    "AppSpecification": f"is {_REQUEST}: here it is image_uri, entrypoint and arguments",
    "RoleArn": f"is {_REQUEST}: here it is role",
    "ProcessingInputs": f"is {_REQUEST}: here it is inputs",
    "ProcessingOutputConfig": f"is {_REQUEST}: here it is outputs and output_kms_key",
    "Environment": f"is {_REQUEST}: here it is env",
    "NetworkConfig": f"is {_REQUEST}: here it is network_config",
    "StoppingCondition": f"is {_REQUEST}: here it is max_runtime_in_seconds",
    "Tags": f"is {_REQUEST}: here it is tags",
    "ExperimentConfig": f"is {_REQUEST}: here it is experiment_config",
}
_FOREIGN_TO_SENSORS = {
    "check_interval": f"is {_PROVIDER}: here it is poll_interval",
    "print_log": f"is {_PROVIDER}: here a sensor shows no log",
    "max_ingestion_time": f"is {_PROVIDER}: here it is timeout, which every sensor of Airflow has",
    "max_attempts": f"is {_PROVIDER} for a number of polls: here timeout is the limit, in seconds",
    "max_wait": "is a name of the operators: here it is timeout, which every sensor of Airflow has",
    "region": f"is {_PROVIDER}: here it is region_name",
    "resource_type": f"is {_PROVIDER}: here every job is a processing job",
    "ProcessingJobName": f"is {_REQUEST}: here it is job_name",
    "sagemaker_session": f"is {_SDK}: here aws_conn_id, region_name and botocore_config say the same",
}
_SECRET = frozenset({"config", "Environment", "environment", "env", "git_config"})
_STANDS_FOR_REQUIRED = frozenset({"config", "estimator_cls", "framework_version"})
_SURELY_MEANT = 0.75  # difflib's ratio: `volume_size` suggests volume_size_in_gb, but `timeout` not execution_timeout
_NEARLY_THE_SAME = 0.85  # `deferable` suggests deferrable, but the amazon provider's `config` not git_config
_LONGEST_NAME = 50  # only so many characters of a name are compared


@value_object
class Misnamed(Value):
    """A given parameter whose name the operator doesn't have."""

    problem: Problem
    meant: str | None
    """The parameter that was most likely meant, judging by its similar name."""


def misnamed_parameters(
    operator: type[Any], given: Mapping[str, Any], *, to_sensors: bool = False
) -> dict[str, Misnamed]:
    """Return, by name, the parameters that an operator doesn't have: other operators' parameters, and misspelt ones."""
    foreign = _FOREIGN_TO_SENSORS if to_sensors else _FOREIGN
    known = parameter_names(operator)  # type: ignore[arg-type]  # mypy looks at the __hash__ of instances
    found = {}
    for name, value in given.items():
        if name in foreign:
            found[name] = Misnamed(Problem(name, _shown(name, value), foreign[name]), None)
        elif name not in known and not name.startswith("_"):  # Airflow itself passes names with an underscore
            meant = _surely_meant(name, known)
            hint = f": did you mean {meant}?" if meant else ""
            rule = f"is no parameter of {operator.__name__}{hint}"
            found[name] = Misnamed(Problem(name, _shown(meant or name, value), rule), meant)
    return found


@cache
def parameter_names(operator: Any) -> frozenset[str]:
    """Return the names of an operator class's parameters, including those of its base classes."""
    names: set[str] = set()
    for cls in operator.__mro__:
        code = getattr(inspect.unwrap(vars(cls).get("__init__", object.__init__)), "__code__", None)
        if code is not None:
            names.update(code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount])
    return frozenset(names)


def _surely_meant(name: str, known: Collection[str]) -> str | None:
    """Return the known name that is similar enough, or else the only one that begins with this name."""
    near = _nearest(name, known, _SURELY_MEANT)
    begun = [other for other in known if other.startswith(f"{name}_")]
    return near or (begun[0] if len(begun) == 1 else None)


def _nearest(name: str, known: Collection[str], likeness: float) -> str | None:
    import difflib  # only needed for errors

    near = difflib.get_close_matches(name[:_LONGEST_NAME], known, n=1, cutoff=likeness)
    return near[0] if near else None


def warn_of_misspelt_defaults(operator: type[Any], default_args: Mapping[Any, Any] | None) -> None:
    """Warn of a name in `default_args` that is nearly a parameter's; Airflow silently ignores it.

    It isn't an error, since a DAG's `default_args` apply to tasks of many kinds, and one of them may have it.
    """
    known = parameter_names(operator)  # type: ignore[arg-type]  # mypy looks at the __hash__ of instances
    for name in default_args or ():
        meant = _nearest(name, known, _NEARLY_THE_SAME) if isinstance(name, str) and name not in known else None
        if meant is not None:
            warnings.warn(
                f"default_args has {name!r}, which is no parameter of {operator.__name__} and so changes nothing: "
                f"did you mean {meant!r}?",
                stacklevel=4,
            )


def with_misnamed(misnamed: Mapping[str, Misnamed], problems: Iterable[Problem]) -> list[Problem]:
    """Return all problems, except missing parameters that may have been given under another name."""
    found = [item.problem for item in misnamed.values()]
    if any(name in _STANDS_FOR_REQUIRED or name[0].isupper() for name in misnamed):
        return found
    meant = {item.meant for item in misnamed.values()}
    return [*found, *(problem for problem in problems if problem.parameter not in meant)]


def refuse_misnamed(operator: type[Any], given: Mapping[str, Any], *, task_id: Any, to_sensors: bool = False) -> None:
    """Refuse parameters that the operator doesn't have.

    Raises:
        DefinitionError: There are such parameters; it names them all.
    """
    misnamed = misnamed_parameters(operator, given, to_sensors=to_sensors)
    if misnamed:
        raise DefinitionError(with_misnamed(misnamed, ()), subject=f"task {task_id}")


def _shown(name: str, value: Any) -> Any:
    is_plain = value is None or isinstance(value, (str, bool, int, float))
    return value if is_plain and name not in _SECRET else hidden(value)


def early_problems(parameters: TaskParameters, folder: Path) -> list[Problem]:
    """Return what is wrong with a task as written in the DAG file; values that only a run knows aren't checked.

    Args:
        parameters: The task's parameters.
        folder: The folder for relative paths of local files.
    """
    reader = TaskDefinitionReader()
    definition = reader.read({name: hide_unresolved(value) for name, value in parameters.definition.items()})
    known_options = {name: value for name, value in parameters.wait.items() if is_resolved(value)}
    return [
        *reader.problems,
        *definition_problems(definition),
        *script_problems(definition, folder),
        *_number_problems(definition, parameters.definition),
        *_problems_beside_the_definition(parameters, definition, read_wait_options(known_options)[1]),
    ]


def _number_problems(definition: JobDefinition, written: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the numbers that can't be right, as written; only a run loads the service model with the upper limits."""
    for name in ("instance_count", "volume_size_in_gb", "max_runtime_in_seconds"):
        value = getattr(definition, name)
        if isinstance(value, int) and value < 1:
            yield Problem(name, written.get(name, value), "must be at least 1")


def read_definition(
    parameters: TaskParameters,
    option_problems: Sequence[Problem] = (),
    *,
    folder: Path,
    subject: str,
    is_excused: Callable[[Problem], bool] = lambda _: False,
) -> JobDefinition:
    """Return the job's definition from parameters that are rendered.

    Args:
        parameters: The task's parameters.
        option_problems: What is wrong with the wait options, to be reported along with the rest.
        folder: The folder for relative paths of local files.
        subject: How an error refers to the task.
        is_excused: Returns whether to ignore a problem.

    Raises:
        DefinitionError: A parameter can't be read.
    """
    reader = TaskDefinitionReader()
    given = dict(parameters.definition)
    given["inputs"] = without_left_out(parameters.written.get("inputs"), given["inputs"])
    missing = [*missing_value_problems(parameters.written, given)]
    definition = reader.read(given)
    beside = _problems_beside_the_definition(parameters, definition, option_problems)
    problems = [*missing, *reader.problems, *beside]
    if not all(map(is_excused, problems)):
        named = frozenset(item.parameter for item in missing)
        problems += (item for item in definition_problems(definition) if item.parameter not in named)
        raise DefinitionError([item for item in problems if not is_excused(item)], subject=subject)
    return _below(folder, definition)


def _problems_beside_the_definition(
    parameters: TaskParameters, definition: JobDefinition, option_problems: Sequence[Problem]
) -> Iterator[Problem]:
    yield from reserved_name_problems(definition.outputs)
    if parameters.result_files:
        yield from _result_files_problems(parameters, definition)
    yield from emit_assets_problems(parameters.emit_assets, is_unawaited=parameters.needs_unawaited_end("emit_assets"))
    yield from option_problems
    # In `default_args`, `mask_env` may name variables that this task's own env doesn't have.
    is_for_others = "mask_env" in parameters.inherited and "env" not in parameters.inherited
    yield from mask_problems(parameters.mask_env, None if is_for_others else parameters.definition.get("env"))


def _result_files_problems(parameters: TaskParameters, definition: JobDefinition) -> Iterator[Problem]:
    names = [item.output_name for item in definition.outputs]
    are_known = hide_unresolved(parameters.definition["outputs"]) is not LATE and LATE not in names
    return result_files_problems(
        parameters.result_files,
        parameters.max_result_file_bytes,
        output_names=names if are_known and None not in names else (),
        is_unawaited=parameters.needs_unawaited_end("result_files"),
    )


def _below(folder: Path, definition: JobDefinition) -> JobDefinition:
    inputs = tuple(
        item.at(absolute(item.source, folder)) if isinstance(item.source, str) else item for item in definition.inputs
    )
    placed = dataclasses.replace(definition, inputs=inputs)
    return placed if definition.git_config is not None else with_code_below(placed, folder)


@contextmanager
def paths_as_written(parameters: TaskParameters, folder: Path) -> Iterator[None]:
    """Quote relative paths as the task has them in the block's `DefinitionError`: only its rules name the folder."""
    try:
        yield
    except DefinitionError as error:
        written = {absolute(text, folder): text for text in _texts(parameters.definition)}
        values = [item.value for item in error.problems]
        quoted = [written.get(value, value) if isinstance(value, str) else value for value in values]
        if type(error) is not DefinitionError or quoted == values:
            raise
        problems = [item.replace(value=value) for item, value in zip(error.problems, quoted, strict=True)]
        raise DefinitionError(problems, subject=error.subject) from None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list, tuple)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


# Parameters from `default_args`: if they contradict the task's own parameters, the latter take precedence. Such a
# contradiction isn't a mistake, and must not keep the DAG file from being loaded.


def inherited(values: Mapping[str, Any], default_args: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the names of the values that come from `default_args`."""
    defaults = default_args or {}
    return frozenset(name for name, value in values.items() if name in defaults and _is(value, defaults[name]))


def own_over_inherited(parameters: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return a definition's parameters without inherited ones that contradict the task's own.

    Args:
        parameters: The parameters by the names of `JobDefinition`'s fields.
        names: The names of the inherited ones.
    """
    given = dict(parameters)
    preferences = "instance_preferences"
    for one, other in (("instance_type", preferences), ("image", "image_uri")):
        if given.get(one) and given.get(other) and (one in names) != (other in names):
            given[one if one in names else other] = None
    if "instance_count" in names and preferences not in names and _have_counts(given.get(preferences)):
        given["instance_count"] = None
    return given


def _is(value: Any, default: Any) -> bool:
    plain = to_plain(default)
    return value is default or bool(type(value) is type(plain) and value == plain)


def _have_counts(preferences: Any) -> bool:
    items = preferences if isinstance(preferences, (list, tuple)) else ()
    return any(isinstance(item, dict) and item.get("instance_count") is not None for item in items)


# The connection


def read_connection(*, subject: str, verify: Any, botocore_config: Any, **others: Any) -> AwsConnection:
    """Return the connection from a task's parameters, which templates may have written as strings.

    Raises:
        DefinitionError: One of them is invalid.
    """
    from airflow_sm_processing.hooks.connection import AwsConnection

    reader = ValueReader()
    texts = {name: reader.optional_text(name, value) for name, value in others.items()}
    if reader.problems:
        raise DefinitionError(reader.problems, subject=subject)
    return AwsConnection(verify=_bool_or_path(verify), botocore_config=_settings(botocore_config, subject), **texts)


def _bool_or_path(verify: Any) -> Any:
    return BOOLEANS.get(verify.lower(), verify) if isinstance(verify, str) else verify


def _settings(value: Any, subject: str) -> dict[str, Any] | None:
    settings = json_or_as_is(value)
    if settings is not None and not isinstance(settings, dict):
        rule = rule_of_structure(value, "dict")
        raise DefinitionError([Problem("botocore_config", hidden(value), rule)], subject=subject)
    return settings


MASK_PARAMETER = "mask_env"


def job_secrets(env: Any, mask_env: Any) -> JobSecrets:
    """Return the secrets of a job whose parameters are rendered."""
    return JobSecrets(_environment(env), mask=_mask(mask_env))


def trigger_mask(mask_env: Any, secrets: JobSecrets) -> bool | list[str]:
    """Return the names of the variables whose values a trigger has to hide; False if there are none."""
    mask = _mask(mask_env) if secrets.forms else False
    return mask if isinstance(mask, bool) else list(mask)


_GIT_SECRETS = ("password", "token")


def mask_in_airflow(env: Any, mask_env: Any, fields: Iterable[Any], git_config: Any = None) -> None:
    """Register a task's secrets with Airflow's masker.

    Args:
        env: The job's environment.
        mask_env: Which of its variables are secret.
        fields: The rendered parameters, in which the query strings of presigned URLs are secret.
        git_config: The repository of the job's code, whose password and token are secret.
    """
    found = {
        *secret_forms(_environment(env), _mask(mask_env)),
        *secret_forms(json_or_as_is(git_config) or {}, _GIT_SECRETS),
        *secret_queries(fields),
    }
    if found:
        from airflow.sdk.log import mask_secret

        mask_secret([*sorted(found)])


def mask_problems(mask_env: Any, env: Any) -> Iterator[Problem]:
    """Yield what is wrong with `mask_env`; a name that isn't in `env` would leave the intended variable unmasked."""
    mask_env, env = hide_unresolved(mask_env), hide_unresolved(env)
    if not is_resolved(mask_env):
        return
    try:
        mask = read_mask(mask_env)
    except ValueError as error:
        yield Problem(MASK_PARAMETER, mask_env, str(error))
        return
    environment = _environment(env)
    if isinstance(environment, Mapping) and environment and not isinstance(mask, bool):
        for name in mask:
            if name not in environment:
                rule = f"isn't a variable in env; env has {', '.join(map(str, environment))}"
                yield Problem(MASK_PARAMETER, name, rule)


def read_mask(value: Any) -> Mask:
    """Return which variables are secret; a template may have written the value as a string.

    Raises:
        ValueError: The value can't be read.
    """
    if value is None or value == "":
        return True
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        if value.lower() in BOOLEANS:
            return BOOLEANS[value.lower()]
        plain = json_or_as_is(value)
        return _names([value] if plain is value else plain)
    return _names(value)


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, Collection) or not all(isinstance(name, str) for name in value):
        raise ValueError("must be true, false or a list of names of variables in env")
    return tuple(value)


def _mask(value: Any) -> Mask:
    try:
        return read_mask(value)
    except ValueError:
        return True  # the definition reports it as a problem; until then, hide all values


def _environment(env: Any) -> Any:
    return json_or_as_is(env)
