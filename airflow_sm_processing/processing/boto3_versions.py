"""What boto3 brought after the oldest version that is supported; with an older one, the rest works."""

from __future__ import annotations

import re

__all__ = ["may_be_newer_instance_type", "needs_newer_boto3"]

_FIRST_VERSIONS = {  # found by looking into the versions of botocore, which has boto3's numbers
    "DeleteProcessingJob": "1.40.61",
    "InstancePreferences": "1.43.90",
}
_CURRENT = (1, 44)  # its model has every instance type that this package was checked against
_INSTANCE_TYPE = re.compile(r"ml\.[a-z]+[0-9]+[a-z]*(-[a-z]+)?\.(medium|large|[0-9]*xlarge)")


def needs_newer_boto3(feature: str) -> str | None:
    """Return what to say of a feature that the installed boto3 lacks; None if no version is known that brings it."""
    import boto3

    first = _FIRST_VERSIONS.get(feature)
    return first and f"needs boto3 {first} or newer; boto3 {boto3.__version__} is installed"


def may_be_newer_instance_type(value: str) -> bool:
    """Return whether SageMaker may have an instance type that the model of an older boto3 lacks.

    botocore sends values that its model doesn't list, so the service can decide.
    """
    import boto3

    installed = tuple(int(part) for part in re.findall(r"\d+", boto3.__version__)[:2])
    return installed < _CURRENT and _INSTANCE_TYPE.fullmatch(value) is not None
