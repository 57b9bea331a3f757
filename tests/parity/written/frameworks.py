"""Processors of frameworks: their source folders, archives and entry scripts."""

from __future__ import annotations

from typing import Any

from tests.parity.case import FOLDER, Case, Refused, processing_input, processing_output
from tests.parity.endpoint.account import ACCOUNT_ID, Bucket

FILES = {
    "src/main.py": "print(1)",
    "src/lib/deep/helper.py": "",
    "src/requirements.txt": "",
    "lib/shared/a.py": "a",
    "lib/one.py": "one",
    "alone.py": "print(2)",
    "data/a.csv": "a",
}
BUCKETS = {"mine": Bucket(), f"sagemaker-us-west-2-{ACCOUNT_ID}": Bucket()}
SOURCE = {"code": "main.py", "source_dir": "src"}
ARN = "arn:aws:codeartifact:us-west-2:123456789012:repository/our-domain/our.repository"
REFUSED = Refused("ValueError", "DefinitionError")


def _case(name: str, run: dict[str, Any], processor: str = "PyTorchProcessor", **more: Any) -> Case:
    return Case(name=name, processor=processor, runs=(run,), files=FILES, buckets=BUCKETS, **more)


CASES = (
    _case("a framework's source folder", SOURCE),
    _case("a framework's script alone", {"code": "alone.py"}),
    _case("a framework's script alone by its absolute path", {"code": f"{FOLDER}/alone.py"}),
    _case("a framework's source folder by its absolute path", {**SOURCE, "source_dir": f"{FOLDER}/src"}),
    _case("a framework's dependencies", {**SOURCE, "dependencies": ["lib/shared", f"{FOLDER}/lib/one.py"]}),
    _case("a framework's dependencies beside a script", {"code": "alone.py", "dependencies": ["lib"]}),
    _case("a framework's source with a name for the job", {**SOURCE, "job_name": "my-job"}),
    _case("a framework's base name", SOURCE, init={"base_job_name": "nightly"}),
    _case("a framework's empty base name", SOURCE, init={"base_job_name": ""}),
    _case("a framework's code location", SOURCE, init={"code_location": "s3://mine/team/code/"}),
    _case("a framework's code location without a prefix", SOURCE, init={"code_location": "s3://mine"}),
    _case(
        "a framework in a session's bucket", SOURCE, session={"default_bucket": "mine", "default_bucket_prefix": "a/b"}
    ),
    _case("a framework's own command", {**SOURCE, "arguments": ["--a", "b c"]}, init={"command": ["python3", "-u"]}),
    _case(
        "a framework's inputs and outputs",
        {
            **SOURCE,
            "inputs": [processing_input(source="data", destination="/opt/ml/processing/in")],
            "outputs": [processing_output(source="/opt/ml/processing/out")],
        },
    ),
    _case("a framework's repository of packages", {**SOURCE, "codeartifact_repo_arn": ARN}),
    _case("no repository of packages", {**SOURCE, "codeartifact_repo_arn": "arn:aws:s3:::bucket"}, refused=REFUSED),
    _case("a git repository without its URL", {**SOURCE, "git_config": {"branch": "main"}}, refused=REFUSED),
    _case("a git repository whose URL is empty", {**SOURCE, "git_config": {"repo": ""}}, refused=REFUSED),
    _case("a git repository that is a command", {**SOURCE, "git_config": {"repo": "ext::sh -c a"}}, refused=REFUSED),
    _case("a git repository over http", {**SOURCE, "git_config": {"repo": "http://git.example/a"}}, refused=REFUSED),
    _case("no git repository", {**SOURCE, "git_config": {}}),
    _case("a framework's script in S3", {"code": "s3://mine/code/start.sh"}),
    _case("TensorFlow's processor", SOURCE, "TensorFlowProcessor"),
    _case("XGBoost's processor", SOURCE, "XGBoostProcessor"),
    _case("MXNet's processor", SOURCE, "MXNetProcessor"),
    _case("Hugging Face's processor", SOURCE, "HuggingFaceProcessor"),
    _case("PyTorch's image", SOURCE, init={"framework_version": "2.3", "py_version": "py311", "image_uri": None}),
)
