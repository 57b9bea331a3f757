"""Code and inputs that are local files and folders."""

from __future__ import annotations

from typing import Any

from tests.parity.case import FOLDER, Case, processing_input
from tests.parity.endpoint.account import Bucket

AT = "/opt/ml/processing/input/data"
KEY = "alias/uploads"
MINE: dict[str, Any] = {"session": {"default_bucket": "mine"}, "buckets": {"mine": Bucket()}}
TREE = {
    "data/top.csv": "top",
    "data/.hidden": "hidden",
    "data/deep/er/leaf.csv": "leaf",
    "data/deep/er/leaf2.csv": "leaf2",
    "data/with space/ü + & %20.csv": "odd",
    "data/empty file": "",
}


def _reading(name: str, source: str, **more: Any) -> Case:
    run = {"inputs": [processing_input(source=source, destination=AT)], **more.pop("run", {})}
    return Case(name=f"upload: {name}", runs=(run,), **more)


def _running(name: str, code: str, **more: Any) -> Case:
    files = {"script.py": "print(1)", **more.pop("files", {})}
    run = {"code": code, **more.pop("run", {})}
    return Case(name=f"code: {name}", processor="ScriptProcessor", runs=(run,), files=files, **more)


CASES = (
    _reading("file", "data/top.csv", files=TREE),
    _reading("file by its absolute path", f"{FOLDER}/data/top.csv", files=TREE),
    _reading("file with an odd name", "data/with space/ü + & %20.csv", files=TREE),
    _reading("file with a number sign and a question mark", "a#b?c.csv", files={"a#b?c.csv": "x"}),
    _reading("folder", "data", files=TREE),
    _reading("folder with a slash at the end", "data/", files=TREE),
    _reading("folder by its absolute path", f"{FOLDER}/data", files=TREE),
    _reading("folder with an odd name", "data/with space", files=TREE),
    _reading("empty file", "data/empty file", files=TREE),
    _reading("file behind a link", "link.csv", files=TREE, links={"link.csv": "data/top.csv"}),
    _reading("file in parts", "big.bin", files={"big.bin": bytes(range(256)) * 4 * 9000}),
    _reading("with a key", "data/top.csv", files=TREE, run={"kms_key": KEY}),
    _reading("folder with a key", "data", files=TREE, run={"kms_key": KEY}),
    _reading("into a chosen bucket", "data/top.csv", files=TREE, **MINE),
    _reading(
        "under a prefix with odd slashes",
        "data/top.csv",
        files=TREE,
        session={"default_bucket": "mine", "default_bucket_prefix": "/team//x/"},
        buckets={"mine": Bucket()},
    ),
    Case(
        name="upload: S3Input with a local path",
        files=TREE,
        runs=({"inputs": [processing_input(s3_input={"$": "S3Input", "s3_uri": "data", "local_path": AT})]},),
    ),
    Case(
        name="upload: two inputs, and one in S3 between",
        files=TREE,
        runs=(
            {
                "inputs": [
                    processing_input(source="data/deep", destination=f"{AT}/1"),
                    processing_input(source="s3://mine/raw", destination=f"{AT}/2"),
                    processing_input(source="data/top.csv", destination=f"{AT}/3", input_name="top"),
                ]
            },
        ),
    ),
    _running("local", "script.py"),
    _running("by its absolute path", f"{FOLDER}/script.py"),
    _running("by a file URL", f"file://{FOLDER}/script.py"),
    _running("in a folder", "src/prepare.py", files={"src/prepare.py": "print(2)", "src/other.py": ""}),
    _running("with an odd name", "my scrüpt.py", files={"my scrüpt.py": "print(3)"}),
    _running("in S3", "s3://mine/code/script.py"),
    _running("with a key", "script.py", run={"kms_key": KEY}),
    _running("in a chosen bucket", "script.py", **MINE),
    _running("with another command", "script.py", init={"command": ["python3", "-u", "-X", "dev"]}),
    _running("with arguments", "script.py", run={"arguments": ["--a", "1"]}),
    _running(
        "after the inputs",
        "script.py",
        files=TREE,
        run={
            "inputs": [
                processing_input(source="s3://mine/raw", destination=AT),
                processing_input(source="data", destination=f"{AT}2"),
            ]
        },
    ),
    Case(
        name="code: two runs of a script, which make the bucket once",
        processor="ScriptProcessor",
        runs=({"code": "script.py", "job_name": "first"}, {"code": "other.py", "job_name": "second"}),
        files={"script.py": "print(1)", "other.py": "print(2)"},
    ),
)
