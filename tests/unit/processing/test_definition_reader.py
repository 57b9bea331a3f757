"""One rule for what users may write: the core's classes and the operators' reader take the same and say the same."""

from __future__ import annotations

import enum
from collections import UserList
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from airflow_sm_processing.exceptions import DefinitionError
from airflow_sm_processing.processing import (
    AthenaDatasetDefinition,
    DatasetDefinition,
    InstancePreference,
    JobDefinition,
    NetworkConfig,
    ProcessingInput,
    ProcessingJob,
    ProcessingOutput,
    Processor,
    S3Input,
    ScriptProcessor,
    Session,
)

from .makers import IMAGE, JOB_ARN, ROLE_ARN, definition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.stub import Stubber

SMALLEST: dict[str, Any] = {"role": ROLE_ARN, "image_uri": IMAGE, "instance_count": 1, "instance_type": "ml.m5.xlarge"}
IN = "/opt/ml/processing/in"
OUT = "/opt/ml/processing/out"
TOJSON = "or the JSON of one; this is Python's own text of one: write {{ … | tojson }}"


class Colour(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


TEXTS = [
    ("1.10", "1.10"),
    (1, "1"),
    (-7, "-7"),
    (0.5, "0.5"),
    (1.0, "1.0"),
    (1e-05, "1e-05"),
    (2**70, "1180591620717411303424"),
    (True, "True"),
    (False, "False"),
    (PurePosixPath("a/b"), "a/b"),
    (Decimal("1.10"), "1.10"),
    (Fraction(1, 3), "1/3"),
    (np.int64(5), "5"),
    (np.float32(0.1), "0.1"),
    (Colour.RED, "red"),
    (Level.HIGH, "3"),
]
NO_TEXTS = [
    (None, "is None, which has no text: leave it out"),
    (["a"], "must be a string, a number, a boolean or a path, not list"),
    ({"a": 1}, "must be a string, a number, a boolean or a path, not dict"),
    (("a",), "must be a string, a number, a boolean or a path, not tuple"),
    ({"a"}, "must be a string, a number, a boolean or a path, not set"),
    (b"a", "must be a string, a number, a boolean or a path, not bytes"),
    (1j, "must be a string, a number, a boolean or a path, not complex"),
]


def defined(**parameters: Any) -> JobDefinition:
    """Define a job through whichever processor takes the parameters."""
    of_run = {"inputs", "outputs", "arguments", "experiment_config", "job_name"}
    run = {name: parameters.pop(name) for name in of_run & parameters.keys()}
    return Processor(**{**SMALLEST, **parameters}, sagemaker_session=Session()).define(**run)


def problems_of(**parameters: Any) -> list[tuple[str, str]]:
    with pytest.raises(DefinitionError) as caught:
        defined(**parameters)
    return [(problem.parameter, problem.rule) for problem in caught.value.problems]


@pytest.mark.parametrize(("value", "text"), TEXTS, ids=repr)
def test_a_value_has_one_spelling_wherever_text_is_wanted(value: Any, text: str) -> None:
    read = defined(
        arguments=[value],
        entrypoint=(value,),
        env={"A": value},
        tags={"a": value},
        experiment_config={"RunName": value},
        base_job_name=value,
        inputs=[ProcessingInput(source=value, destination=IN)],
    )
    assert (read.arguments, read.entrypoint, read.env) == ([text], [text], {"A": text})
    assert (read.tags, read.experiment_config) == ([{"Key": "a", "Value": text}], {"RunName": text})
    assert (read.base_job_name, read.inputs) == (text, (ProcessingInput(text, IN),))


def test_a_name_has_the_same_spelling_as_a_value() -> None:
    assert defined(env={7: "x", True: "y"}).env == {"7": "x", "True": "y"}
    assert problems_of(env={None: "x"}) == [("env", "is None, which has no text: leave it out")]


def test_a_tag_in_a_list_has_the_same_spelling() -> None:
    assert defined(tags=[{"Key": "a", "Value": 7}]).tags == [{"Key": "a", "Value": "7"}]


@pytest.mark.parametrize(("value", "rule"), NO_TEXTS, ids=repr)
def test_what_has_no_text_is_an_error_that_says_so(value: Any, rule: str) -> None:
    assert problems_of(
        arguments=["a", value], env={"A": value}, tags=[{"Key": "k", "Value": value}], experiment_config={"B": value}
    ) == [
        ("arguments[1]", rule),
        ("env['A']", rule),
        ("tags[0].value", rule),
        ("experiment_config['B']", rule),
    ]


def test_the_values_of_an_environment_are_not_quoted() -> None:
    with pytest.raises(DefinitionError) as caught:
        defined(env={"A": ["correct-horse"], "B": None})
    assert "correct-horse" not in str(caught.value)


@pytest.mark.parametrize("code", [Path("x.py"), PurePosixPath("scripts/x.py")])
def test_code_may_be_a_path(code: Path) -> None:
    processor = ScriptProcessor(**SMALLEST, command=["python3"], sagemaker_session=Session())
    assert processor.define_script(code).code == str(code)


def test_paths_and_numbers_of_a_definition_that_is_made_by_hand(session: Session, stubs: dict[str, Stubber]) -> None:
    made = definition(arguments=[1, 0.5], env={"A": True}, job_name="job", tags=[{"Key": "a", "Value": 7}])
    stubs["sagemaker"].add_response("create_processing_job", {"ProcessingJobArn": JOB_ARN})
    job = ProcessingJob.submit(made, session)
    request: Mapping[str, Any] = job.request
    assert request["AppSpecification"]["ContainerArguments"] == ["1", "0.5"]
    assert (request["Environment"], request["Tags"]) == ({"A": "True"}, [{"Key": "a", "Value": "7"}])


ATHENA = {"catalog": "c", "database": "d", "query_string": "q", "output_s3_uri": "s3://b/o", "output_format": "PARQUET"}

JSON_TEXTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"arguments": '["--x", 1, true]'}, {"arguments": ["--x", "1", "True"]}),
    ({"entrypoint": '["python3"]'}, {"entrypoint": ["python3"]}),
    ({"env": '{"A": "1"}'}, {"env": {"A": "1"}}),
    ({"tags": '{"a": "1"}'}, {"tags": [{"Key": "a", "Value": "1"}]}),
    ({"tags": '[{"Key": "a", "Value": "1"}]'}, {"tags": [{"Key": "a", "Value": "1"}]}),
    ({"tags": ['{"Key": "a", "Value": "1"}']}, {"tags": [{"Key": "a", "Value": "1"}]}),
    ({"experiment_config": '{"RunName": "r"}'}, {"experiment_config": {"RunName": "r"}}),
    ({"network_config": '{"subnets": ["s"], "enable_network_isolation": true}'},
     {"network_config": NetworkConfig(subnets=["s"], enable_network_isolation=True)}),
    ({"network_config": NetworkConfig(subnets='["s"]', security_group_ids='["g"]')},  # type: ignore[arg-type]  # as a template writes it
     {"network_config": NetworkConfig(subnets=["s"], security_group_ids=["g"])}),
    ({"network_config": {"subnets": '["s"]', "enable_network_isolation": "false"}},
     {"network_config": NetworkConfig(subnets=["s"], enable_network_isolation=False)}),
    ({"inputs": '[{"source": "s3://b/k", "destination": "/opt/ml/processing/in"}]'},
     {"inputs": (ProcessingInput("s3://b/k", IN),)}),
    ({"inputs": ['{"source": "s3://b/k", "destination": "/opt/ml/processing/in"}']},
     {"inputs": (ProcessingInput("s3://b/k", IN),)}),
    ({"inputs": [ProcessingInput(s3_input='{"s3_uri": "s3://b/k", "local_path": "/opt/ml/processing/in"}')]},
     {"inputs": (ProcessingInput(s3_input=S3Input("s3://b/k", IN)),)}),
    ({"inputs": [{"dataset_definition": '{"local_path": "/opt/ml/processing/in", "athena_dataset_definition": '
                  '{"catalog": "c", "database": "d", "query_string": "q", "output_s3_uri": "s3://b/o", '
                  '"output_format": "PARQUET"}}'}]},
     {"inputs": (ProcessingInput(dataset_definition=DatasetDefinition(
         local_path=IN, athena_dataset_definition=AthenaDatasetDefinition(**ATHENA))),)}),
    ({"inputs": [{"dataset_definition": {"local_path": IN, "athena_dataset_definition":
                  '{"catalog": "c", "database": "d", "query_string": "q", "output_s3_uri": "s3://b/o", '
                  '"output_format": "PARQUET"}'}}]},
     {"inputs": (ProcessingInput(dataset_definition=DatasetDefinition(
         local_path=IN, athena_dataset_definition=AthenaDatasetDefinition(**ATHENA))),)}),
    ({"outputs": '[{"source": "/opt/ml/processing/out"}, "/opt/ml/processing/2"]'},
     {"outputs": (ProcessingOutput(OUT), ProcessingOutput("/opt/ml/processing/2"))}),
    ({"outputs": ['{"source": "/opt/ml/processing/out", "output_name": "o"}']},
     {"outputs": (ProcessingOutput(OUT, output_name="o"),)}),
    ({"instance_type": None, "instance_preferences": '["ml.m5.large", {"instance_type": "ml.m5.xlarge"}]'},
     {"instance_preferences": (InstancePreference("ml.m5.large"), InstancePreference("ml.m5.xlarge"))}),
]  # fmt: skip


