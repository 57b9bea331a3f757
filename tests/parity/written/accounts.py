"""Roles, the default bucket, and what an account refuses."""

from __future__ import annotations

from typing import Any

from tests.parity.case import Case, Refused, processing_output
from tests.parity.endpoint.account import FOREIGN_ID, Bucket

OUTPUT = {"outputs": [processing_output(source="/opt/ml/processing/out")]}
DEFAULT = "sagemaker-us-west-2-123456789012"


def _using_bucket(name: str, **more: Any) -> Case:
    code = {"code": "script.py", **OUTPUT}
    files = {"script.py": "print(1)"}
    return Case(name=f"bucket: {name}", processor="ScriptProcessor", runs=(code,), files=files, **more)


CASES = (
    Case(name="role by its ARN", init={"role": "arn:aws:iam::123456789012:role/SageMakerRole"}),
    Case(name="role by the ARN of one with a path", init={"role": "arn:aws:iam::123456789012:role/service-role/R"}),
    Case(name="role by its name", init={"role": "SageMakerRole"}),
    Case(
        name="role that IAM won't show",
        init={"role": "Hidden"},
        denied=frozenset({"GetRole Hidden"}),
        refused=Refused("ClientError", "AccessDeniedError"),
    ),
    Case(name="SageMaker client of one's own", session={"own_sagemaker_client": True}),
    Case(name="role missing", init={"role": ""}, refused=Refused("ValueError", "ValueError")),
    _using_bucket("created outside us-east-1"),
    _using_bucket("created in us-east-1", region="us-east-1"),
    _using_bucket("created in another region", region="eu-central-1"),
    _using_bucket("there already", buckets={DEFAULT: Bucket()}),
    _using_bucket(
        "there already, and buckets can't be listed", buckets={DEFAULT: Bucket()}, denied=frozenset({"ListBuckets"})
    ),
    _using_bucket(
        "created though buckets can't be listed",
        denied=frozenset({"ListBuckets"}),
    ),
    _using_bucket(
        "there already, with a prefix", buckets={DEFAULT: Bucket()}, session={"default_bucket_prefix": "team"}
    ),
    _using_bucket(
        "somebody else's",
        buckets={DEFAULT: Bucket(owner=FOREIGN_ID)},
        refused=Refused("ClientError", "BucketError"),
    ),
    _using_bucket(
        "somebody else's, open to everybody",
        buckets={DEFAULT: Bucket(owner=FOREIGN_ID, shared=True)},
        refused=Refused("ClientError", "BucketError"),
    ),
    _using_bucket(
        "somebody else's, open to everybody, with a prefix",
        buckets={DEFAULT: Bucket(owner=FOREIGN_ID, shared=True)},
        session={"default_bucket_prefix": "team"},
        refused=Refused("ClientError", "BucketError"),
    ),
    _using_bucket(
        "can't be created",
        denied=frozenset({"CreateBucket"}),
        refused=Refused("ClientError", "BucketError"),
    ),
    _using_bucket("chosen", session={"default_bucket": "mine"}, buckets={"mine": Bucket()}),
    _using_bucket(
        "chosen, of another account that shares it",
        session={"default_bucket": "theirs"},
        buckets={"theirs": Bucket(owner=FOREIGN_ID, shared=True)},
    ),
    _using_bucket(
        "chosen, with a prefix",
        session={"default_bucket": "mine", "default_bucket_prefix": "team/x"},
        buckets={"mine": Bucket()},
    ),
    Case(
        name="job that SageMaker refuses",
        denied=frozenset({"CreateProcessingJob"}),
        refused=Refused("ClientError", "ProcessingError"),
    ),
)
