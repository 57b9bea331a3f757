"""A case: what a user writes and finds, described without either library."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from .endpoint.account import Account, Bucket

if TYPE_CHECKING:
    from collections.abc import Mapping

Described = dict[str, Any]
"""An object of the vocabulary: `$` names its class, the rest are its keyword arguments."""

ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"
IMAGE = "123456789012.dkr.ecr.us-west-2.amazonaws.com/sklearn:1.2-1"
FOLDER = "{folder}"
"""Used in a case for the absolute path of the folder with its files."""


_VERSION = {"framework_version": "2.0"}
OWN: dict[str, Described] = {
    "ScriptProcessor": {"command": ["python3"]},
    "HuggingFaceProcessor": {"transformers_version": "4", "pytorch_version": "2"},
    **dict.fromkeys(("PyTorchProcessor", "TensorFlowProcessor", "XGBoostProcessor", "MXNetProcessor"), _VERSION),
}
"""What a processor requires in addition to what all processors require."""


class Refused(NamedTuple):
    """The class of the error that each side raises, or a base of it."""

    sdk: str
    ours: str


@dataclass(frozen=True, kw_only=True)
class Case:
    """Arguments for a processor and its runs, and the world that they meet."""

    name: str
    processor: str = "Processor"
    init: Described = field(default_factory=dict)
    runs: tuple[Described, ...] = ({},)
    session: Described = field(default_factory=dict)
    region: str = "us-west-2"
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    """Local files by their path relative to the working folder; one that ends with `/` is an empty folder."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Symbolic links and what they point to."""
    buckets: Mapping[str, Bucket] = field(default_factory=dict)
    denied: frozenset[str] = frozenset()
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of the process that runs the case; `{folder}` in them is replaced."""
    refused: Refused | None = None

    def account(self) -> Account:
        """Return a fresh AWS account as the case finds it."""
        return Account(buckets=dict(self.buckets), denied=self.denied)

    def order(self) -> dict[str, Any]:
        """Return the case as its worker reads it."""
        return {
            "processor": self.processor,
            "init": {**self._minimal(), **self.init},
            "runs": [{"wait": False, "logs": False, **run} for run in self.runs],
            "session": self.session,
            "region": self.region,
            "environment": dict(self.environment),
        }

    def _minimal(self) -> Described:
        required = {"role": ROLE, "image_uri": IMAGE, "instance_count": 1, "instance_type": "ml.m5.xlarge"}
        return required | OWN.get(self.processor, {})


def processing_input(**fields: Any) -> Described:
    return {"$": "ProcessingInput", **fields}


def processing_output(**fields: Any) -> Described:
    return {"$": "ProcessingOutput", **fields}


def s3_input(**fields: Any) -> Described:
    return {"$": "S3Input", **fields}


def dataset_definition(**fields: Any) -> Described:
    return {"$": "DatasetDefinition", **fields}


def athena(**fields: Any) -> Described:
    return {"$": "AthenaDatasetDefinition", **fields}


def redshift(**fields: Any) -> Described:
    return {"$": "RedshiftDatasetDefinition", **fields}


def network_config(**fields: Any) -> Described:
    return {"$": "NetworkConfig", **fields}


def feature_store_output(**fields: Any) -> Described:
    return {"$": "FeatureStoreOutput", **fields}
