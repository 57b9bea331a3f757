"""Inputs over the bound of CreateProcessingJob, which come by S3 manifests, one for all of a bucket.

SageMaker downloads what a manifest names to one folder, each object below it as in its bucket. A script in the
container puts the files where the inputs' own paths are, before it starts the command.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Manifest", "MergedInput", "script"]


class MergedInput(NamedTuple):
    """An input whose objects a manifest names."""

    name: str
    prefix: str
    """What its objects' keys begin with."""
    destination: str
    """Its path in the container."""
    keys: Sequence[str] = ()
    folders: Sequence[str] = ()
    """The keys of empty objects that only mark folders without files: no manifest has them."""

    def steps(self, source: str) -> Iterator[str]:
        """Yield the lines of a script that put the input into its place, from where its manifest's objects are."""
        place = shlex.join([self.name, self.destination])
        yield f"folder {place} ''"
        if self.keys:
            yield f"files {place} {shlex.quote(f'{source}/{self.prefix}')}"
        for key in self.folders:
            if path := self._below(key).strip("/"):
                yield f"folder {place} {shlex.quote(path)}"

    def _below(self, key: str) -> str:
        """Return the path of a key in the input's folder, as SageMaker has it for an S3Prefix."""
        folder = self.prefix if self.prefix.endswith("/") or not self.prefix else f"{self.prefix}/"
        base = folder if key.startswith(folder) else self.prefix[: self.prefix.rfind("/") + 1]
        return key.removeprefix(base)


class Manifest(NamedTuple):
    """The inputs of one bucket that are merged."""

    bucket: str
    path: str
    """Where the container finds the objects."""
    inputs: Sequence[MergedInput]

    @property
    def keys(self) -> list[str]:
        """What the manifest names, each object once."""
        return list(dict.fromkeys(key for item in self.inputs for key in item.keys))

    @property
    def left_alone(self) -> int | None:
        """The index of an input that has to stay by itself; None if none has to.

        Without an input's objects, the job is to fail as it would without a manifest; and no manifest can be empty.
        """
        empty = (index for index, item in enumerate(self.inputs) if not item.keys and not item.folders)
        return next(empty, None if self.keys else 0)

    @property
    def text(self) -> str:
        """The manifest: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html.

        Its prefix is all of the bucket. So an object's path is its key, whether SageMaker makes the path of what
        follows the prefix or, as in https://github.com/aws/sagemaker-python-sdk/issues/723, of the prefix as well.
        """
        return json.dumps([{"prefix": f"s3://{self.bucket}/"}, *self.keys], indent=0)


def script(manifests: Iterable[Manifest]) -> str:
    """Return what `/bin/sh` runs to put the files of all manifests into their inputs' places."""
    manifests = list(manifests)
    steps = [step for manifest in manifests for item in manifest.inputs for step in item.steps(manifest.path)]
    paths = shlex.join([manifest.path for manifest in manifests])
    # What is left to see twice is removed, and the room of what had to be copied is free again.
    return "\n".join([_FUNCTIONS, *steps, f"rm -rf {paths} 2> /dev/null || :", ") || exit 1", ""])


_FUNCTIONS = """\
# Inputs over the bound of CreateProcessingJob came by manifests. Each goes into its own folder, or the job fails.
(
fail() { # the input, its path, and why
    text="Input $1 couldn't be put into $2: $3. The job's command wasn't started."
    printf '%s\\n' "$text" >&2
    mkdir -p /opt/ml/output
    printf '%s\\n' "$text" > /opt/ml/output/message
    exit 1
}
folder() { # the input, its path, and a folder in it
    mkdir -p "$2/$3" || fail "$1" "$2" "its folder can't be made, the log says why"
}
put() { # the input, its path, and files, and folders with all that is in them: linked if possible, which takes no room
    input=$1 place=$2
    shift 2
    cp -Rl "$@" "$place/" 2> /dev/null || cp -R "$@" "$place/" ||
        fail "$input" "$place" "its files can't be copied, the log says why"
}
files() { # the input, its path, and what begins the paths of its files
    input=$1 place=$2 begin=$3
    case $begin in
    */)
        [ -d "$begin" ] || fail "$input" "$place" "nothing of it is in $begin"
        put "$input" "$place" "$begin."
        ;;
    *)
        set --
        for path in "$begin"*; do
            [ -e "$path" ] || fail "$input" "$place" "nothing of it is in $begin"
            if [ "$path" = "$begin" ] && [ -d "$path" ]; then path=$path/.; fi
            set -- "$@" "$path"
            if [ $# -eq 100 ]; then
                put "$input" "$place" "$@"
                set --
            fi
        done
        [ $# -eq 0 ] || put "$input" "$place" "$@"
        ;;
    esac
}"""
