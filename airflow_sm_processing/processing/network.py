"""How a processing job's containers are connected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_sm_processing.processing.values import Value, as_list, value_object

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NetworkConfig"]


@value_object
class NetworkConfig(Value):
    """Network settings of a processing job (SageMaker: NetworkConfig)."""

    enable_network_isolation: bool | None = None
    """Whether the containers may make no network calls at all; False if not given."""
    security_group_ids: Sequence[str] | None = None
    """With `subnets`: the VPC that the containers are attached to."""
    subnets: Sequence[str] | None = None
    encrypt_inter_container_traffic: bool | None = None

    def to_boto(self) -> dict[str, Any]:
        """Give the settings as CreateProcessingJob takes them; an empty list counts as none."""
        request: dict[str, Any] = {"EnableNetworkIsolation": bool(self.enable_network_isolation)}
        if self.encrypt_inter_container_traffic is not None:
            request["EnableInterContainerTrafficEncryption"] = self.encrypt_inter_container_traffic
        vpc = {"SecurityGroupIds": self.security_group_ids, "Subnets": self.subnets}
        if given := {name: as_list(ids) for name, ids in vpc.items() if ids}:
            request["VpcConfig"] = given
        return request
