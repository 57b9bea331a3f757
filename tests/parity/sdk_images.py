"""The SDK's answers about images, told as JSON; runs in the SDK's own environment.

A JSON list of `[function, keyword arguments]` comes in on standard input. What goes out, to a file, is a list with the
URI for each, or null where the SDK refuses. `tables` instead of a list asks for the tables that the SDK looks into.
"""

from __future__ import annotations

import functools
import importlib
import json
import logging
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

FRAMEWORKS = (
    "clarify",
    "data-wrangler",
    "huggingface",
    "model-monitor",
    "mxnet",
    "pytorch",
    "sagemaker-geospatial",
    "sklearn",
    "spark",
    "tensorflow",
    "xgboost",
)
"""Those that the SDK has processors for, and those whose images do nothing but processing and monitoring."""
SCOPES = ("training", "inference", "processing", "monitoring")
"""What the images are for; a processing job has neither Graviton nor Elastic Inference."""
CPU, GPU, P2, P4D = "ml.m5.xlarge", "ml.g5.xlarge", "ml.p2.xlarge", "ml.p4d.24xlarge"

image_uris: Any = importlib.import_module("sagemaker.image_uris")
Version: Any = importlib.import_module("packaging.version").Version
utils: Any = importlib.import_module("sagemaker.utils")
# The SDK reads its files again for each question, and these never change.
image_uris.config_for_framework = functools.cache(image_uris.config_for_framework)
utils._botocore_resolver = functools.cache(utils._botocore_resolver)


def answered(function: str, arguments: dict[str, Any]) -> str | None:
    """Return the URI; None if the SDK refuses, by whatever error."""
    try:
        uri: str = getattr(image_uris, function)(**arguments)
    except Exception:  # noqa: BLE001  # it has ValueError, KeyError, TypeError and UnboundLocalError
        return None
    return uri


def tables() -> dict[str, Any]:
    """Return what images there are, by framework and scope, and what the SDK's own code adds to its files."""
    frameworks = {name: scopes(image_uris.config_for_framework(name)) for name in FRAMEWORKS}
    return {
        "sdk": importlib.import_module("importlib.metadata").version("sagemaker"),
        "domains": domains(frameworks),
        "frameworks": frameworks,
        "cuda_tags": cuda_tags(frameworks),
        "without_p2": without_p2(frameworks),
    }


def scopes(config: dict[str, Any]) -> dict[str, Any]:
    """Return a framework's tables by scope, whichever of the SDK's two forms its file has."""
    if "scope" in config:
        config = {scope: {key: config[key] for key in config if key != "scope"} for scope in config["scope"]}
    return {scope: config[scope] for scope in SCOPES if scope in config}


def domains(frameworks: Any) -> dict[str, str]:
    """Return the domain of each region where it isn't amazonaws.com."""
    regions = sorted({region for entry in entries(frameworks) for region in entry.get("registries", ())})
    found = {}
    for region in regions:
        endpoint = utils._botocore_resolver().construct_endpoint("ecr", region)
        domain = re.sub(rf"^ecr\.{region}\.", "", endpoint["hostname"] if endpoint else "amazonaws.com")
        if domain != "amazonaws.com":
            found[region] = domain
    return found


def entries(value: Any) -> Iterator[dict[str, Any]]:
    """Yield all dicts within a table."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from entries(item)


def training_cases(frameworks: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each framework, version and Python that the SDK has GPU images of, with the arguments that ask for it."""
    for framework in ("mxnet", "pytorch", "tensorflow"):
        table = frameworks[framework]["training"]
        aliases = table.get("version_aliases", {})
        for version in [*table["versions"], *aliases]:
            entry = table["versions"][aliases.get(version, version)]
            for python in entry.get("py_versions") or entry:
                arguments = {"framework": framework, "region": "us-west-2", "image_scope": "training"}
                yield framework, version, {**arguments, "version": version, "py_version": python}


def cuda_tags(frameworks: Any) -> dict[str, str]:
    """Return what ends the tags of old images for distributed training, by framework and tag."""
    found = {}
    for framework, _, arguments in training_cases(frameworks):
        plain = answered("retrieve", {**arguments, "instance_type": GPU})
        for_p4d = answered("retrieve", {**arguments, "instance_type": P4D})
        if plain and for_p4d and plain != for_p4d:
            found[f"{framework}-{plain.partition(':')[2]}"] = for_p4d.removeprefix(f"{plain}-")
    return found


def without_p2(frameworks: Any) -> dict[str, str]:
    """Return the first version of each framework that the SDK refuses to run on P2 instances."""
    refused: dict[str, list[str]] = {}
    for framework, version, arguments in training_cases(frameworks):
        on_others = answered("retrieve", {**arguments, "instance_type": GPU})
        if on_others and not answered("retrieve", {**arguments, "instance_type": P2}):
            refused.setdefault(framework, []).append(version)
    return {framework: min(versions, key=lambda it: (Version(it), len(it))) for framework, versions in refused.items()}


if __name__ == "__main__":
    logging.disable()
    asked = json.load(sys.stdin)
    told: Any = tables() if asked == "tables" else [answered(*question) for question in asked]
    Path(sys.argv[1]).write_text(json.dumps(told))
