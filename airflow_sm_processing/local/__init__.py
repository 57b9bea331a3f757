"""A SageMaker on loopback that really runs processing and training jobs, with moto's S3, STS, IAM and CloudWatch Logs.

    with LocalSageMaker() as sagemaker:
        s3 = sagemaker.client("s3")
        os.environ.update(sagemaker.environment())

`docs/local-sagemaker.md` says what it does, what it refuses and how it keeps the machine safe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_sm_processing.local.faults import Fault
    from airflow_sm_processing.local.server import LocalSageMaker

__all__ = ["Fault", "LocalSageMaker"]


def __getattr__(name: str) -> object:
    # Loading moto takes a second: `airflow-sm-local --help` and the sandbox's helper don't pay for it.
    if name == "LocalSageMaker":
        from airflow_sm_processing.local.server import LocalSageMaker

        return LocalSageMaker
    if name == "Fault":
        from airflow_sm_processing.local.faults import Fault

        return Fault
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