@pytest.mark.parametrize(("parameters", "fields"), JSON_TEXTS)
def test_json_text_is_taken_wherever_a_list_or_a_dict_is(parameters: dict[str, Any], fields: dict[str, Any]) -> None:
    read = defined(**parameters)
    assert {name: getattr(read, name) for name in fields} == fields


@pytest.mark.parametrize("numbers", ["1.10", "1e5", "0.10", "-0.0", "-0", "NaN", "-Infinity"])
def test_a_number_of_a_json_text_is_spelt_as_it_stands_there(numbers: str) -> None:
    assert defined(arguments=f"[{numbers}]", env=f'{{"A": {numbers}}}').env == {"A": numbers}


REPRS: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({"arguments": "['a', 'b']"}, ("arguments", f"must be a list, {TOJSON}")),
    ({"arguments": "('a', 'b')"}, ("arguments", f"must be a list, {TOJSON}")),
    ({"env": "{'A': '1'}"}, ("env", f"must be a dict, {TOJSON}")),
    ({"env": "{'A': datetime.date(2026, 1, 2)}"}, ("env", f"must be a dict, {TOJSON}")),
    ({"tags": "{'a': '1'}"}, ("tags", f"must be a dict or list, {TOJSON}")),
    ({"experiment_config": "{'RunName': 'r'}"}, ("experiment_config", f"must be a dict, {TOJSON}")),
    ({"network_config": "{'subnets': ['s']}"}, ("network_config", f"must be a dict, {TOJSON}")),
    ({"network_config": {"subnets": "['s']"}}, ("network_config.subnets", f"must be a list, {TOJSON}")),
    ({"inputs": "[{'source': 's3://b/k'}]"}, ("inputs", f"must be a list, {TOJSON}")),
    ({"inputs": ["{'source': 's3://b/k'}"]},
     ("inputs[0]", f"must be a ProcessingInput or a dict of its fields, {TOJSON}")),
    ({"inputs": [{"s3_input": "{'s3_uri': 's3://b/k'}"}]},
     ("inputs[0].s3_input", f"must be a S3Input or a dict of its fields, {TOJSON}")),
    ({"outputs": "[{'source': '/opt/ml/processing/out'}]"}, ("outputs", f"must be a list, {TOJSON}")),
    ({"outputs": ["{'source': '/opt/ml/processing/out'}"]},
     ("outputs[0]", f"must be a ProcessingOutput or a dict of its fields, {TOJSON}")),
    ({"arguments": '["a", '},
     ("arguments", "must be a list, or the JSON of one; this isn't JSON: Expecting value")),
    ({"env": '{"A": "1", "A": "2"}'}, ("env", "has the key 'A' more than once")),
]  # fmt: skip


