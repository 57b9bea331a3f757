"""An account that enforces IAM policies."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.local import LocalSageMaker
from airflow_sm_processing.local.faults import Call, Fault, Faults

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEEDED = {
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListObjects": "s3:ListBucket",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject",
    "s3:CompleteMultipartUpload": "s3:PutObject",
}
"""The actions that S3 requires, where their names differ from the operations'."""
_TAG = "sagemaker:AddTags"
_FREE = {"sts:GetCallerIdentity"}  # https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html


class Guard(Faults):
    """Denies what a policy doesn't allow, as AWS would; notes what was allowed and what was denied."""

    def __init__(self) -> None:
        super().__init__()
        self.policy: dict[str, Any] | None = None
        self.used: set[str] = set()
        self.denied: set[str] = set()
        self._refused_tags_of: set[str | None] = set()

    def for_call(self, call: Call) -> list[Fault]:
        asked = self._asked(call)
        refused = [action for action in asked if not self._allows(action, call)]
        self.denied.update(refused)
        if refused:
            message = f"User is not authorized to perform: {', '.join(refused)}"
            return [Fault(error="AccessDeniedException", message=message, status=403)]
        self.used.update(asked)
        return super().for_call(call)

    def _asked(self, call: Call) -> list[str]:
        """Return what AWS looks for; sagemaker:AddTags only where there are tags, which a second request is without."""
        asked = _actions(call)
        if _TAG in asked and not self._allows(_TAG, call):
            if call.job in self._refused_tags_of:
                asked.remove(_TAG)
            self._refused_tags_of ^= {call.job}
        return asked

    def _allows(self, action: str, call: Call) -> bool:
        if self.policy is None:
            return True
        statements = [item for item in self.policy["Statement"] if action in item["Action"]]
        patterns = [resource for item in statements for resource in item["Resource"]]
        if action == "iam:PassRole":
            return any(fnmatchcase(str(call.role), pattern) for pattern in patterns)
        if call.job is not None:
            arn = f"arn:aws:sagemaker:us-east-1:123456789012:processing-job/{call.job}"
            return any(fnmatchcase(arn, pattern) for pattern in patterns)
        return bool(patterns)


def _actions(call: Call) -> list[str]:
    """Return what AWS looks for in a caller's policies when this is called."""
    action = f"{call.service}:{call.operation}"
    if action in _FREE or call.operation == "RunProcessingJob":
        return []
    making = [_TAG, "iam:PassRole"] if call.operation == "CreateProcessingJob" else []
    return [_NEEDED.get(action, action), *making]


@pytest.fixture
def guard() -> Guard:
    return Guard()


@pytest.fixture
def guarded(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalSageMaker]:
    """A local SageMaker behind the guard, to which boto3 and the connection `aws_default` lead."""
    server = LocalSageMaker(stop_grace=2)
    server._faults = guard
    with server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        yield server
