"""Inputs and outputs: what is documented works, and what is wrong is said before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.parity.case import FOLDER, Case, processing_input, processing_output, s3_input
from tests.parity.difference import Difference, left_behind, outcome

if TYPE_CHECKING:
    from tests.parity.wire import Wire

IN = "/opt/ml/processing/input/data"
OUT = "/opt/ml/processing/output"
SCRIPT = {"script.py": "print(1)", "src/main.py": "print(2)", "src/helper.py": ""}
DEFAULT = "sagemaker-us-west-2-123456789012"


def _case(name: str, **run: Any) -> Case:
    return Case(name=name, runs=(run,))


TREE = {"data/a.csv": "a", "data_test/b.csv": "b", "elsewhere/shared.csv": "c"}


def _places(wire: Wire) -> list[str]:
    """Name where the last job reads."""
    return [item["S3Input"]["S3Uri"] for item in wire.effects["requests"][-1]["ProcessingInputs"]]


DIFFERENCES = (
    Difference(
        case=Case(
            name="local folders whose names begin alike",
            files=TREE,
            runs=(
                {
                    "job_name": "job",
                    "inputs": [
                        processing_input(source=name, destination=f"{IN}/{name}", input_name=name)
                        for name in ("data", "data_test")
                    ],
                },
            ),
        ),
        reason="SageMaker takes every key that begins so: the SDK's `data` has the files of `data_test` too",
        see=_places,
        sdk=[f"s3://{DEFAULT}/job/input/data", f"s3://{DEFAULT}/job/input/data_test"],
        ours=[f"s3://{DEFAULT}/job/input/data/", f"s3://{DEFAULT}/job/input/data_test/"],
    ),
    Difference(
        case=Case(
            name="a folder in S3, and an object",
            files=TREE,
            runs=(
                {"job_name": "one", "inputs": [processing_input(source="data", destination=IN)]},
                {
                    "job_name": "two",
                    "inputs": [
                        processing_input(source=f"s3://{DEFAULT}/one/input/input-1{rest}", destination=f"{IN}/{number}")
                        for number, rest in enumerate(("", "/a.csv", "/a"))
                    ],
                },
            ),
        ),
        reason="whoever names a folder must not get what begins alike; objects and prefixes stay what they are",
        see=_places,
        sdk=[f"s3://{DEFAULT}/one/input/input-1{rest}" for rest in ("", "/a.csv", "/a")],
        ours=[f"s3://{DEFAULT}/one/input/input-1{rest}" for rest in ("/", "/a.csv", "/a")],
    ),
    Difference(
        case=Case(
            name="input from a folder with a link to another",
            files=TREE,
            links={"data/more": "../elsewhere"},
            runs=({"job_name": "job", "inputs": [processing_input(source="data", destination=IN)]},),
        ),
        reason="the SDK leaves the linked folder out and doesn't say so",
        see=lambda wire: sorted(key.rpartition("input-1/")[2] for _, key in wire.account.objects),
        sdk=["a.csv"],
        ours=["a.csv", "more/shared.csv"],
    ),
    Difference(
        case=_case("outputs as strings", outputs=[OUT]),
        reason="the SDK's documentation allows them",
        see=outcome,
        sdk="TypeError",
        ours="created",
    ),
    Difference(
        case=_case("output to somewhere else", outputs=[processing_output(source=OUT, destination="gs://mine/out")]),
        reason="the SDK writes to the default bucket and doesn't say so",
        see=outcome,
        sdk="created",
        ours="DefinitionError",
    ),
    Difference(
        case=_case("caller's objects", outputs=[processing_output(source=OUT)], job_name="job"),
        reason="objects that the SDK has changed send the next job's outputs to this job's place",
        see=lambda wire: [(o["output_name"], o["destination"]) for o in wire.shown["caller's objects"]],
        sdk=[("output-1", f"s3://{DEFAULT}/job/output/output-1")],
        ours=[(None, None)],
    ),
    Difference(
        case=Case(
            name="input by a file URL",
            runs=({"inputs": [processing_input(source=f"file://{FOLDER}/script.py", destination=IN)]},),
            files=SCRIPT,
        ),
        reason="the SDK takes file:// for code, but not for inputs",
        see=left_behind,
        sdk=("FileNotFoundError", 0),
        ours=("created", 1),
    ),
    Difference(
        case=Case(
            name="input from an empty folder",
            runs=({"inputs": [processing_input(source="empty", destination=IN)]},),
            files={"empty/": ""},
        ),
        reason="SageMaker fails the job minutes later, as nothing is under the prefix",
        see=outcome,
        sdk="created",
        ours="DefinitionError",
    ),
    Difference(
        case=_case("input without a destination", inputs=[processing_input(source="s3://mine/raw")]),
        reason="the SDK fails on an attribute of None",
        see=outcome,
        sdk="AttributeError",
        ours="DefinitionError",
    ),
    Difference(
        case=_case(
            "too many inputs",
            inputs=[processing_input(source="s3://mine/raw", destination=f"{IN}/{i}") for i in range(11)],
        ),
        reason="limits are checked before anything is sent",
        see=outcome,
        sdk="created",
        ours="DefinitionError",
    ),
    Difference(
        case=Case(
            name="mistake after an upload",
            runs=(
                {
                    "inputs": [
                        processing_input(source="script.py", destination=f"{IN}/1"),
                        processing_input(
                            s3_input=s3_input(s3_uri="s3://mine/raw", local_path=f"{IN}/2", s3_compression_type="Gzip")
                        ),
                    ]
                },
            ),
            files=SCRIPT,
        ),
        reason="a definition is checked as a whole before the first upload",
        see=left_behind,
        sdk=("ValueError", 1),
        ours=("DefinitionError", 0),
    ),
)
