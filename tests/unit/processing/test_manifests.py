"""Inputs over the bound of CreateProcessingJob, which S3 manifests and a script in the container stand in for."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.exceptions import DefinitionError, MalformedResponseError
from airflow_sm_processing.processing import DatasetDefinition, ProcessingInput
from airflow_sm_processing.processing.request import UNKNOWN_DIGEST, SubmissionPlan, default_keys, plan_submission
from airflow_sm_processing.processing.s3 import Objects, objects_below

from .makers import ROLE_ARN, checked_plan, definition, script

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from botocore.model import OperationModel
    from botocore.stub import Stubber

ROOT = "/opt/ml/processing"
STAGE = f"{ROOT}/input/airflow-inputs-1"
ODD = 'it\'s a \\ "dir" $HOME `id` é 😀 *?['
SHELLS = [["/bin/sh"], ["bash"], ["bash", "--posix"]]


class Bucket:
    """Objects in S3, by their URIs, and what was listed of them."""

    def __init__(self, *uris: str, marks: Iterable[str] = ()) -> None:
        self.uris = uris
        self.marks = marks
        self.listed: list[str] = []

    def __call__(self, uris: Sequence[str]) -> Mapping[str, Objects]:
        self.listed += uris
        return {uri: Objects(self._keys(self.uris, uri), self._keys(self.marks, uri)) for uri in uris}

    @staticmethod
    def _keys(uris: Iterable[str], beginning: str) -> tuple[str, ...]:
        return tuple(uri.split("/", 3)[3] for uri in uris if uri.startswith(beginning))


def at(source: str | None, number: int, **more: Any) -> ProcessingInput:
    return ProcessingInput(source, f"{ROOT}/in/{number}", **more)


def of(*sources: str, **more: Any) -> tuple[ProcessingInput, ...]:
    return tuple(at(source, number, **more) for number, source in enumerate(sources))


def folders(count: int, bucket: str = "raw") -> list[str]:
    return [f"s3://{bucket}/{number}/" for number in range(count)]


def generated(plan: SubmissionPlan, name: str) -> list[str]:
    """Return the texts of the uploads' files of a name, in order."""
    found = []
    for upload in plan.uploads:
        with upload.local() as (folder, _):
            found += [(folder / name).read_text()] if (folder / name).is_file() else []
    return found


def names(plan: SubmissionPlan) -> list[str]:
    return [item["InputName"] for item in plan.request["ProcessingInputs"]]


def everything(sources: Iterable[str]) -> Bucket:
    return Bucket(*(f"{source}a" for source in sources))


@pytest.mark.parametrize("count", [0, 1, 9])
def test_nothing_changes_within_the_bound(count: int, create_operation: OperationModel):
    def refuse(_: Sequence[str]) -> Any:
        raise AssertionError("S3 was listed")

    job = script(inputs=of(*folders(count)))
    plan = checked_plan(job, create_operation, refuse)
    assert plan.request == plan_submission(job, role_arn=ROLE_ARN, key=default_keys("bucket", None)).request
    assert (plan.uploads, plan.unmerged, plan.listed) == ((), (), ())
    assert plan.unmerged_request == plan.request


def test_those_of_the_bucket_with_the_most_go_by_a_manifest(create_operation: OperationModel):
    sources = [*folders(3, "few"), *folders(7), *folders(2, "fewer")]
    plan = checked_plan(script(inputs=of(*sources)), create_operation, everything(sources))
    kept = [f"input-{number}" for number in (1, 2, 3, 11, 12)]
    assert names(plan) == [*kept, "airflow-inputs-1", "code", "airflow-command"]
    made = plan.request["ProcessingInputs"][5]
    assert made == {
        "InputName": "airflow-inputs-1",
        "AppManaged": False,
        "S3Input": {
            "S3Uri": "s3://bucket/job/input/airflow-inputs-1/manifest.json",
            "LocalPath": STAGE,
            "S3DataType": "ManifestFile",
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
            "S3CompressionType": "None",
        },
    }
    [text] = generated(plan, "manifest.json")
    assert json.loads(text) == [{"prefix": "s3://raw/"}, *(f"{number}/a" for number in range(7))]
    assert plan.request["AppSpecification"]["ContainerEntrypoint"][0] == "/bin/sh"
    assert plan.command == ("python3", f"{ROOT}/input/code/run.py")
    assert plan.listed == tuple(folders(7))
    assert [item["InputName"] for item in plan.unmerged_request["ProcessingInputs"]] == [
        *(f"input-{number}" for number in range(1, 13)),
        *("code", "airflow-command", "airflow-inputs-1"),
    ]


