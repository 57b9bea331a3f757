"""Spark's processors: what isn't sent, what is refused, and how it is encrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.parity.case import FOLDER, Case
from tests.parity.difference import Difference, left_behind, outcome

if TYPE_CHECKING:
    from tests.parity.wire import Wire

FILES = {"app.py": "print(1)", "lib/a.py": "a", "other/a.py": "b"}
NESTED = {
    "Classification": "spark-env",
    "Properties": {},
    "Configurations": [{"Classification": "no-such", "Properties": {}}],
}


def _case(name: str, run: dict[str, Any], **more: Any) -> Case:
    files = {**FILES, **more.pop("files", {})}
    return Case(name=name, processor="PySparkProcessor", runs=({"submit_app": "app.py", **run},), files=files, **more)


def _keys(wire: Wire) -> list[str]:
    return sorted(key.partition("/input/")[2] for _, key in wire.account.objects)


def _encrypted(wire: Wire) -> dict[str, str]:
    header = "x-amz-server-side-encryption-aws-kms-key-id"
    return {
        key.rpartition("/")[2]: stored.headers.get(header, "none") for (_, key), stored in wire.account.objects.items()
    }


DIFFERENCES = (
    Difference(
        case=_case(
            "what Spark is given, encrypted",
            {
                "submit_files": ["lib/a.py"],
                "configuration": {"Classification": "spark-defaults", "Properties": {}},
                "kms_key": "alias/data",
            },
        ),
        reason="the SDK encrypts the application alone with the key that it is given",
        see=_encrypted,
        sdk={"a.py": "none", "configuration.json": "none", "app.py": "alias/data"},
        ours={"a.py": "alias/data", "configuration.json": "alias/data", "app.py": "alias/data"},
    ),
    Difference(
        case=_case(
            "a Spark application's package with what nobody means to send",
            {"submit_py_files": ["lib"]},
            files={"lib/.git/config": "", "lib/__pycache__/a.pyc": "", "lib/.env": "KEY=1"},
        ),
        reason="a history and secrets don't belong in a job; secrets are named in the log",
        see=_keys,
        sdk=[
            "code/app.py",
            "py-files/lib/.env",
            "py-files/lib/.git/config",
            "py-files/lib/__pycache__/a.pyc",
            "py-files/lib/a.py",
        ],
        ours=["code/app.py", "py-files/lib/a.py"],
    ),
    Difference(
        case=_case("two of Spark's files of one name", {"submit_files": ["lib/a.py", "other/a.py"]}),
        reason="the SDK sends the second one alone, and says nothing",
        see=left_behind,
        sdk=("created", 2),
        ours=("DefinitionError", 0),
    ),
    Difference(
        case=_case("two of Spark's folders of one name", {"submit_files": ["lib", f"{FOLDER}/lib"]}),
        reason="the same mistake, said as one",
        see=outcome,
        sdk="FileExistsError",
        ours="DefinitionError",
    ),
    Difference(
        case=_case("a Spark file by its file URI", {"submit_files": [f"file://{FOLDER}/lib/a.py"]}),
        reason="the SDK takes such a URI for the application, and not for files",
        see=outcome,
        sdk="ValueError",
        ours="created",
    ),
    Difference(
        case=_case("Spark's empty folder", {"submit_files": ["empty"]}, files={"empty/": ""}),
        reason="the job would fail when SageMaker finds nothing at the input's place",
        see=left_behind,
        sdk=("created", 1),
        ours=("DefinitionError", 0),
    ),
    Difference(
        case=_case("a Spark file in S3 with a comma", {"submit_files": ["s3://mine/a,b.csv"]}),
        reason="Spark would look for two files",
        see=outcome,
        sdk="created",
        ours="DefinitionError",
    ),
    Difference(
        case=_case("a nested Spark classification that there isn't", {"configuration": NESTED}),
        reason="AWS's image refuses it when the job has started; the SDK looks at the outer ones only",
        see=outcome,
        sdk="created",
        ours="DefinitionError",
    ),
    Difference(
        case=_case("a Spark configuration that is no dict", {"configuration": "spark.executor.memory=2g"}),
        reason="the same, of a configuration that is no dict or list",
        see=outcome,
        sdk="created",
        ours="DefinitionError",
    ),
    Difference(
        case=_case("Spark's mistakes, more than one", {"submit_files": ["lib/a.py"], "spark_event_logs_s3_uri": "x"}),
        reason="the SDK has uploaded files when it finds the mistake",
        see=left_behind,
        sdk=("ValueError", 1),
        ours=("DefinitionError", 0),
    ),
)
