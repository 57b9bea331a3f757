"""Source folders: what isn't sent, what is refused, and where things go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.parity.case import Case
from tests.parity.difference import Difference, left_behind, outcome
from tests.parity.endpoint.account import Bucket

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.parity.wire import Wire

FILES = {"src/main.py": "print(1)"}
SOURCE = {"code": "main.py", "source_dir": "src"}


def _case(name: str, run: dict[str, Any], **more: Any) -> Case:
    files = {**FILES, **more.pop("files", {})}
    return Case(name=name, processor="PyTorchProcessor", runs=({**SOURCE, **run},), files=files, **more)


def archived(wire: Wire) -> list[str]:
    """List the archive's files."""
    return sorted(wire.account.archives[0]) if wire.account.archives else []


def _key_ends(wire: Wire) -> list[str]:
    return sorted(f"{bucket}/{key.rpartition('/')[2]}" for bucket, key in wire.account.objects)


def _encrypted(*names: str) -> Callable[[Wire], Any]:
    return lambda wire: {
        key.rpartition("/")[2]: stored.headers.get("x-amz-server-side-encryption-aws-kms-key-id", "none")
        for (_, key), stored in wire.account.objects.items()
        if key.endswith(names)
    }


DIFFERENCES = (
    Difference(
        case=_case(
            "a source folder with what nobody means to send",
            {},
            files={"src/.git/config": "", "src/__pycache__/main.pyc": "", "src/.env": "KEY=1", "src/.venv/a": ""},
        ),
        reason="a history, an environment and secrets don't belong in a job; secrets are named in the log",
        see=archived,
        sdk=[".env", ".git/config", ".venv/a", "__pycache__/main.pyc", "main.py"],
        ours=["main.py"],
    ),
    Difference(
        case=_case("a source folder with ignore rules", {}, files={"src/a.csv": "", "src/.sagemakerignore": "*.csv"}),
        reason="gitignore's rules, in a file of their own",
        see=archived,
        sdk=[".sagemakerignore", "a.csv", "main.py"],
        ours=["main.py"],
    ),
    Difference(
        case=_case(
            "two files of one name in an archive", {"dependencies": ["lib/main.py"]}, files={"lib/main.py": "2"}
        ),
        reason="in the container, the second one takes the first one's place",
        see=outcome,
        sdk="created",
        ours="DefinitionError",
    ),
    Difference(
        case=_case("a source folder's key", {"kms_key": "alias/data"}),
        reason="the SDK encrypts the archive with the outputs' key, or with AWS's own, and not with the one given",
        see=_encrypted("sourcedir.tar.gz", "runproc.sh"),
        sdk={"sourcedir.tar.gz": "none", "runproc.sh": "alias/data"},
        ours={"sourcedir.tar.gz": "alias/data", "runproc.sh": "alias/data"},
    ),
    Difference(
        case=_case(
            "a source folder in S3", {"source_dir": "s3://mine/src/sourcedir.tar.gz"}, buckets={"mine": Bucket()}
        ),
        reason="the SDK writes the entry script beside the archive, where jobs overwrite each other's",
        see=_key_ends,
        sdk=["mine/runproc.sh"],
        ours=["sagemaker-us-west-2-123456789012/runproc.sh"],
    ),
    Difference(
        case=_case("a source folder in S3 by another name", {"source_dir": "s3://mine/src/v2.tar.gz"}),
        reason="an archive may be called anything that ends with .tar.gz or .tgz, and a prefix will do",
        see=outcome,
        sdk="RuntimeError",
        ours="created",
    ),
    Difference(
        case=_case("a source folder beside a script in S3", {"code": "s3://mine/start.sh"}),
        reason="the SDK ignores the folder and says nothing",
        see=left_behind,
        sdk=("created", 0),
        ours=("DefinitionError", 0),
    ),
)