@pytest.mark.parametrize(("parameters", "problem"), REPRS)
def test_pythons_text_of_a_structure_is_told_from_json(parameters: dict[str, Any], problem: tuple[str, str]) -> None:
    assert problem in problems_of(**parameters)


def test_other_sequences_and_mappings_are_lists_and_dicts() -> None:
    read = defined(arguments=UserList(["a"]), env=MappingProxyType({"A": "1"}))
    assert (read.arguments, read.env) == (["a"], {"A": "1"})


def test_numbers_and_truth_values_may_be_text() -> None:
    read = defined(instance_count="2", volume_size_in_gb="40", network_config={"enable_network_isolation": "True"})
    assert (read.instance_count, read.volume_size_in_gb) == (2, 40)
    assert read.network_config == NetworkConfig(enable_network_isolation=True)


def test_what_cannot_be_read_is_told_along_with_everything_else(session: Session) -> None:
    processor = Processor(**{**SMALLEST, "instance_type": "ml.none"}, env={"A": None}, sagemaker_session=session)
    with pytest.raises(DefinitionError) as caught:
        processor.run(arguments=[["a"]], job_name="a_b", wait=False, logs=True)
    assert [problem.parameter for problem in caught.value.problems] == [
        "arguments[0]", "env['A']", "logs", "job_name", "instance_type",
    ]  # fmt: skip


def test_an_unknown_parameter_of_a_run_is_a_type_error(session: Session) -> None:
    processor = ScriptProcessor(**SMALLEST, command=["python3"], sagemaker_session=session)
    with pytest.raises(TypeError, match="argument"):
        processor.define_script("x.py", argument=["a"])
