"""The SDK's files of defaults: what an author leaves open, and what the author's own values win over."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

from tests.parity.case import Case, Refused, network_config, processing_output

ROLE = "arn:aws:iam::123456789012:role/Default"
TAGS = [{"Key": "team", "Value": "platform"}, {"Key": "cost-centre", "Value": "7"}]
VPC = {"SecurityGroupIds": ["sg-0123"], "Subnets": ["subnet-0123", "subnet-4567"]}
SECTIONS: dict[str, dict[str, Any]] = {
    "a role": {"RoleArn": ROLE},
    "an environment": {"Environment": {"STAGE": "test", "EMPTY": ""}},
    "tags": {"Tags": TAGS},
    "isolation": {"NetworkConfig": {"EnableNetworkIsolation": True}},
    "no isolation": {"NetworkConfig": {"EnableNetworkIsolation": False}},
    "encrypted traffic": {"NetworkConfig": {"EnableInterContainerTrafficEncryption": True}},
    "a VPC": {"NetworkConfig": {"VpcConfig": VPC}},
    "all of the network": {
        "NetworkConfig": {
            "EnableNetworkIsolation": True,
            "EnableInterContainerTrafficEncryption": True,
            "VpcConfig": VPC,
        }
    },
    "a key of outputs": {"ProcessingOutputConfig": {"KmsKeyId": "output-key"}},
    "a key of volumes": {"ProcessingResources": {"ClusterConfig": {"VolumeKmsKeyId": "volume-key"}}},
}
GIVEN: dict[str, dict[str, Any]] = {
    "nothing": {"role": None},
    "everything": {
        "env": {"MINE": "1"},
        "tags": [{"Key": "team", "Value": "mine"}],
        "network_config": network_config(enable_network_isolation=False, subnets=["mine"], security_group_ids=["sg-m"]),
        "output_kms_key": "mine",
        "volume_kms_key": "mine",
    },
    "a network without a VPC": {"network_config": network_config(encrypt_inter_container_traffic=False)},
}
OUTPUTS = (
    {"outputs": [processing_output(source="/opt/ml/processing/out", output_name="out", destination="s3://b/o")]},
)


def _file(section: dict[str, Any]) -> str:
    """Return the text of a `config.yaml`; JSON is YAML."""
    return json.dumps({"SchemaVersion": "1.0", "SageMaker": {"ProcessingJob": section}})


def _environment(admin: str = "none.yaml", user: str = "none.yaml") -> dict[str, str]:
    return {
        "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": f"{{folder}}/{admin}",
        "SAGEMAKER_USER_CONFIG_OVERRIDE": f"{{folder}}/{user}",
    }


def _case(name: str, *, admin: dict[str, Any] | None = None, user: dict[str, Any] | None = None, **more: Any) -> Case:
    files = {"none.yaml": _file({}), "admin.yaml": _file(admin or {}), "user.yaml": _file(user or {})}
    return Case(
        name=f"defaults: {name}",
        files=files,
        environment=_environment("admin.yaml", "user.yaml"),
        **{"runs": OUTPUTS, **more},
    )


def _with_role(section: dict[str, Any]) -> dict[str, Any]:
    return {"RoleArn": ROLE, **section}


CASES = (
    *(
        _case(f"{name}, and the author gives {given}", user=_with_role(section), init=init)
        for (name, section), (given, init) in product(SECTIONS.items(), GIVEN.items())
    ),
    _case(
        "the user's file over the administrator's",
        admin={"RoleArn": f"{ROLE}OfTheAdmin"},
        user={"RoleArn": ROLE},
        init=GIVEN["nothing"],
    ),
    _case("two files that complement each other", admin=SECTIONS["a VPC"], user=_with_role(SECTIONS["isolation"])),
    _case("tags of both files", admin={"Tags": TAGS[:1]}, user={"Tags": TAGS[1:]}),
    _case("environments of both files", admin={"Environment": {"A": "1"}}, user={"Environment": {"B": "2"}}),
    _case("an empty environment of the author's", user=SECTIONS["an environment"], init={"env": {}}),
    _case("a job without outputs", user=SECTIONS["a key of outputs"], runs=({},)),
    _case("no role anywhere", init={"role": None}, refused=Refused("ValueError", "ValueError")),
    _case("a key that isn't known", user={"Role": ROLE}, refused=Refused("ValidationError", "ValueError")),
    _case("a role that is a number", user={"RoleArn": 7}, refused=Refused("ValidationError", "ValueError")),
    Case(
        name="defaults: a folder with a file in it",
        files={"settings/config.yaml": _file(SECTIONS["a role"]), "none.yaml": _file({})},
        environment=_environment(user="settings"),
        init=GIVEN["nothing"],
    ),
    Case(
        name="defaults: a file that isn't there",
        files={"none.yaml": _file({})},
        environment=_environment(user="absent.yaml"),
        refused=Refused("ValueError", "ValueError"),
    ),
    Case(
        name="defaults: a script's",
        processor="ScriptProcessor",
        files={"none.yaml": _file({}), "user.yaml": _file(_with_role(SECTIONS["an environment"])), "script.py": "1"},
        environment=_environment(user="user.yaml"),
        init=GIVEN["nothing"],
        runs=({"code": "script.py"},),
    ),
)
