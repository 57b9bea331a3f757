"""A job reads the folder that its input names: all of it, and nothing of its neighbours."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.processing import ProcessingOutput, ScriptProcessor, Session

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

    def read(self, code: str, **run: Any) -> list[str]:
        """Run a script that lists what it finds, and return that."""
        processor = ScriptProcessor(
            role=self.role,
            image_uri="python",
            command=["python3"],
            instance_count=1,
            instance_type="ml.m5.large",
            sagemaker_session=self.session,
        )
        job = processor.run(code, outputs=[FOUND], logs=False, **run)
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