def test_a_second_bucket_follows_only_if_it_must(create_operation: OperationModel):
    sources = [*folders(9, "one"), *folders(8, "two"), *folders(2, "three")]
    plan = checked_plan(script(inputs=of(*sources)), create_operation, everything(sources))
    assert names(plan) == ["input-18", "input-19", "airflow-inputs-1", "airflow-inputs-2", "code", "airflow-command"]
    texts = [json.loads(text) for text in generated(plan, "manifest.json")]
    assert [(text[0]["prefix"], len(text) - 1) for text in texts] == [("s3://one/", 9), ("s3://two/", 8)]


def test_long_arguments_may_be_what_is_too_much(create_operation: OperationModel):
    sources = folders(9)
    job = script(inputs=of(*sources), arguments=["x" * 300], env={"A": "y" * 300})
    plan = checked_plan(job, create_operation, everything(sources))
    assert names(plan) == ["airflow-inputs-1", "code", "airflow-command"]
    [text] = generated(plan, "command.sh")
    assert text.index("files ") < text.index("_airflow_separator") < text.index("exec python3")


DIFFERENT: dict[str, dict[str, Any]] = {
    "Pipe": {"s3_input_mode": "Pipe"},
    "ManifestFile": {"s3_data_type": "ManifestFile"},
    "ShardedByS3Key": {"s3_data_distribution_type": "ShardedByS3Key"},
    "Gzip": {"s3_compression_type": "Gzip", "s3_input_mode": "Pipe"},
    "app_managed": {"app_managed": True},
    "a key with empty names or dots": {"source": "s3://raw/a//b/"},
}


@pytest.mark.parametrize(("why", "fields"), DIFFERENT.items(), ids=DIFFERENT)
def test_other_inputs_stay_as_they_are(why: str, fields: dict[str, Any], create_operation: OperationModel):
    sources = folders(9)
    other = at(**{"source": "s3://raw/other/", "number": 100, **fields})
    job = script(inputs=(*of(*sources), other))
    plan = checked_plan(job, create_operation, everything(sources))
    assert names(plan) == ["input-10", "airflow-inputs-1", "code", "airflow-command"]
    many = tuple(at(**{"source": "s3://raw/other/", "number": number, **fields}) for number in range(10))
    with pytest.raises(DefinitionError, match=rf"but not input-1 \({why if why != 'Gzip' else 'Pipe'}\), "):
        checked_plan(script(inputs=many), create_operation)


def test_a_query_stays_as_it_is(create_operation: OperationModel):
    query = {
        "athena_dataset_definition": {
            "catalog": "c",
            "database": "d",
            "query_string": "SELECT 1",
            "output_s3_uri": "s3://raw/q/",
            "output_format": "PARQUET",
        }
    }
    item = ProcessingInput(dataset_definition=DatasetDefinition(local_path=f"{ROOT}/q", **query))
    sources = folders(9)
    plan = checked_plan(script(inputs=(item, *of(*sources))), create_operation, everything(sources))
    assert names(plan) == ["input-1", "airflow-inputs-1", "code", "airflow-command"]


def test_local_files_and_settings_are_merged_too(tmp_path: Path, create_operation: OperationModel):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a b").write_text("1")
    (tmp_path / "file").write_text("2")
    settings = [ProcessingInput.from_json({"a": number}, f"{ROOT}/s/{number}") for number in range(8)]
    local = [ProcessingInput(str(tmp_path / name), f"{ROOT}/l/{name}") for name in ("folder", "file")]
    job = script(inputs=(*local, *settings))
    for upload_key in (None, "task"):
        plan = checked_plan(job, create_operation, Bucket(), upload_key)
        assert names(plan) == ["airflow-inputs-1", "code", "airflow-command"]
        assert plan.listed == ()
        [prefix, *keys] = json.loads(generated(plan, "manifest.json")[0])
        assert prefix == {"prefix": "s3://bucket/"}
        uploaded = [f"{upload.s3_uri}/" for upload in plan.uploads]
        assert len(keys) == 10
        assert all(f"s3://bucket/{key}".startswith(tuple(uploaded)) for key in keys)
        assert [key.rpartition("/")[2] for key in keys] == ["a b", "file", *["input.json"] * 8]


