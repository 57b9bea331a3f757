"""Buckets and roles: no permission or bucket more than the job needs."""

from __future__ import annotations

from typing import Any

from tests.parity.case import Case, feature_store_output, processing_output
from tests.parity.difference import Difference, bucket_created, left_behind, outcome
from tests.parity.endpoint.account import Bucket

SCRIPT = {"script.py": "print(1)", "src/main.py": "print(2)", "src/helper.py": ""}


def _case(name: str, **run: Any) -> Case:
    return Case(name=name, runs=(run,))


def _script(name: str, code: str, **more: Any) -> Case:
    run = {"code": code, **more.pop("run", {})}
    return Case(name=name, processor="ScriptProcessor", runs=(run,), files={**SCRIPT, **more.pop("files", {})}, **more)


DIFFERENCES = (
    Difference(
        case=_script(
            "default bucket that is missing, with a prefix", "script.py", session={"default_bucket_prefix": "team"}
        ),
        reason="the SDK looks for the prefix's objects, and takes the bucket's absence for an error",
        see=bucket_created,
        sdk=("NoSuchBucket", False),
        ours=("created", True),
    ),
    Difference(
        case=_script("chosen bucket that is missing", "script.py", session={"default_bucket": "mine"}),
        reason="a chosen bucket needs no permission to list or create buckets; a misspelt one isn't created",
        see=bucket_created,
        sdk=("created", True),
        ours=("BucketError", False),
    ),
    Difference(
        case=_script(
            "chosen bucket, and buckets can't be listed or looked at",
            "script.py",
            session={"default_bucket": "mine"},
            buckets={"mine": Bucket()},
            denied=frozenset({"ListBuckets", "HeadBucket"}),
        ),
        reason="a chosen bucket needs no permission to list or create buckets",
        see=outcome,
        sdk="ClientError",
        ours="created",
    ),
    Difference(
        case=_case(
            "output that is for the Feature Store alone",
            outputs=[
                processing_output(
                    app_managed=True, feature_store_output=feature_store_output(feature_group_name="customers")
                )
            ],
        ),
        reason="the SDK creates a default bucket that nothing uses",
        see=bucket_created,
        sdk=("created", True),
        ours=("created", False),
    ),
    Difference(
        case=_script(
            "role that IAM won't show", "script.py", init={"role": "Hidden"}, denied=frozenset({"GetRole Hidden"})
        ),
        reason="the role is looked up before the uploads",
        see=left_behind,
        sdk=("ClientError", 1),
        ours=("AccessDeniedError", 0),
    ),
)
