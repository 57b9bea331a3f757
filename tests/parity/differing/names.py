"""Generated names are legal."""

from __future__ import annotations

from typing import Any

from tests.parity.case import Case
from tests.parity.difference import Difference, base_name, outcome


def _case(name: str, **run: Any) -> Case:
    return Case(name=name, runs=(run,))


def _named_from(name: str, **init: Any) -> Case:
    return Case(name=name, init=init)


DIFFERENCES = (
    Difference(
        case=_named_from("name from an image with a digest", image_uri="registry/sklearn@sha256:0f"),
        reason="SageMaker allows no @ in a name",
        see=base_name,
        sdk="sklearn@sha256",
        ours="sklearn",
    ),
    Difference(
        case=_named_from("name from an image with tag and digest", image_uri="registry/sklearn:1@sha256:0f"),
        reason="the SDK takes the whole URI, which is no legal name",
        see=base_name,
        sdk="registry/sklearn:1@sha256:0f",
        ours="sklearn",
    ),
    Difference(
        case=_named_from("name from an image with underscores", image_uri="registry/my_image.v2:1"),
        reason="SageMaker allows neither _ nor . in a name",
        see=base_name,
        sdk="my_image.v2",
        ours="my-image-v2",
    ),
    Difference(
        case=_named_from("an image by its short form", image_uri="sklearn:1.2-1"),
        reason="the SDK sends it as it is, and SageMaker pulls from ECR only",
        see=lambda wire: wire.request["AppSpecification"]["ImageUri"],
        sdk="sklearn:1.2-1",
        ours="246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
    ),
    Difference(
        case=_named_from("name from a base with underscores", base_job_name="my_job"),
        reason="a generated name is made legal",
        see=base_name,
        sdk="my_job",
        ours="my-job",
    ),
    Difference(
        case=_case("given name that is illegal", job_name="my_job"),
        reason="a given name isn't changed; it is refused before anything is sent",
        see=outcome,
        sdk="created",
        ours="DefinitionError",
    ),
)