def test_the_same_objects_are_found_where_they_were(create_operation: OperationModel):
    sources = folders(12)
    job = script(inputs=of(*sources))
    first, again = (checked_plan(job, create_operation, everything(sources), "task") for _ in range(2))
    other = checked_plan(job, create_operation, Bucket(*(f"{source}b" for source in sources)), "task")
    assert first.request == again.request
    assert UNKNOWN_DIGEST not in str(first.request)
    assert other.request["ProcessingInputs"][0] != first.request["ProcessingInputs"][0]


def test_without_a_listing_their_places_are_left_open(create_operation: OperationModel):
    plan = checked_plan(script(inputs=of(*folders(12))), create_operation, None, "task")
    places = [item["S3Input"]["S3Uri"] for item in plan.request["ProcessingInputs"]]
    assert places == [
        f"s3://bucket/task/input/{UNKNOWN_DIGEST}/airflow-inputs-1/manifest.json",
        "s3://code/run.py",
        f"s3://bucket/task/input/{UNKNOWN_DIGEST}/airflow-command/command.sh",
    ]


def test_an_input_without_objects_fails_the_job_as_ever(create_operation: OperationModel):
    sources = folders(12)
    plan = checked_plan(script(inputs=of(*sources)), create_operation, everything(sources[:5] + sources[6:]))
    assert names(plan) == ["input-6", "code", "airflow-command"]
    assert plan.request["ProcessingInputs"][0]["S3Input"]["S3Uri"] == "s3://raw/5/"
    assert generated(plan, "manifest.json") == []


def test_folders_that_are_only_marked_need_one_input(create_operation: OperationModel, tmp_path: Path):
    sources = folders(12)
    marks = [*sources, "s3://raw/3/deep/er/"]
    job = definition(entrypoint=["true"], inputs=of(*sources))
    plan = checked_plan(job, create_operation, Bucket(marks=marks))
    assert names(plan) == ["input-1", "airflow-command"]
    found = run(plan, tmp_path, {})
    assert found == {}
    inputs = tmp_path / "processing" / "in"
    assert sorted(str(path.relative_to(inputs)) for path in inputs.rglob("*")) == [
        *("1", "10", "11", "2", "3", "3/deep", "3/deep/er"),
        *map(str, range(4, 10)),
    ]  # and SageMaker makes the first one's


def run(
    plan: SubmissionPlan,
    root: Path,
    files: Mapping[str, str],
    *,
    shell: Sequence[str] = ("/bin/sh",),
    path: str | None = None,
) -> dict[str, str]:
    """Run the script where a manifest's objects were downloaded; return the inputs' files.

    Raises:
        CalledProcessError: It failed.
    """
    ml = root / "processing"
    for key, text in files.items():
        file = ml / "input" / "airflow-inputs-1" / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    [text] = generated(plan, "command.sh")
    text = text.replace(ROOT, str(ml)).replace("/opt/ml/output", str(root / "output"))
    environment = {"HOME": "/home", **({"PATH": path} if path else {})}
    subprocess.run([*shell, "-u"], input=text, env=environment, capture_output=True, text=True, check=True)
    found = {file: file.read_text() for file in (ml / "in").rglob("*") if file.is_file()}
    return {str(file.relative_to(ml / "in")): text for file, text in found.items()}


def run_command(*sources: str, command: Sequence[str] = ("true",)) -> Any:
    """Return a job of these inputs and of as many others as it takes to merge them, and the other's objects."""
    more = [f"s3://raw/zz{number}/" for number in range(10)]
    return definition(entrypoint=list(command), inputs=of(*sources, *more)), [f"{source}z" for source in more]


