"""What Processor and run take, apart from inputs and outputs."""

from __future__ import annotations

from typing import Any

from tests.parity.case import Case, network_config, processing_output

KEY = "arn:aws:kms:us-west-2:123456789012:key/12345678-1234-1234-1234-123456789012"
VPC: dict[str, Any] = {"security_group_ids": ["sg-1", "sg-2"], "subnets": ["subnet-b", "subnet-a"]}
EXPERIMENT = {"ExperimentName": "exp", "TrialName": "trial", "TrialComponentDisplayName": "shown"}


def _with(name: str, **init: Any) -> Case:
    return Case(name=name, init=init)


CASES = (
    Case(name="nothing but what is required"),
    _with("many instances", instance_count=20, instance_type="ml.c5.18xlarge"),
    _with("volume size", volume_size_in_gb=500),
    _with("volume key", volume_kms_key=KEY),
    _with("entrypoint", entrypoint=["python3", "-m", "module"]),
    _with("maximum runtime", max_runtime_in_seconds=3600),
    _with("environment", env={"B": "2", "A": "1", "EMPTY": ""}),
    _with("empty environment", env={}),
    _with("tags as a dictionary", tags={"team": "data", "cost-centre": "7"}),
    _with("tags as a dictionary with values that aren't strings", tags={"number": 7, "flag": True}),
    _with("tags as a list", tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}]),
    _with("network: nothing said", network_config=network_config()),
    _with("network: isolated", network_config=network_config(enable_network_isolation=True)),
    _with("network: not isolated", network_config=network_config(enable_network_isolation=False)),
    _with("network: encrypted", network_config=network_config(encrypt_inter_container_traffic=True)),
    _with("network: explicitly not encrypted", network_config=network_config(encrypt_inter_container_traffic=False)),
    _with("network: VPC", network_config=network_config(**VPC)),
    _with(
        "network: everything",
        network_config=network_config(enable_network_isolation=True, encrypt_inter_container_traffic=True, **VPC),
    ),
    Case(name="arguments", runs=({"arguments": ["--rows", "10", "--name", "a b", "ü"]},)),
    Case(name="experiment", runs=({"experiment_config": EXPERIMENT},)),
    Case(name="part of an experiment", runs=({"experiment_config": {"ExperimentName": "exp"}},)),
    Case(name="empty experiment", runs=({"experiment_config": {}},)),
    Case(
        name="output key",
        init={"output_kms_key": KEY},
        runs=({"outputs": [processing_output(source="/opt/ml/processing/out", destination="s3://mine/out")]},),
    ),
    _with("output key without outputs", output_kms_key=KEY),
    Case(name="empty lists of inputs and outputs", runs=({"inputs": [], "outputs": []},)),
    Case(name="two runs of a processor", runs=({"job_name": "first"}, {"job_name": "second"})),
    Case(name="waited for", runs=({"wait": True},)),
    Case(
        name="everything at once",
        init={
            "entrypoint": ["run"],
            "volume_size_in_gb": 1,
            "volume_kms_key": KEY,
            "output_kms_key": KEY,
            "max_runtime_in_seconds": 60,
            "base_job_name": "all",
            "env": {"A": "1"},
            "tags": {"a": "1"},
            "network_config": network_config(**VPC),
        },
        runs=(
            {
                "arguments": ["x"],
                "experiment_config": EXPERIMENT,
                "outputs": [processing_output(source="/opt/ml/processing/out", destination="s3://mine/out")],
                "kms_key": KEY,
            },
        ),
    ),
)
