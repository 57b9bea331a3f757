"""Arguments that are over the bounds of CreateProcessingJob, which a script in S3 has instead of the request."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.processing.definition import is_of_code

from .makers import an_input, checked_plan, command_file, definition, script

if TYPE_CHECKING:
    from botocore.model import OperationModel


LONG = "it's a $HOME `id` \\ é " + "x" * 300
MANY = [str(number) for number in range(101)]
FILE = "/opt/ml/processing/input/airflow-command/command.sh"


@pytest.mark.parametrize("arguments", [[LONG], ["a", LONG, "*"], MANY], ids=["long", "among others", "many"])
@pytest.mark.parametrize("make", [definition, script], ids=["entrypoint", "script"])
def test_they_arrive_as_if_they_had_been_in_the_request(make: Any, arguments: list[str], create_operation: Any):
    own = {"entrypoint": ["printf", "%s\\0"]} if make is definition else {"command": ["printf", "%s\\0"]}
    plan = checked_plan(make(arguments=arguments, **own), create_operation)
    assert plan.request["AppSpecification"]["ContainerEntrypoint"] == ["/bin/sh", FILE]
    assert "ContainerArguments" not in plan.request["AppSpecification"]
    place = plan.request["ProcessingInputs"][-1]
    assert place["S3Input"]["S3Uri"] == "s3://bucket/job/input/airflow-command/command.sh"
    assert f"{place['S3Input']['LocalPath']}/command.sh" == FILE
    assert is_of_code(plan.inputs[-1])
    printed = subprocess.run(["/bin/sh"], input=command_file(plan), capture_output=True, text=True, check=True).stdout
    words = [] if make is definition else ["/opt/ml/processing/input/code/run.py"]
    assert printed.split("\0") == [*words, *arguments, ""]


@pytest.mark.parametrize("arguments", [["x" * 256], MANY[:100], ["é" * 256], []])
def test_what_is_within_the_bounds_stays_in_the_request(arguments: list[str], create_operation: OperationModel):
    plan = checked_plan(script(arguments=arguments), create_operation)
    assert plan.request["AppSpecification"].get("ContainerArguments", []) == arguments
    assert plan.uploads == ()


def test_a_retry_finds_the_file_where_it_was(create_operation: OperationModel):
    first, again, other = (
        checked_plan(script(arguments=arguments, inputs=(an_input(),)), create_operation, upload_key="task")
        for arguments in ([LONG], [LONG], [f"{LONG}y"])
    )
    assert first.request == again.request
    assert first.uploads[0].s3_uri.startswith("s3://bucket/task/input/")
    assert other.uploads[0].s3_uri != first.uploads[0].s3_uri