PLACES: dict[str, tuple[list[str], dict[str, str]]] = {
    "a folder": (["d/"], {"d/a": "0/a", "d/.hidden": "0/.hidden", "d/e/f": "0/e/f"}),
    "an object": (["d/a.csv"], {"d/a.csv": "0/a.csv"}),
    "the beginning of several": (["d/part-"], {"d/part-1": "0/part-1", "d/part-2/x/y": "0/part-2/x/y"}),
    "an object, and others that begin so": (["d/a"], {"d/a": "0/a", "d/a.old": "0/a.old"}),
    "a name without its slash": (["d/e"], {"d/e/f": "0/f", "d/e/.g": "0/.g", "d/ex": "0/ex"}),
    "beginnings in the bucket's root": (["a"], {"a1": "0/a1", "a2/b": "0/a2/b"}),
    "the beginning of very many": (["d/p"], {f"d/p{number}": f"0/p{number}" for number in range(250)}),
    "hidden ones": (["d/.h"], {"d/.h1": "0/.h1", "d/.h2/x": "0/.h2/x"}),
    "names that are patterns": (["d/*"], {"d/*1": "0/*1"}),
    "a name that is an option": (["-r/"], {"-r/-f": "0/-f"}),
    "odd characters": ([f"{ODD}/"], {f"{ODD}/{ODD}\n/ x ": f"0/{ODD}\n/ x "}),
    "a beginning with odd characters": ([f"d/{ODD}"], {f"d/{ODD}\n1": f"0/{ODD}\n1"}),
}
OVERLAPS: dict[str, tuple[list[str], dict[str, list[str]]]] = {
    "one within the other": (["d/", "d/e/"], {"d/a": ["0/a"], "d/e/b": ["0/e/b", "1/b"]}),
    "the same twice": (["d/", "d/", "d"], {"d/a": ["0/a", "1/a", "2/a"]}),
    "an object of a folder": (["d/", "d/a"], {"d/a": ["0/a", "1/a"], "d/b": ["0/b"]}),
    "beginnings of a folder": (["d/a", "d/"], {"d/a1": ["0/a1", "1/a1"], "d/b": ["1/b"]}),
}
CASES = OVERLAPS | {name: (uris, {key: [at] for key, at in keys.items()}) for name, (uris, keys) in PLACES.items()}


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize(("prefixes", "places"), CASES.values(), ids=CASES)
def test_each_file_is_where_it_belongs(
    shell: list[str],
    prefixes: list[str],
    places: dict[str, list[str]],
    create_operation: OperationModel,
    tmp_path: Path,
):
    job, others = run_command(*(f"s3://raw/{prefix}" for prefix in prefixes))
    plan = checked_plan(job, create_operation, Bucket(*(f"s3://raw/{key}" for key in places), *others))
    keys = json.loads(generated(plan, "manifest.json")[0])[1:]
    assert sorted(keys[:-10]) == sorted(places)
    assert len(set(keys)) == len(keys)
    found = run(plan, tmp_path, {key: key for key in keys}, shell=shell)
    own = {name: text for name, text in found.items() if int(name.split("/")[0]) < len(prefixes)}
    assert own == {place: key for key, at in places.items() for place in at}
    assert len(found) == len(own) + 10
    assert not (tmp_path / "processing" / "input" / "airflow-inputs-1").exists()


def test_a_whole_bucket_may_be_an_input(create_operation: OperationModel, tmp_path: Path):
    job, others = run_command("s3://raw/")
    plan = checked_plan(job, create_operation, Bucket("s3://raw/a", *others))
    found = run(plan, tmp_path, {"a": "A", **{uri.split("/", 3)[3]: "z" for uri in others}})
    assert {name for name in found if name.startswith("0/")} == {"0/a", *(f"0/zz{number}/z" for number in range(10))}


def a_cp(folder: Path, *, links: bool) -> str:
    """Return a PATH whose `cp` can't make hard links, or can't do anything."""
    folder.mkdir()
    rest = f'exec {shutil.which("cp")} "$@"' if links is False else "exit 1"
    (folder / "cp").write_text(f"#!/bin/sh\ncase $1 in -*l*) echo no links >&2; exit 1; esac\n{rest}\n")
    (folder / "cp").chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def test_files_are_copied_where_links_are_not_possible(create_operation: OperationModel, tmp_path: Path):
    job, others = run_command("s3://raw/d/")
    plan = checked_plan(job, create_operation, Bucket("s3://raw/d/a", *others))
    files = {"d/a": "A", **{uri.split("/", 3)[3]: "z" for uri in others}}
    found = run(plan, tmp_path, files, path=a_cp(tmp_path / "bin", links=False))
    assert found["0/a"] == "A"
    assert len(found) == 11


@pytest.mark.parametrize("prefix", ["d/", "d/a"], ids=["a folder", "an object"])
def test_what_is_missing_fails_the_job_before_its_command(
    prefix: str, create_operation: OperationModel, tmp_path: Path
):
    job, others = run_command(f"s3://raw/{prefix}", command=["touch", str(tmp_path / "ran")])
    plan = checked_plan(job, create_operation, Bucket("s3://raw/d/a", *others))
    with pytest.raises(subprocess.CalledProcessError) as error:
        run(plan, tmp_path, {uri.split("/", 3)[3]: "z" for uri in others})
    told = (tmp_path / "output" / "message").read_text()
    assert told in error.value.stderr
    at, source = tmp_path / "processing" / "in" / "0", tmp_path / "processing" / "input" / "airflow-inputs-1" / prefix
    slash = "/" if prefix.endswith("/") else ""
    assert told == (
        f"Input input-1 couldn't be put into {at}: nothing of it is in {source}{slash}. The job's command wasn't "
        "started.\n"
    )
    assert not (tmp_path / "ran").exists()


