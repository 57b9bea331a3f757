"""A job reads the folder that its input names: all of it, and nothing of its neighbours."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from airflow_sm_processing.exceptions import AccessDeniedError, JobFailedError
from airflow_sm_processing.processing import (
    ProcessingInput,
    ProcessingJob,
    ProcessingOutput,
    S3Input,
    ScriptProcessor,
    Session,
)
from airflow_sm_processing.processing.s3 import Size, measure, measure_all, resolve_folder
from airflow_sm_processing.processing.waiter import WaitSettings

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_sm_processing.local import LocalSageMaker

LIST = """
import pathlib
root = pathlib.Path("/opt/ml/processing")
found = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
(root / "out" / "found").write_text("\\n".join(found))
"""
FOUND = ProcessingOutput("/opt/ml/processing/out", output_name="found")


class Workshop:
    """A bucket, and scripts that run in it."""

    def __init__(self, sagemaker: LocalSageMaker) -> None:
        self.bucket = f"folders-{uuid.uuid4().hex[:12]}"
        self.s3 = sagemaker.client("s3")
        self.s3.create_bucket(Bucket=self.bucket)
        self.session = Session(default_bucket=self.bucket)
        self.role = f"arn:aws:iam::{sagemaker.account_id}:role/SageMakerRole"

    def put(self, *keys: str) -> None:
        for key in keys:
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=key.encode())

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def processor(self) -> ScriptProcessor:
        return ScriptProcessor(
            role=self.role,
            image_uri="python",
            command=["python3"],
            instance_count=1,
            instance_type="ml.m5.large",
            sagemaker_session=self.session,
        )

    def ended(self, code: str, **run: Any) -> ProcessingJob:
        """Run a script to its end."""
        job = self.processor().run(code, wait=False, logs=False, **run)
        job.wait(logs=False, settings=WaitSettings(poll_interval=0.1))
        return job

    def read(self, code: str, **run: Any) -> list[str]:
        """Run a script that lists what it finds, and return that."""
        job = self.ended(code, outputs=[FOUND], **run)
        key = job.output_uris["found"].removeprefix(f"s3://{self.bucket}/")
        found = self.s3.get_object(Bucket=self.bucket, Key=f"{key}/found")["Body"].read().decode()
        return sorted(found.splitlines())


@pytest.fixture
def workshop(environment: None, sagemaker: LocalSageMaker) -> Workshop:
    return Workshop(sagemaker)


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "ls.py"
    path.write_text(LIST)
    return str(path)


def test_a_module_that_is_linked_into_the_code_folder_is_there(workshop: Workshop, tmp_path: Path):
    (tmp_path / "elsewhere" / "shared").mkdir(parents=True)
    (tmp_path / "elsewhere" / "shared" / "__init__.py").touch()
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "main.py").write_text(f"import shared{LIST}")
    (tmp_path / "code" / "shared").symlink_to("../elsewhere/shared")
    found = workshop.read(str(tmp_path / "code"), script_name="main.py")
    assert {path for path in found if "__pycache__" not in path} == {
        "input/code/main.py",
        "input/code/shared/__init__.py",
    }


def test_an_input_that_names_a_folder_is_without_its_neighbours(workshop: Workshop, script: str):
    workshop.put("x/train/a", "x/train_labels/b", "x/train-0/c", "x/train.csv")
    inputs = [
        ProcessingInput(workshop.uri("x/train"), "/opt/ml/processing/in/1"),
        ProcessingInput(workshop.uri("x/train/"), "/opt/ml/processing/in/2"),
        ProcessingInput(s3_input=S3Input(workshop.uri("x/train"), "/opt/ml/processing/in/3")),
    ]
    found = workshop.read(script, inputs=inputs)
    assert found == ["in/1/a", "in/2/a", "in/3/a", "input/code/ls.py"]


def test_what_names_an_object_or_a_prefix_stays_one(workshop: Workshop, script: str, caplog: pytest.LogCaptureFixture):
    workshop.put("raw/data.csv", "parts/part-0", "parts/part-1/x", "parts/other")
    inputs = [
        ProcessingInput(workshop.uri("raw/data.csv"), "/opt/ml/processing/in/1"),
        ProcessingInput(workshop.uri("parts/part-"), "/opt/ml/processing/in/2"),
    ]
    with caplog.at_level("WARNING", "airflow_sm_processing"):
        found = workshop.read(script, inputs=inputs)
    assert found == ["in/1/data.csv", "in/2/part-0", "in/2/part-1/x", "input/code/ls.py"]
    [record] = caplog.records
    assert record.getMessage() == (
        f"{workshop.uri('parts/part-')} is neither an object nor a folder: SageMaker reads all keys that begin like "
        f"it, such as {workshop.uri('parts/part-0')}, {workshop.uri('parts/part-1/')}."
    )


def many(workshop: Workshop, other: str) -> list[ProcessingInput]:
    """More inputs than SageMaker takes, from two buckets, some of them one within another."""
    workshop.put(*(f"many/{number}/{number}.csv" for number in range(9)), "many/0/deep/it's ü.csv", "many/list-1")
    workshop.put("many/list-2")
    workshop.s3.put_object(Bucket=workshop.bucket, Key="many/empty/", Body=b"")
    workshop.s3.create_bucket(Bucket=other)
    workshop.s3.put_object(Bucket=other, Key="shared/b.csv", Body=b"other")
    mine = [workshop.uri(f"many/{name}") for name in (*range(9), "0/deep/", "list-", "0/0.csv", "empty/")]
    sources = [*mine, f"s3://{other}/shared"]
    return [ProcessingInput(source, f"/opt/ml/processing/in/{number}") for number, source in enumerate(sources)]


MANY_FOUND = sorted(
    [
        *(f"in/{number}/{number}.csv" for number in range(9)),
        *("in/0/deep/it's ü.csv", "in/9/it's ü.csv", "in/10/list-1", "in/10/list-2", "in/11/0.csv", "in/13/b.csv"),
        *("input/airflow-command/command.sh", "input/code/ls.py"),
    ]
)


def test_more_inputs_than_sagemaker_takes_are_all_there(
    workshop: Workshop, script: str, caplog: pytest.LogCaptureFixture
):
    other = f"{workshop.bucket}-other"
    settings = ProcessingInput.from_json({"a": 1}, "/opt/ml/processing/in/settings")
    code = ProcessingInput(script, "/opt/ml/processing/in/local")
    with caplog.at_level("INFO", "airflow_sm_processing"):
        found = workshop.read(script, inputs=[settings, *many(workshop, other), code])
    assert found == sorted([*MANY_FOUND, "in/settings/input.json", "in/local/ls.py"])
    said = "15 of 16 inputs, with 14 objects, go by 1 manifest, because SageMaker doesn't take so many inputs."
    assert said in caplog.messages


def test_one_of_many_inputs_that_has_no_objects_fails_the_job_as_ever(workshop: Workshop, script: str):
    workshop.put(*(f"some/{number}/a" for number in range(10)))
    inputs = [ProcessingInput(workshop.uri(f"some/{n}/"), f"/opt/ml/processing/in/{n}") for n in range(11)]
    with pytest.raises(JobFailedError, match=rf'No S3 objects found under S3 URL "{workshop.uri("some/10/")}"'):
        workshop.ended(script, inputs=inputs)


def test_many_inputs_that_may_not_be_listed_are_an_error(workshop: Workshop, script: str, sagemaker: LocalSageMaker):
    inputs = [ProcessingInput(workshop.uri(f"none/{n}/"), f"/opt/ml/processing/in/{n}") for n in range(11)]
    sagemaker.set_faults("ListObjectsV2:error=AccessDenied,status=403")
    with pytest.raises(AccessDeniedError, match="ListObjectsV2"):
        workshop.ended(script, inputs=inputs)
    sagemaker.set_faults()


def test_a_local_folder_is_without_an_input_whose_name_begins_alike(workshop: Workshop, script: str, tmp_path: Path):
    for name in ("data", "data_test"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"of-{name}").touch()
    inputs = [
        ProcessingInput(str(tmp_path / name), f"/opt/ml/processing/{name}", input_name=name)
        for name in ("data", "data_test")
    ]
    found = workshop.read(script, inputs=inputs)
    assert found == ["data/of-data", "data_test/of-data_test", "input/code/ls.py"]


def test_a_code_folder_is_without_an_input_whose_name_begins_alike(workshop: Workshop, tmp_path: Path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "ls.py").write_text(LIST)
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "t").touch()
    tables = ProcessingInput(str(tmp_path / "tables"), "/opt/ml/processing/tables", input_name="code_tables")
    found = workshop.read(str(tmp_path / "src"), script_name="ls.py", inputs=[tables])
    assert found == ["input/code/ls.py", "tables/t"]


def test_a_code_folder_in_s3_is_without_its_neighbours(workshop: Workshop):
    workshop.put("code_tables/t")
    workshop.s3.put_object(Bucket=workshop.bucket, Key="code/ls.py", Body=LIST.encode())
    assert workshop.read(workshop.uri("code"), script_name="ls.py") == ["input/code/ls.py"]


def test_a_job_reads_the_output_of_another_without_what_begins_alike(workshop: Workshop, script: str, tmp_path: Path):
    """By the names that outputs have of themselves: the first and the tenth."""
    (tmp_path / "w.py").write_text(
        "import pathlib\nfor path in pathlib.Path('/opt/ml/processing/o').iterdir(): (path / path.name).touch()"
    )
    outputs = [ProcessingOutput(f"/opt/ml/processing/o/{number}") for number in range(1, 11)]
    job = workshop.ended(str(tmp_path / "w.py"), outputs=outputs)
    first = ProcessingInput(job.outputs[0].destination, "/opt/ml/processing/in")
    assert workshop.read(script, inputs=[first]) == ["in/1", "input/code/ls.py"]


@pytest.mark.parametrize("end", ["", "/", "//"])
def test_paths_can_be_joined_to_an_outputs_uri(workshop: Workshop, script: str, end: str):
    """Whatever slash the destination ended in; `read` itself joins one."""
    destination = workshop.uri("results/r") + end
    out = ProcessingOutput("/opt/ml/processing/out", destination, output_name="found")
    job = workshop.ended(script, outputs=[out])
    assert job.output_uris == {"found": workshop.uri("results/r")}
    assert job.description().output_uris == {"found": workshop.uri("results/r")}
    listed = workshop.s3.list_objects_v2(Bucket=workshop.bucket, Prefix="results")["Contents"]
    assert [item["Key"] for item in listed] == ["results/r/found"]


class TestResolving:
    """What S3 says of a URI."""

    ROWS: ClassVar[dict[str, tuple[list[str], str, str]]] = {
        "a folder": (["a/x"], "a", "a/"),
        "a folder by its slash": (["a/x"], "a/", "a/"),
        "a folder with a marker alone": (["a/"], "a", "a/"),
        "a folder beside others": (["a!/x", "a-b", "a.csv", "a/x", "a0/x", "ab"], "a", "a/"),
        "a folder behind more neighbours than a page has": ([*(f"a-{n:03}" for n in range(120)), "a/x"], "a", "a/"),
        "a deep folder": (["a/b/c", "a/bc"], "a/b", "a/b/"),
        "an object": (["a.csv", "a.csv.bak"], "a.csv", "a.csv"),
        "an object beside a folder of its name": (["a", "a/x"], "a", "a"),
        "a prefix": (["part-1", "part-2/x"], "part-", "part-"),
        "nothing": (["b"], "a", "a"),
        "the whole bucket": (["b"], "", ""),
        "an odd name": (["a b+ü?#/x", "a b+ü?#2"], "a b+ü?#", "a b+ü?#/"),
    }

    @pytest.mark.parametrize("row", ROWS)
    def test_a_slash_ends_what_names_a_folder(self, workshop: Workshop, row: str):
        keys, asked, answered = self.ROWS[row]
        workshop.put(*keys)
        assert resolve_folder(workshop.s3, workshop.uri(asked)) == workshop.uri(answered)

    def test_an_empty_object_marks_the_folder_of_its_name(self, workshop: Workshop):
        workshop.s3.put_object(Bucket=workshop.bucket, Key="a", Body=b"")
        assert resolve_folder(workshop.s3, workshop.uri("a")) == workshop.uri("a")
        workshop.put("a/x")
        assert resolve_folder(workshop.s3, workshop.uri("a")) == workshop.uri("a/")

    def test_a_folder_is_measured_without_its_neighbours(self, workshop: Workshop):
        workshop.put("x/train/a", "x/train_labels/b", "x/data.csv", "x/data.csv.bak")
        assert measure(workshop.s3, workshop.uri("x/train")) == Size(bytes=9, objects=1)
        assert measure(workshop.s3, workshop.uri("x/train/")) == Size(bytes=9, objects=1)
        assert measure(workshop.s3, workshop.uri("x/tr")).objects == 2
        assert measure(workshop.s3, workshop.uri("x/data.csv")).objects == 2  # as SageMaker takes them
        uri = workshop.uri("x/trai")
        assert measure_all(workshop.s3, [uri], folders=[uri]) == {uri: Size(bytes=0, objects=0)}


@pytest.mark.parametrize(
    "fault", ["ListObjectsV2:error=AccessDenied,status=403", "ListObjectsV2:error=InternalError,status=500"]
)
def test_no_job_fails_for_what_s3_does_not_say(
    workshop: Workshop, script: str, sagemaker: LocalSageMaker, caplog: pytest.LogCaptureFixture, fault: str
):
    workshop.put("x/train/a")
    sagemaker.set_faults(fault)
    with caplog.at_level("WARNING", "airflow_sm_processing"):
        job = workshop.processor().run(
            script,
            inputs=[ProcessingInput(workshop.uri("x/train"), "/opt/ml/processing/in")],
            outputs=[FOUND],
            wait=False,
            logs=False,
        )
    sagemaker.set_faults()
    job.wait(logs=False, settings=WaitSettings(poll_interval=0.1))
    assert f"Could not check whether {workshop.uri('x/train')} is a folder" in caplog.text
