"""Definitions of jobs, most of them wrong in some way: the same ones on every machine."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.processing import (
    AthenaDatasetDefinition,
    DatasetDefinition,
    FeatureStoreOutput,
    InstancePreference,
    JobDefinition,
    NetworkConfig,
    ProcessingInput,
    ProcessingOutput,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/tools:1"
ROOT = "/opt/ml/processing"

_LONG = "x" * 257
_WORDS: Sequence[Any] = (["python3"], ["a", "b c"], [""], ["--name", ""], [_LONG], ["a\nb"], ["x"] * 101, ["ü"], [" "])
_NAMES: Sequence[Any] = (None, None, None, "data", "train", "code", "input-1", "output-1", "output-2", "x" * 65, "a b")
_INNER_PATHS = ("in/0", "in/0/a", "in", "out/0", "out/1", "out/0/a", "input/code/a")
_PATHS = ("in", "in/a", "in/b", "input", "input/code", "out", "out/a", "out/b", "/", "/data", "../x", "x/../y", "")
_TAG_KEYS = ("team", "aws:x", "AWS:team", "Aws:x", "awsx", "x:aws:", "équipe", "데이터 ²", "a#", "x" * 129, "")
_PREFERENCES = (
    (InstancePreference("ml.m5.large"), InstancePreference("ml.m5.xlarge")),
    (InstancePreference("ml.m5.large", 2), InstancePreference("ml.m5.xlarge", 1)),
    (InstancePreference("ml.m5.large", 2), InstancePreference("ml.m5.xlarge")),
    (InstancePreference("ml.m5.large"), InstancePreference("ml.m5.large")),
)
_SCALARS: Mapping[str, Sequence[Any]] = {
    "role": (f"{ROLE}2", "bad role/x", "arn:aws:iam::1:role/x"),
    "image_uri": ("tools", "my image", " tools", "x" * 256, ""),
    "instance_count": (0, 2, 100, 101, None),
    "instance_type": ("ml.m5.large", "ml.m5.huge", None),
    "volume_size_in_gb": (0, 1, 16384, 16385),
    "volume_kms_key": ("alias/x", "a b", "k" * 2049),
    "output_kms_key": ("alias/x", "a b"),
    "max_runtime_in_seconds": (0, 1, 777600, 777601),
    "job_name": ("a_b", "-a", "a-", "x" * 64, ""),
    "arguments": _WORDS,
    "env": ({"A": ""}, {"A": "x" * 257}, {"A-B": "1"}, {"1": ""}, {f"A{n}": "" for n in range(101)}, {"": ""}),
    "experiment_config": ({"ExperimentName": "e"}, {"ExperimentName": "a b"}, {"TrialName": "x" * 121}),
    "network_config": (
        NetworkConfig(enable_network_isolation=True),
        NetworkConfig(subnets=["subnet-1"], security_group_ids=["sg-1"]),
        NetworkConfig(subnets=["subnet-1"]),
        NetworkConfig(subnets=["a b"], security_group_ids=["sg-1"]),
        NetworkConfig(subnets=["subnet-1"], security_group_ids=["sg"] * 6),
    ),
}


def generated(number: int, *, job_name: str, local_file: str) -> JobDefinition:
    """Return the definition of a number.

    Args:
        number: Which one.
        job_name: The job's name, where that isn't what is wrong.
        local_file: A file that local inputs and code may name.
    """
    chance = random.Random(number)  # repeatable, not secret
    fields: dict[str, Any] = {
        "role": ROLE,
        "image_uri": IMAGE,
        "instance_count": 1,
        "instance_type": "ml.m5.xlarge",
        "job_name": job_name,
        **_what_runs(chance, local_file),
    }
    for name in chance.sample([*_SCALARS], k=chance.choice([0, 0, 0, 1, 2])):
        fields[name] = chance.choice(_SCALARS[name])
    if chance.random() < 0.1:
        fields |= {
            "instance_preferences": chance.choice(_PREFERENCES),
            "instance_type": chance.choice([None, None, "ml.m5.large"]),
        }
    if chance.random() < 0.3:
        fields["tags"] = [{"Key": chance.choice(_TAG_KEYS), "Value": chance.choice(["", "v", "❤"])}]
    if chance.random() < 0.7:
        sources = ["s3://b/x", "s3://b/x/", "s3://b", "s3://", "s3:///x", f"s3://b/{'x' * 1024}", local_file]
        fields["inputs"] = tuple(
            _input(chance, sources, number) for number in range(chance.choice([1, 1, 1, 2, 3, 10, 11]))
        )
    if chance.random() < 0.7:
        fields["outputs"] = tuple(_output(chance, number) for number in range(chance.choice([1, 1, 2, 2, 3, 11])))
        if chance.random() < 0.1:
            fields["outputs"] += (ProcessingOutput(source=fields["outputs"][0].source, output_name="again"),)
    return JobDefinition(**fields)


def _what_runs(chance: random.Random, local_file: str) -> dict[str, Any]:
    if chance.random() < 0.5:
        return {"entrypoint": chance.choice([*_WORDS, *[["true"]] * 12, None])}
    script = {
        "code": chance.choice(["s3://b/run.py", local_file]),
        "command": chance.choice([*_WORDS, *[["python3"]] * 12]),
    }
    return {**script, "code": "s3://b/code/", "script_name": "run.py"} if chance.random() < 0.2 else script


def _input(chance: random.Random, sources: Sequence[str], number: int) -> ProcessingInput:
    odd = chance.random() < 0.12
    path = _path(chance) if odd else f"{ROOT}/in/{number}"
    name = chance.choice(_NAMES) if chance.random() < 0.2 else None
    if chance.random() < 0.03:
        query = AthenaDatasetDefinition("c", "d", "SELECT 1", "s3://b/q", "JSON")
        dataset = DatasetDefinition(local_path=path, athena_dataset_definition=query)
        return ProcessingInput(input_name=name, dataset_definition=dataset)
    more: dict[str, Any] = {}
    if chance.random() < 0.1:
        more["s3_input_mode"] = chance.choice(["File", "Pipe", "FIFO", None])
        more["s3_compression_type"] = chance.choice(["None", "Gzip", "Zip", None])
    if chance.random() < 0.1:
        more["s3_data_type"] = chance.choice(["S3Prefix", "ManifestFile", "Folder"])
        more["s3_data_distribution_type"] = chance.choice(["ShardedByS3Key", "Half"])
    if chance.random() < 0.2:
        more["app_managed"] = True
        path = chance.choice([path, None])
    source = chance.choice(sources) if chance.random() < 0.08 else sources[0]
    return ProcessingInput(source=source, destination=path, input_name=name, **more)


def _output(chance: random.Random, number: int) -> ProcessingOutput:
    odd = chance.random() < 0.12
    more: dict[str, Any] = {"source": _path(chance) if odd else f"{ROOT}/out/{number}"}
    if chance.random() < 0.1:
        more["destination"] = chance.choice([None, "s3://b/out", "s3://b/out/", "s3://", f"s3://b/{'x' * 1024}"])
    if chance.random() < 0.2:
        more["output_name"] = chance.choice(_NAMES)
    if chance.random() < 0.1:
        more["s3_upload_mode"] = chance.choice(["Continuous", "Later"])
    if chance.random() < 0.1:
        more |= {"app_managed": True, "feature_store_output": FeatureStoreOutput(chance.choice(["group", "a b"]))}
        more["source"] = chance.choice([None, more["source"]])
    return ProcessingOutput(**more)


def _path(chance: random.Random) -> str:
    if chance.random() < 0.7:
        return f"{ROOT}/{chance.choice(_INNER_PATHS)}"
    path = chance.choice(_PATHS)
    return chance.choice(
        [f"{ROOT}/{path}", f"{ROOT}/{path}/", path, f"/opt/ml/{path}", f"{ROOT}2/{path}", "/" + "x" * 256]
    )