def test_what_cannot_be_copied_fails_the_job(create_operation: OperationModel, tmp_path: Path):
    job, others = run_command("s3://raw/d/", command=["touch", str(tmp_path / "ran")])
    plan = checked_plan(job, create_operation, Bucket("s3://raw/d/a", *others))
    files = {"d/a": "A", **{uri.split("/", 3)[3]: "z" for uri in others}}
    with pytest.raises(subprocess.CalledProcessError, match="exit status 1"):
        run(plan, tmp_path, files, path=a_cp(tmp_path / "bin", links=True))
    assert "its files can't be copied" in (tmp_path / "output" / "message").read_text()
    assert not (tmp_path / "ran").exists()


def page(*objects: tuple[str, int], token: str | None = None) -> dict[str, Any]:
    more = {"NextContinuationToken": token} if token else {}
    return {"IsTruncated": token is not None, "Contents": [{"Key": key, "Size": size} for key, size in objects], **more}


def listed(stubs: dict[str, Stubber], prefix: str, *pages: dict[str, Any], bucket: str = "raw") -> None:
    more: dict[str, Any] = {}
    for item in pages:
        stubs["s3"].add_response("list_objects_v2", item, {"Bucket": bucket, "Prefix": prefix, **more})
        more = {"ContinuationToken": item.get("NextContinuationToken")}


def test_each_object_is_listed_once(clients: dict[str, Any], stubs: dict[str, Stubber]):
    listed(stubs, "", page(("d/x", 1)), bucket="ra")
    listed(stubs, "d/", page(("d/a", 1), token="t"), page(("d/e/b", 0)))
    uris = ["s3://raw/d/e/", "s3://raw/d/", "s3://raw/d/a", "s3://raw/d/", "s3://ra"]
    assert objects_below(clients["s3"], uris) == {
        "s3://raw/d/e/": (("d/e/b",), ()),
        "s3://raw/d/": (("d/a", "d/e/b"), ()),
        "s3://raw/d/a": (("d/a",), ()),
        "s3://ra": (("d/x",), ()),
    }


def test_a_listing_without_an_end_is_a_malformed_response(clients: dict[str, Any], stubs: dict[str, Stubber]):
    listed(stubs, "a/", page(token="again"), page(token="again"))
    with pytest.raises(MalformedResponseError, match="leads back to a page that was read"):
        objects_below(clients["s3"], ["s3://raw/a/"])


def test_empty_objects_that_mark_folders_are_no_files(clients: dict[str, Any], stubs: dict[str, Stubber]):
    objects = [("d/", 0), ("d/e", 0), ("d/e/f", 1), ("d/empty/", 0), ("d/nothing", 0), ("d/odd/", 1)]
    listed(stubs, "d/", page(*objects))
    found = objects_below(clients["s3"], ["s3://raw/d/"])["s3://raw/d/"]
    assert found == (("d/e/f", "d/nothing", "d/odd/"), ("d/empty/",))


def test_a_file_where_others_need_a_folder_is_an_error(clients: dict[str, Any], stubs: dict[str, Stubber]):
    listed(stubs, "d", page(("d/e", 1), ("d/e/f", 1)))
    with pytest.raises(DefinitionError, match=r"s3://raw/d/e'?: is an object, and others are below it"):
        objects_below(clients["s3"], ["s3://raw/d"])


def test_too_many_objects_are_an_error(
    clients: dict[str, Any], stubs: dict[str, Stubber], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("airflow_sm_processing.processing.s3._MOST_LISTED", 2)
    listed(stubs, "d/", page(("d/a", 1), ("d/b", 1)))
    listed(stubs, "e/", page(("e/a", 1), ("e/b", 1)))
    with pytest.raises(DefinitionError, match=r"have over 2 objects, too many for manifests: read a folder that"):
        objects_below(clients["s3"], ["s3://raw/d/", "s3://raw/e/"])


def test_the_log_says_what_was_merged(create_operation: OperationModel, caplog: pytest.LogCaptureFixture):
    sources = [*folders(9, "one"), *folders(8, "two")]
    with caplog.at_level("INFO", "airflow_sm_processing"):
        checked_plan(script(inputs=of(*sources, "s3://three/")), create_operation, everything(sources))
    assert caplog.messages == [
        "17 of 18 inputs, with 17 objects, go by 2 manifests, because SageMaker doesn't take so many inputs."
    ]
