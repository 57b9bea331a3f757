"""Job names: given, or made from a base or from the image."""

from __future__ import annotations

from tests.parity.case import Case

REGISTRY = "123456789012.dkr.ecr.us-west-2.amazonaws.com"


def _named(name: str, **init: str) -> Case:
    return Case(name=f"job name from {name}", init=init)


CASES = (
    Case(name="job name given", runs=({"job_name": "nightly-2026"},)),
    Case(name="job name given is not cut", runs=({"job_name": "a" * 63},)),
    Case(name="job name given wins over the base", init={"base_job_name": "base"}, runs=({"job_name": "chosen"},)),
    _named("a base", base_job_name="nightly"),
    _named("a base of one letter", base_job_name="a"),
    _named("a base that just fits", base_job_name="b" * 39),
    _named("a base that is cut", base_job_name="b" * 40),
    _named("a very long base", base_job_name="long-base-" * 20),
    _named("a base that is cut after a hyphen", base_job_name="b" * 38 + "-tail"),
    _named("a base in upper case", base_job_name="NightlyBuild"),
    _named("an empty base, so from the image", base_job_name=""),
    _named("an image with registry and tag", image_uri=f"{REGISTRY}/sklearn:1.2-1"),
    _named("an image without a tag", image_uri=f"{REGISTRY}/sklearn"),
    _named("an image in nested repositories", image_uri=f"{REGISTRY}/team/ml/sklearn:latest"),
    _named("an image of a registry with a port", image_uri="registry.example.com:5000/team/sklearn:1"),
    _named("an image of a registry with a port, without a tag", image_uri="localhost:5000/sklearn"),
    _named("an image without a registry", image_uri="tools:1"),
    _named("a bare image", image_uri="sklearn"),
    _named("an image in upper case", image_uri=f"{REGISTRY}/SKLearn:1"),
    _named("an image with a long name", image_uri=f"{REGISTRY}/{'image-' * 12}end:1"),
)
