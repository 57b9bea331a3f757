"""Definitions that break one rule each that no limit of the model says, with the parameter and the rule's words."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from airflow_sm_processing.processing import (
    InstancePreference,
    NetworkConfig,
    ProcessingInput,
    ProcessingOutput,
    S3Input,
)

from .makers import DESTINATION, an_input, an_output, definition, script
from .queries import REDSHIFT, query

S3_PATTERN = "must match (https|s3)://([^/]+)/?(.*)"

BROKEN_RULES: dict[str, tuple[Any, str, str]] = {
    # S3 URIs and local files
    "input without bucket": (definition(inputs=(an_input(source="s3:///key"),)), "inputs[0].source", "has no bucket"),
    "output without bucket": (
        definition(outputs=(an_output(destination="s3://"),)),
        "outputs[0].destination",
        "has no bucket",
    ),
    "code without bucket": (script(code="s3:///run.py"), "code", "has no bucket"),
    "shouted scheme": (definition(inputs=(an_input(source="S3://raw/data"),)), "inputs[0].source", S3_PATTERN),
    "long URI": (
        definition(inputs=(an_input(source=f"s3://{'x' * 1020}"),)),
        "inputs[0].source",
        "must have at most 1024 characters, has 1025",
    ),
    "output not in S3": (
        definition(outputs=(an_output(destination="/tmp/out"),)),
        "outputs[0].destination",
        "must be an S3 URI, or absent",
    ),
    "other scheme": (
        definition(inputs=(an_input(source="ftp://host/data"),)),
        "inputs[0].source",
        "must be an S3 URI, a local path or a file:// URI",
    ),
    "other host's file": (
        definition(inputs=(an_input(source="file://host/data"),)),
        "inputs[0].source",
        "must be an S3 URI, a local path or a file:// URI",
    ),
    "empty source": (
        definition(inputs=(an_input(source=""),)),
        "inputs[0].source",
        "must be an S3 URI, a local path or a file:// URI",
    ),
    "absent input": (
        definition(inputs=(an_input(source="/absent/data"),)),
        "inputs[0].source",
        "no such file or folder: /absent/data",
    ),
    "absent code": (script(code="file:///absent/run.py"), "code", "no such file or folder: /absent/run.py"),
    "code of another scheme": (
        script(code="ftp://host/run.py"),
        "code",
        "must be a local path, a file:// URI or an S3 URI",
    ),
    "empty code": (script(code=""), "code", "is required: a local file or folder, file:// or s3://"),
    "no code for the command": (
        script(code=None),
        "code",
        "is required: a local file or folder, file:// or s3://",
    ),
    "code is a prefix": (
        script(code="s3://code/folder/"),
        "code",
        "is a prefix: set script_name to the file to run",
    ),
    "code is a bucket": (
        script(code="s3://code"),
        "code",
        "is a prefix: set script_name to the file to run",
    ),
    "code without command": (script(command=None), "command", 'is required with code, such as ["python3"]'),
    "script outside": (
        script(code="s3://code/", script_name="../run.py"),
        "script_name",
        "must be a path inside the code folder",
    ),
    "script without code": (
        definition(script_name="run.py"),
        "script_name",
        "needs code, the folder that the script is in",
    ),
    # instance preferences
    "a preference twice": (
        definition(instance_type=None, instance_preferences=(InstancePreference("ml.m5.large"),) * 2),
        "instance_preferences[…].instance_type",
        "must be unique, is used 2 times",
    ),
    "some preferences with counts": (
        definition(
            instance_type=None,
            instance_count=None,
            instance_preferences=(InstancePreference("ml.m5.large", 2), InstancePreference("ml.m5.xlarge")),
        ),
        "instance_preferences",
        "must all have an instance_count, or none of them",
    ),
    "preferences' counts beside the job's": (
        definition(instance_type=None, instance_preferences=(InstancePreference("ml.m5.large", 2),)),
        "instance_count",
        "can't be combined with the counts of the instance_preferences",
    ),
    "preferences without a count": (
        definition(instance_type=None, instance_count=None, instance_preferences=(InstancePreference("ml.m5.large"),)),
        "instance_count",
        "is required, or one in each of the instance_preferences",
    ),
    # container paths
    "relative path": (
        definition(inputs=(an_input(destination="input"),)),
        "inputs[0].destination",
        "must be a path below /opt/ml/processing",
    ),
    "path elsewhere": (
        definition(inputs=(an_input(destination="/opt/ml/input"),)),
        "inputs[0].destination",
        "must be a path below /opt/ml/processing",
    ),
    "path that climbs": (
        definition(inputs=(an_input(destination="/opt/ml/processing/../input"),)),
        "inputs[0].destination",
        "must be a path below /opt/ml/processing",
    ),
    "relative output": (
        definition(outputs=(an_output(source="out"),)),
        "outputs[0].source",
        "must be an absolute path in the container",
    ),
    "output elsewhere": (
        definition(outputs=(an_output(source="/opt/ml/output/x"),)),
        "outputs[0].source",
        "must be /opt/ml/processing or a path below it",
    ),
    "app-managed output elsewhere": (
        definition(outputs=(an_output(source="/opt/ml/processing2", app_managed=True),)),
        "outputs[0].source",
        "must be /opt/ml/processing or a path below it",
    ),
    # one set of names
    "output with an input's name": (
        definition(inputs=(an_input(input_name="data"),), outputs=(an_output(output_name="data"),)),
        "outputs[0].output_name",
        "is the name of inputs[0] as well: no input and output of a job may share a name",
    ),
    "output with an input's generated name": (
        definition(inputs=(an_input(),), outputs=(an_output(output_name="input-1"),)),
        "outputs[0].output_name",
        "is the name of inputs[0] as well: no input and output of a job may share a name",
    ),
    "input with an output's generated name": (
        definition(inputs=(an_input(input_name="output-1"),), outputs=(an_output(),)),
        "outputs[0].output_name",
        "is the name of inputs[0] as well: no input and output of a job may share a name",
    ),
    "output with the code's name": (
        script(outputs=(an_output(output_name="code"),)),
        "outputs[0].output_name",
        "is the name of the script's own input as well: no input and output of a job may share a name",
    ),
    # what is empty, and what is AWS's
    "empty argument": (
        definition(arguments=["--name", ""]),
        "arguments[1]",
        "is empty, which SageMaker refuses: leave it out",
    ),
    "empty word of the entrypoint": (
        definition(entrypoint=("", "run")),
        "entrypoint[0]",
        "is empty, which SageMaker refuses: leave it out",
    ),
    "empty word of the command": (
        script(command=["python3", ""]),
        "command[1]",
        "is empty, which SageMaker refuses: leave it out",
    ),
    "tag of AWS": (
        definition(tags=[{"Key": "team", "Value": ""}, {"Key": "aws:x", "Value": "1"}]),
        "tags[1].key",
        "begins with aws:, which AWS keeps for its own tags",
    ),
    "tag of AWS in capitals": (
        definition(tags=[{"Key": "AWS:x", "Value": "1"}]),
        "tags[0].key",
        "begins with aws:, which AWS keeps for its own tags",
    ),
    "same input path": (
        definition(inputs=(an_input(), an_input(destination=f"{DESTINATION}/"))),
        "inputs[1].destination",
        "is the container path of inputs[0].destination as well",
    ),
    "same path as a query": (
        definition(inputs=(query(), an_input())),
        "inputs[1].destination",
        "is the container path of inputs[0].destination as well",
    ),
    "same output path": (
        definition(outputs=(an_output(), an_output())),
        "outputs[1].source",
        "is the container path of outputs[0].source as well",
    ),
    "output in an input": (
        definition(inputs=(an_input(),), outputs=(an_output(source=f"{DESTINATION}/out"),)),
        "outputs[0].source",
        f"overlaps inputs[0].destination='{DESTINATION}': what was read would be uploaded",
    ),
    "output around an input": (
        definition(inputs=(an_input(),), outputs=(an_output(source="/opt/ml/processing"),)),
        "outputs[0].source",
        f"overlaps inputs[0].destination='{DESTINATION}': what was read would be uploaded",
    ),
    "output around the code": (
        script(outputs=(an_output(source="/opt/ml/processing/input"),)),
        "outputs[0].source",
        "overlaps code='/opt/ml/processing/input/code': what was read would be uploaded",
    ),
    # the kinds of inputs
    "input without data": (
        definition(inputs=(ProcessingInput(destination=DESTINATION),)),
        "inputs[0].source",
        "is required, or a dataset_definition or json instead",
    ),
    "input without path": (
        definition(inputs=(an_input(destination=None),)),
        "inputs[0].destination",
        "is required unless the input is app_managed",
    ),
    "S3Input without URI": (
        definition(inputs=(ProcessingInput(s3_input=S3Input(local_path=DESTINATION)),)),
        "inputs[0].source",
        "is required",
    ),
    "output without path": (
        definition(outputs=(ProcessingOutput(),)),
        "outputs[0].source",
        "is required, or a feature_store_output instead",
    ),
    "gzip without pipe": (
        definition(inputs=(an_input(s3_compression_type="Gzip"),)),
        "inputs[0].s3_compression_type",
        "data can only be gzipped when s3_input_mode is Pipe",
    ),
    "two queries": (
        definition(inputs=(query(redshift_dataset_definition=REDSHIFT),)),
        "inputs[0].dataset_definition",
        "must have exactly one of the Athena and Redshift queries",
    ),
    "no query": (
        definition(inputs=(query(athena_dataset_definition=None),)),
        "inputs[0].dataset_definition",
        "must have exactly one of the Athena and Redshift queries",
    ),
    "query beside S3": (
        definition(inputs=(an_input(dataset_definition=query().dataset_definition),)),
        "inputs[0].dataset_definition",
        "can't be combined with source or s3_input",
    ),
    # types
    "arguments in one string": (definition(arguments="--all"), "arguments", "must be a list, not str"),
    "entrypoint in one string": (definition(entrypoint="run"), "entrypoint", "must be a list, not str"),
    "command in one string": (script(command="python3"), "command", 'must be a list of strings, such as ["python3"]'),
    "subnets in one string": (
        definition(network_config=NetworkConfig(security_group_ids=["sg-1"], subnets="subnet-1")),
        "network_config.subnets",
        "must be a list, not str",
    ),
    "number as argument": (definition(arguments=["--n", 5]), "arguments[1]", "must be a string, not int"),
    "number as variable": (definition(env={"A": 1}), "env['A']", "must be a string, not int"),
    "count in a string": (definition(instance_count="2"), "instance_count", "must be an integer, not str"),
    "count of yes": (definition(instance_count=True), "instance_count", "must be an integer, not bool"),
    "flag in a string": (
        definition(inputs=(an_input(app_managed="no"),)),
        "inputs[0].app_managed",
        "must be a boolean, not str",
    ),
    "source is a Path": (
        definition(inputs=(an_input(source=PurePosixPath("data")),)),
        "inputs[0].source",
        "must be a string, not PurePosixPath",
    ),
    "code is a Path": (script(code=PurePosixPath("run.py")), "code", "must be a string, not PurePosixPath"),
    "name is a number": (
        definition(inputs=(an_input(input_name=1),)),
        "inputs[0].input_name",
        "must be a string, not int",
    ),
    "output name is a number": (
        definition(outputs=(an_output(output_name=1, destination=None),)),
        "outputs[0].output_name",
        "must be a string, not int",
    ),
    "tag is a word": (definition(tags=["team"]), "tags[0]", "must be a dict, not str"),
}
