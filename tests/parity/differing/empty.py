"""What is empty is left out."""

from __future__ import annotations

from typing import Any

from tests.parity.case import Case, network_config
from tests.parity.difference import Difference, outcome, sent, specification


def _case(name: str, **run: Any) -> Case:
    return Case(name=name, runs=(run,))


DIFFERENCES = (
    Difference(
        case=_case("empty arguments", arguments=[]),
        reason="SageMaker refuses an empty list, which says nothing",
        see=specification,
        sdk=("ParamValidationError", []),
        ours=("created", [{}]),
    ),
    Difference(
        case=Case(name="empty entrypoint", init={"entrypoint": []}),
        reason="SageMaker refuses an empty list, which says nothing",
        see=specification,
        sdk=("ParamValidationError", []),
        ours=("created", [{}]),
    ),
    Difference(
        case=Case(name="empty list of tags", init={"tags": []}),
        reason="an empty list says nothing",
        see=sent("Tags"),
        sdk=[],
        ours="absent",
    ),
    Difference(
        case=Case(name="empty dictionary of tags", init={"tags": {}}),
        reason="an empty list says nothing",
        see=sent("Tags"),
        sdk=[],
        ours="absent",
    ),
    Difference(
        case=Case(name="empty VPC", init={"network_config": network_config(subnets=[], security_group_ids=[])}),
        reason="SageMaker refuses an empty list, which says nothing",
        see=outcome,
        sdk="ParamValidationError",
        ours="created",
    ),
)
