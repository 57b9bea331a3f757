from __future__ import annotations

import pytest

from airflow_sm_processing.processing import NetworkConfig


@pytest.mark.parametrize(
    ("config", "request_part"),
    [
        (NetworkConfig(), {"EnableNetworkIsolation": False}),
        (NetworkConfig(enable_network_isolation=True), {"EnableNetworkIsolation": True}),
        (
            NetworkConfig(encrypt_inter_container_traffic=False),
            {"EnableNetworkIsolation": False, "EnableInterContainerTrafficEncryption": False},
        ),
        (
            NetworkConfig(security_group_ids=("sg-1",), subnets=["subnet-1", "subnet-2"]),
            {
                "EnableNetworkIsolation": False,
                "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1", "subnet-2"]},
            },
        ),
        (NetworkConfig(security_group_ids=[], subnets=[]), {"EnableNetworkIsolation": False}),
    ],
)
def test_only_what_was_given_is_sent(config: NetworkConfig, request_part: dict[str, object]) -> None:
    assert config.to_boto() == request_part
