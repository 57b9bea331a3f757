"""What the client refuses before it sends anything, the local SageMaker refuses by rules of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from airflow_sm_processing.exceptions import DefinitionError
from airflow_sm_processing.processing.request import default_keys, plan_submission
from airflow_sm_processing.processing.validation import check_definition

from .definitions import generated

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .bench import Bench

COUNT = 300
TAKEN = "agreed-upon"
ADVICE = ("Give ", "Put ", "Use ", "Write ")


class Row(NamedTuple):
    """Something that one side refuses and the other one takes, for a reason."""

    reason: str
    refused_by: str
    says: Callable[[str], bool]
    """Whether a sentence of the side that refuses is of this kind."""


ROWS = (
    Row(
        "the local SageMaker has no Athena, Redshift, Feature Store, pipes and no images' own entrypoints",
        "local",
        lambda rule: rule.startswith("The local SageMaker "),
    ),
    Row(
        "the request has the preferences alone, and the user gave an instance type beside them",
        "client",
        lambda rule: rule == "can't be combined with instance_preferences",
    ),
    Row(
        "no report says what the service does with an output around or inside an input: it uploads what was read",
        "client",
        lambda rule: rule.startswith("overlaps "),
    ),
    Row(
        "no report says what the service does with two outputs of one folder: both get all of it",
        "client",
        lambda rule: rule.startswith("is the container path of outputs["),
    ),
)


class JobOutcome(NamedTuple):
    """What one side says of a definition: nothing if it takes it."""

    client: list[str]
    local: list[str]


@pytest.fixture
def judge(bench: Bench, tmp_path: Path):
    """Asks both sides about the definition of a number.

    The jobs have a name that is taken, which the server looks at last: so none of them runs.
    """
    bench.end(bench.create(["true"], name=TAKEN))
    file = tmp_path / "run.py"
    file.touch()
    client = boto3.client(
        "sagemaker",
        endpoint_url=bench.server.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=bench.server.key.access_key_id,
        aws_secret_access_key=bench.server.key.secret_access_key,
        config=Config(parameter_validation=False),
    )
    operation = client.meta.service_model.operation_model("CreateProcessingJob")

    def judged(number: int) -> JobOutcome:
        definition = generated(number, job_name=TAKEN, local_file=str(file))
        try:
            check_definition(definition, operation)
            of_client = []
        except DefinitionError as error:
            of_client = [problem.rule for problem in error.problems]
        plan = plan_submission(
            definition, role_arn=str(definition.role), key=default_keys("bucket", None), operation=operation
        )
        return JobOutcome(of_client, refusal_of(client, plan.request))

    yield judged
    client.close()


def refusal_of(client: Any, request: dict[str, Any]) -> list[str]:
    with pytest.raises(ClientError) as caught:
        client.create_processing_job(**request)
    error = caught.value.response["Error"]
    if error["Code"] == "ResourceInUse":
        return []
    return [sentence for sentence in error["Message"].split(". ") if not sentence.startswith(ADVICE)]


def test_neither_side_takes_what_the_other_refuses(judge: Callable[[int], JobOutcome]):
    unexplained, agreed, seen = [], {True: 0, False: 0}, set()
    for number in range(COUNT):
        outcome = judge(number)
        if bool(outcome.client) == bool(outcome.local):
            agreed[bool(outcome.client)] += 1
            continue
        side = "client" if outcome.client else "local"
        rules = outcome.client or outcome.local
        rows = [next((row for row in ROWS if row.refused_by == side and row.says(rule)), None) for rule in rules]
        seen |= {*rows}
        if None in rows:
            unexplained.append((number, side, rules))
    assert unexplained == [], chr(10).join(map(str, unexplained))
    assert seen == {*ROWS}, "a row that explains nothing"
    assert min(agreed.values()) > COUNT / 10, "the definitions say little"
