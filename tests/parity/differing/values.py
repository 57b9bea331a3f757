"""Numbers, truth values and None where a request has text."""

from __future__ import annotations

from tests.parity.case import Case
from tests.parity.difference import Difference, outcome, specification

DIFFERENCES = (
    Difference(
        case=Case(name="numbers in arguments", runs=({"arguments": ["--rows", 10, 0.5, True]},)),
        reason="the SDK hands them to botocore, which refuses them; here they are written as in its tags",
        see=specification,
        sdk=("ParamValidationError", []),
        ours=("created", [{"ContainerArguments": ["--rows", "10", "0.5", "True"]}]),
    ),
    Difference(
        case=Case(name="numbers in the environment", init={"env": {"ROWS": 10, "FLAG": True}}),
        reason="as in arguments",
        see=outcome,
        sdk="ParamValidationError",
        ours="created",
    ),
    Difference(
        case=Case(name="a number in a list of tags", init={"tags": [{"Key": "cost", "Value": 7}]}),
        reason="the SDK writes a dictionary's numbers as text, a list's not",
        see=outcome,
        sdk="ParamValidationError",
        ours="created",
    ),
    Difference(
        case=Case(name="None as a tag", init={"tags": {"owner": None}}),
        reason="the SDK sends the text None",
        see=outcome,
        sdk="created",
        ours="DefinitionError",
    ),
)
