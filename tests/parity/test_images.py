"""Our images are the SDK's, of every framework for processing jobs, version, Python and region."""

from __future__ import annotations

import json
import re
from itertools import cycle, product
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing import image_uris
from airflow_sm_processing.exceptions import DefinitionError

from .image_tables import TABLES, ask_sdk, compact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Question = tuple[str, dict[str, Any]]
INSTANCES = (None, "ml.m5.xlarge", "ml.c7i-flex.large", "ml.g5.xlarge", "ml.p2.xlarge", "local_gpu", "m5")
"""In one region; in the others, one for each processor."""
DISTRIBUTION = {"smdistributed": {"dataparallel": {"enabled": True}}}
SDK_PROCESSORS = ("mxnet", "pytorch", "sklearn", "tensorflow", "xgboost")
"""Whose image the SDK's FrameworkProcessor finds by itself."""


@pytest.fixture(scope="module")
def tables() -> dict[str, Any]:
    sdks: dict[str, Any] = ask_sdk("tables")
    return sdks


@pytest.fixture(scope="module")
def sdk(tables: dict[str, Any]) -> dict[str, str | None]:
    """The SDK's answers to all questions, asked at once: its import takes longer than thousands of answers."""
    asked = [*retrievals(tables["frameworks"]), *(question for _, question in short_forms(tables["frameworks"]))]
    return dict(zip(map(json.dumps, asked), ask_sdk(asked), strict=True))


def test_the_package_has_the_tables_of_the_sdk_that_is_pinned(tables: dict[str, Any]) -> None:
    ours = json.loads(TABLES.read_text())
    assert ours.pop("date")
    assert ours == compact(tables), "run `make images`"


def test_each_answer_of_the_sdk_is_ours(
    tables: dict[str, Any], sdk: dict[str, str | None], proven: Callable[..., None]
) -> None:
    questions = list(retrievals(tables["frameworks"]))
    pairs = [(asked, sdk[json.dumps(asked)], answer_to(image_uris.retrieve, **asked[1])) for asked in questions]
    assert [pair for pair in pairs if pair[1] != pair[2]][:10] == []
    assert sum(answer is not None for _, answer, _ in pairs) > 20_000
    proven(generated=len(pairs))


def test_a_short_form_is_the_image_that_the_sdks_processor_takes(
    tables: dict[str, Any], sdk: dict[str, str | None], proven: Callable[..., None]
) -> None:
    forms = list(short_forms(tables["frameworks"]))
    pairs = [(form, sdk[json.dumps(asked)], answer_to(resolved, *form)) for form, asked in forms]
    assert [pair for pair in pairs if pair[1] != pair[2]][:10] == []
    assert sum(answer is not None for _, answer, _ in pairs) > 5_000
    proven(generated=len(pairs))


def test_a_framework_without_a_scope_has_the_images_that_the_sdks_processors_take() -> None:
    for framework, version in [("pytorch", "2.3"), ("tensorflow", "2.19"), ("mxnet", "1.9"), ("xgboost", "1.7-1")]:
        asked: Any = {"framework": framework, "region": "us-west-2", "version": version, "instance_type": "local"}
        assert image_uris.retrieve(**asked) == image_uris.retrieve(**asked, image_scope="training")


def resolved(short: str, region: str, instance_type: str) -> str:
    return image_uris.resolve(short, region, [instance_type]).uri


def answer_to(ask: Callable[..., str], *arguments: Any, **options: Any) -> str | None:
    try:
        return ask(*arguments, **options)
    except DefinitionError:
        return None


def retrievals(frameworks: dict[str, Any]) -> Iterator[Question]:
    yield from (("retrieve", arguments) for arguments in arguments_of_all(frameworks))


def arguments_of_all(frameworks: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for framework, scopes in frameworks.items():
        for scope, table in scopes.items():
            for version, base, pythons, regions in versions(table):
                asked = {"framework": framework, "image_scope": scope, "version": version}
                if base is not None:
                    asked["base_framework_version"] = base
                yield from everywhere(asked, pythons, [*regions, "eu-nowhere-1"])
            unknown = {"framework": framework, "image_scope": scope, "region": "us-west-2", "py_version": None}
            yield {**unknown, "version": "77.7", "instance_type": "ml.m5.xlarge"}
            if framework != "huggingface":  # the SDK's tag would end in `transformersNone`
                yield {**unknown, "version": None, "instance_type": "ml.m5.xlarge"}


def everywhere(asked: dict[str, Any], pythons: list[str | None], regions: list[str]) -> Iterator[dict[str, Any]]:
    only_gpu = asked["framework"] == "huggingface"
    for region, processor in zip(regions, cycle(["local_gpu" if only_gpu else "local", "local_gpu"]), strict=False):
        yield {**asked, "py_version": [*pythons, None][0], "region": region, "instance_type": processor}
    for python, instance_type in product([*pythons, None, "py99"], INSTANCES):
        there = {**asked, "py_version": python, "region": "us-west-2", "instance_type": instance_type}
        yield from (there, {**there, "distribution": DISTRIBUTION}, {**there, "container_version": "v1.3"})


def versions(table: dict[str, Any]) -> Iterator[tuple[str, str | None, list[str | None], list[str]]]:
    """Yield each version and alias, each base version and alias below it, and its Pythons and regions."""
    for version, meant in {**{name: name for name in table["versions"]}, **table.get("version_aliases", {})}.items():
        entry = table["versions"][meant]
        bases = entry.get("version_aliases", {})
        for base, name in {**{name: name for name in bases.values()}, **bases}.items():
            yield version, base, entry[name].get("py_versions", []), [*entry[name]["registries"]]
        if "repository" in entry:
            yield version, None, entry.get("py_versions", []), [*entry["registries"]]
        elif not bases:
            yield version, None, [*entry], [*entry["py3"]["registries"]]


def short_forms(frameworks: dict[str, Any]) -> Iterator[tuple[tuple[str, str, str], Question]]:
    """Yield a short form, a region and an instance type, and what asks the SDK for the image of its processor."""
    for framework in (*SDK_PROCESSORS, "huggingface"):
        for version, base, pythons, regions in versions(frameworks[framework]["training"]):
            python = next(iter(pythons), None)
            short = "-".join(part for part in (f"{framework}:{version}", base, python) if part)
            asked = {"framework": framework, "framework_version": version, "py_version": python, **of_base(base)}
            for region in regions if version != "latest" else ():  # which is of the year 2017
                question = {**asked, "region": region, "instance_type": "ml.g5.xlarge"}
                yield (short, region, "ml.g5.xlarge"), ("get_training_image_uri", question)
    for framework in ("clarify", "data-wrangler", "model-monitor", "spark"):
        for version, _, _, regions in versions(next(iter(frameworks[framework].values()))):
            for region in regions:
                asked = {"framework": framework, "region": region, "version": version, "instance_type": "ml.m5.xlarge"}
                yield (f"{framework}:{version}".rstrip(":"), region, "ml.m5.xlarge"), ("retrieve", asked)


def of_base(base: str | None) -> dict[str, str | None]:
    """Return the argument that a Hugging Face processor takes for the framework below it."""
    return {} if base is None else {f"{name}_version": version for name, version in re.findall(r"([a-z]+)(.*)", base)}
