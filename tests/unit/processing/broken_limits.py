"""Definitions that break one limit of the API's model each, with the parameter and the rule that tell of it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from airflow_sm_processing.processing import InstancePreference, NetworkConfig

from .makers import DESTINATION, an_input, an_output, definition, script
from .queries import ATHENA, query

SIZES = ("large", "xlarge", "2xlarge", "4xlarge", "12xlarge", "24xlarge")
OWN_ENTRYPOINT = ", for the image's own entrypoint: with an entrypoint of yours, they go by a file"
MORE_SETTINGS = ": with an entrypoint of yours, some 25,000 characters fit in; ProcessingInput.from_json takes more"
TOO_MANY = "must have at most 10 items"
ONE_MANIFEST = "; those of one bucket can go by a manifest"
PIPES = "input-1 (Pipe), input-2 (Pipe), input-3 (Pipe)"
TAG_PATTERN = r"must match ([\p{L}\p{Z}\p{N}_.:/=+\-@]*)"
NAME_PATTERN = "must match [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"


BROKEN_LIMITS: dict[str, tuple[Any, str, str]] = {
    # required, and what excludes what
    "no role": (definition(role=None), "role", "is required, and no default has RoleArn"),
    "no image": (
        definition(image_uri=""),
        "image_uri",
        'is required, or image instead, such as "sklearn:1.4-2"',
    ),
    "no type": (definition(instance_type=None), "instance_type", "is required, or instance_preferences instead"),
    "no count": (definition(instance_count=None), "instance_count", "is required"),
    "type and preferences": (
        definition(instance_preferences=(InstancePreference("ml.m5.large"),)),
        "instance_type",
        "can't be combined with instance_preferences",
    ),
    # names
    "name": (definition(job_name="a_b"), "job_name", NAME_PATTERN),
    "name ends in hyphen": (definition(job_name="a-"), "job_name", NAME_PATTERN),
    "role": (
        definition(role="bad role"),
        "role",
        "must match arn:aws[a-z\\-]*:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+",
    ),
    "same input name": (
        definition(inputs=(an_input(input_name="a"), an_input(input_name="a", destination=f"{DESTINATION}/2"))),
        "inputs[…].input_name",
        "must be unique, is used 2 times",
    ),
    "an input takes a generated name": (
        definition(inputs=(an_input(input_name="input-2"), an_input(destination=f"{DESTINATION}/2"))),
        "inputs[…].input_name",
        "must be unique, is used 2 times",
    ),
    "an input takes the code's name": (
        script(inputs=(an_input(input_name="code"),)),
        "inputs[…].input_name",
        "must be unique, is used 2 times",
    ),
    "same output name": (
        definition(outputs=(an_output(output_name="a"), an_output(output_name="a", source="/opt/ml/processing/2"))),
        "outputs[…].output_name",
        "must be unique, is used 2 times",
    ),
    "an output takes a generated name": (
        definition(outputs=(an_output(output_name="output-2"), an_output(source="/opt/ml/processing/2"))),
        "outputs[…].output_name",
        "must be unique, is used 2 times",
    ),
    # counts
    "instances": (definition(instance_count=101), "instance_count", "must be 1 to 100"),
    "no instances": (definition(instance_count=0), "instance_count", "must be 1 to 100"),
    "volume": (definition(volume_size_in_gb=16385), "volume_size_in_gb", "must be 1 to 16384"),
    "runtime": (definition(max_runtime_in_seconds=777601), "max_runtime_in_seconds", "must be 1 to 777600"),
    "arguments": (definition(arguments=["x"] * 101), "arguments", f"must have 1 to 100 items, has 101{OWN_ENTRYPOINT}"),
    "entrypoint": (definition(entrypoint=["x"] * 101), "entrypoint", "must have 1 to 100 items, has 101"),
    "command and its script": (script(command=["x"] * 100), "command", "must have 1 to 100 items, has 101"),
    "environment": (
        definition(env={f"A{i}": "" for i in range(101)}),
        "env",
        f"must have at most 100 entries, has 101{MORE_SETTINGS}",
    ),
    "tags": (
        definition(tags=[{"Key": str(i), "Value": ""} for i in range(51)]),
        "tags",
        "must have at most 50 items, has 51",
    ),
    "inputs and the code": (
        script(inputs=tuple(an_input(destination=f"/opt/ml/processing/{i}", s3_input_mode="Pipe") for i in range(10))),
        "inputs",
        f"{TOO_MANY}, has 11: 10 of yours and the script's own{ONE_MANIFEST}, but not {PIPES} and 7 more",
    ),
    "inputs for the image's own entrypoint": (
        definition(inputs=tuple(an_input(destination=f"/opt/ml/processing/{i}") for i in range(11))),
        "inputs",
        f"{TOO_MANY}, has 11; with an entrypoint of yours, those of one bucket could go by a manifest",
    ),
    "inputs of as many buckets": (
        script(inputs=tuple(an_input(source=f"s3://b{i}", destination=f"/opt/ml/processing/{i}") for i in range(11))),
        "inputs",
        f"{TOO_MANY}, has 12: 11 of yours and the script's own{ONE_MANIFEST}, and there are too many buckets",
    ),
    "an input that would be in a manifest": (
        script(
            inputs=tuple(
                an_input(source=f"s3://raw/{'x' * 1024 * (i == 7)}", destination=f"/opt/ml/processing/{i}")
                for i in range(12)
            )
        ),
        "inputs[7].source",
        "must have at most 1024 characters, has 1033",
    ),
    "outputs": (
        definition(outputs=tuple(an_output(source=f"/opt/ml/processing/{i}") for i in range(11))),
        "outputs",
        "must have at most 10 items, has 11",
    ),
    "preferences": (
        definition(
            instance_type=None,
            instance_preferences=tuple(InstancePreference(f"ml.m5.{size}") for size in SIZES),
        ),
        "instance_preferences",
        "must have 1 to 5 items, has 6",
    ),
    "security groups": (
        definition(network_config=NetworkConfig(security_group_ids=["sg-1"] * 6, subnets=["subnet-1"])),
        "network_config.security_group_ids",
        "must have 1 to 5 items, has 6",
    ),
    "subnets missing": (
        definition(network_config=NetworkConfig(security_group_ids=["sg-1"])),
        "network_config.subnets",
        "is required",
    ),
    # kinds
    "environment that is a list": (definition(env=["A=1"]), "env", "must be a dict, not list"),
    "experiment that is a list": (definition(experiment_config=["e"]), "experiment_config", "must be a dict, not list"),
    "network that is a string": (definition(network_config="vpc-1"), "network_config", "must be a dict, not str"),
    "code that is a Path": (script(code=PurePosixPath("run.py")), "code", "must be a string, not PurePosixPath"),
    # lengths
    "image length": (definition(image_uri="x" * 256), "image_uri", "must have at most 255 characters, has 256"),
    "argument length": (
        definition(arguments=["x", "x" * 257]),
        "arguments[1]",
        f"must have at most 256 characters, has 257{OWN_ENTRYPOINT}",
    ),
    "argument that no command is started with": (
        script(arguments=["x" * 128 * 1024]),
        "arguments[0]",
        "has over 131,071 bytes, and Linux starts no command with it: use an input",
    ),
    "argument lines": (definition(arguments=["a\nb"]), "arguments[0]", "must match .*"),
    "script length": (
        script(code=f"s3://code/{'x' * 250}.py"),
        "code",
        "must have at most 256 characters, has 283",
    ),
    "script name length": (
        script(code="s3://code/", script_name="x" * 250),
        "script_name",
        "must have at most 256 characters, has 280",
    ),
    "command length": (script(command=["x" * 257]), "command[0]", "must have at most 256 characters, has 257"),
    "variable": (
        definition(env={"A": "x" * 257}),
        "env['A']",
        f"must have at most 256 characters, has 257{MORE_SETTINGS}",
    ),
    "variable's name": (definition(env={"A b": ""}), "env key 'A b'", "must match [a-zA-Z_][a-zA-Z0-9_]*"),
    "tag key": (definition(tags=[{"Key": "a#", "Value": ""}]), "tags[0].key", TAG_PATTERN),
    "tag value": (definition(tags=[{"Key": "a", "Value": "❤"}]), "tags[0].value", TAG_PATTERN),
    "tag without value": (definition(tags=[{"Key": "a"}]), "tags[0].value", "is required"),
    "tag's third field": (
        definition(tags=[{"Key": "a", "Value": "", "Extra": ""}]),
        "tags[0].extra",
        "is unknown; known are Key, Value",
    ),
    "volume key": (definition(volume_kms_key="a b"), "volume_kms_key", "must match [a-zA-Z0-9:/_-]*"),
    "output key": (
        definition(outputs=(an_output(),), output_kms_key="a b"),
        "output_kms_key",
        "must match [a-zA-Z0-9:/_-]*",
    ),
    "experiment": (
        definition(experiment_config={"ExperimentName": "a b"}),
        "experiment_config.experiment_name",
        "must match [a-zA-Z0-9](-*[a-zA-Z0-9]){0,119}",
    ),
    # enums
    "data type": (
        definition(inputs=(an_input(s3_data_type="Table"),)),
        "inputs[0].s3_data_type",
        "must be one of ManifestFile, S3Prefix",
    ),
    "input mode": (
        definition(inputs=(an_input(s3_input_mode="FIFO"),)),
        "inputs[0].s3_input_mode",
        "must be one of Pipe, File",
    ),
    "distribution": (
        definition(inputs=(an_input(s3_data_distribution_type="Half"),)),
        "inputs[0].s3_data_distribution_type",
        "must be one of FullyReplicated, ShardedByS3Key",
    ),
    "compression": (
        definition(inputs=(an_input(s3_compression_type="Zip"),)),
        "inputs[0].s3_compression_type",
        "must be one of None, Gzip",
    ),
    "upload mode": (
        definition(outputs=(an_output(s3_upload_mode="Later"),)),
        "outputs[0].s3_upload_mode",
        "must be one of Continuous, EndOfJob",
    ),
    "query format": (
        definition(inputs=(query(athena_dataset_definition={**vars(ATHENA), "output_format": "XLS"}),)),
        "inputs[0].dataset_definition.athena_dataset_definition.output_format",
        "must be one of PARQUET, ORC, AVRO, JSON, TEXTFILE",
    ),
}
