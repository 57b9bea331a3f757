"""The URIs of AWS's own images: the SageMaker SDK's `image_uris.retrieve`, and short forms such as `sklearn:1.4-2`.

The tables beside this file are the SDK's; `make images` generates them. They are read on first use, never while a DAG
file is parsed.
"""

from __future__ import annotations

import difflib
import json
import re
from bisect import bisect
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_sm_processing.exceptions import DefinitionError, Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

__all__ = [
    "ImageVersion",
    "NamedImage",
    "frameworks",
    "image_versions",
    "is_short_form",
    "newest_image",
    "resolve",
    "retrieve",
    "short_form_problems",
    "tables_origin",
]

_SHORT_FORM = re.compile(
    r"(?P<framework>[a-z][a-z0-9-]{0,40})"
    r"(:(?P<version>\d[\w.]{0,20}(-\d{1,3})?)(-(?P<base>(pytorch|tensorflow)[\d.]{1,12}))?"
    r"(-(?P<processor>cpu|gpu))?(-(?P<python>py\d{1,4}))?)?",
    re.ASCII,
)
_FORM_RULE = (
    "must be a framework, a colon and a version, such as sklearn:1.4-2 or pytorch:2.3-gpu-py311, or an image's URI; "
    "airflow-sm-processing images lists them"
)
_SURELY_MEANT = 0.8  # difflib's ratio: with it, `sklern` is taken for sklearn, but `python` not for pytorch
_FAMILY = re.compile(r"ml[._]([a-z\d-]+)\.?\w*")
_OTHER_PROCESSOR = re.compile(r"(inf|trn)\d|[a-z]+\d+g")  # Inferentia, Trainium and Graviton, as AWS names them
_LOCAL_CPU, _LOCAL_GPU = "local", "local_gpu"  # the SDK's instance types that only name the processor
_HUGGING_FACE, _SPARK = "huggingface", "spark"
_HUGGING_FACE_CONTAINER = "cu110-ubuntu18.04"  # the SDK's default; a version in the tables takes precedence


class NamedImage(NamedTuple):
    """The image that a short form means."""

    uri: str
    newer: str | None
    """The short form of the newest version in that region, if it is a newer one."""


class ImageVersion(NamedTuple):
    """A version of a framework for which there are images."""

    image: str
    """Its short form."""
    pythons: tuple[str, ...]
    processors: tuple[str, ...]
    regions: tuple[str, ...]


class _Release(NamedTuple):
    """The tables' entry for one version and one Python."""

    framework: str
    version: str
    """The version as it was asked for: 2.3 may mean 2.3.0."""
    base: str | None
    python: str | None
    processors: Sequence[str]
    entry: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its name in messages."""
        return f"{self.framework} {self.version}".rstrip()


# The tables


@cache
def _tables() -> dict[str, Any]:
    tables: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    return tables


@cache
def _accounts(registries: int) -> dict[str, str]:
    """Return the registry's account in each region that has the image."""
    by_account = _tables()["registries"][registries]
    return {region: account for account, regions in by_account.items() for region in regions}


def tables_origin() -> str:
    """Return the source and date of the tables."""
    return f"SageMaker SDK {_tables()['sdk']}, read on {_tables()['date']}"


def frameworks() -> list[str]:
    """Return the frameworks that have images for processing jobs."""
    return list(_tables()["frameworks"])


def _table(framework: object, scope: object = None) -> Mapping[str, Any]:
    """Return a framework's table for a scope; for None, that of the images that processing jobs use."""
    known: dict[str, dict[str, Any]] = _tables()["frameworks"]
    if not isinstance(framework, str) or framework not in known:
        raise _refusal("framework", framework, f"there is no such framework: {_nearest(framework, known)}")
    scopes = known[framework]
    if scope is None or len(scopes) == 1:
        return next(iter(scopes.values()))
    if not isinstance(scope, str) or scope not in scopes:
        raise _refusal("image_scope", scope, f"{framework} has images for {_listed(scopes)}")
    return scopes[scope]  # type: ignore[no-any-return]  # it is JSON


def _version_names(table: Mapping[str, Any]) -> dict[str, str]:
    """Return the shortest name of each version in a table, such as `2.3`, with its full one, 2.3.0; oldest first."""
    aliases = {version: alias for alias, version in table.get("version_aliases", {}).items() if alias != "latest"}
    names = {aliases.get(version, version): version for version in table["versions"]}
    return dict(sorted(names.items(), key=lambda item: _numbers(item[1])))


def _entries(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a version's entries in the tables: one, or one for each Python or base framework."""
    if "repository" in entry:
        yield entry
    else:
        yield from (item for name, item in entry.items() if name != "version_aliases")


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


# The SDK's function


def retrieve(
    framework: str,
    region: str,
    version: str | None = None,
    py_version: str | None = None,
    instance_type: str | None = None,
    accelerator_type: str | None = None,
    image_scope: str | None = None,
    container_version: str | None = None,
    distribution: Mapping[str, Any] | None = None,
    base_framework_version: str | None = None,
) -> str:
    """Return the URI of an image, as the SDK's `image_uris.retrieve` does.

    Args:
        framework: Such as `sklearn`.
        region: AWS region.
        version: The framework's version; if None, the one that the SDK takes for the latest.
        py_version: Such as `py39`; needed where a version has images for several Pythons.
        instance_type: Needed where the images for CPUs and GPUs differ.
        accelerator_type: Must be None, since processing jobs have no Elastic Inference.
        image_scope: `training`, `inference`, `processing` or `monitoring`; what processing jobs use if None.
        container_version: The end of the tag, for Spark and Hugging Face.
        distribution: The kind of distributed training, for which some old versions have separate images.
        base_framework_version: For Hugging Face, such as `pytorch2.8`.

    Raises:
        DefinitionError: There is no such image. The error names the nearest ones.
    """
    if accelerator_type is not None:
        raise _refusal("accelerator_type", accelerator_type, "processing jobs have no Elastic Inference")
    release = _release(framework, image_scope, version, base_framework_version, py_version)
    repository = _repository(release, region)
    processor = _processor(release, instance_type)
    tag = _tag(release, processor, _container_version(release, processor, container_version))
    if _family(instance_type) == "p4d" or (instance_type and "smdistributed" in (distribution or ())):
        tag = _joined(tag, _tables()["cuda_tags"].get(f"{framework}-{tag}"))
    return f"{repository}:{tag}" if tag else repository


def _release(framework: Any, scope: Any, version: Any, base: Any, python: Any) -> _Release:
    table = _table(framework, scope)
    version = _version(framework, table, version)
    image = _joined(f"{framework}:{version}" if version else framework)
    entry = table["versions"][table.get("version_aliases", {}).get(version, version)]
    if framework == _HUGGING_FACE:
        entry = _of_base(image, entry, base)
        image = f"{image}-{base}"
    python = _python(image, entry, python, is_optional=framework == _SPARK)
    entry = entry.get(python) or entry
    processors = table.get("processors") or entry.get("processors") or ()
    return _Release(framework, version, base, python, processors, entry)


def _version(framework: str, table: Mapping[str, Any], version: object) -> str:
    """Return the version that is meant. Like the SDK, ignore what was asked for if there is only one version."""
    versions, aliases = table["versions"], table.get("version_aliases", {})
    if len(versions) == 1 and version not in list(aliases):
        return next(iter(versions))  # type: ignore[no-any-return]  # it is JSON
    if version is None and framework != _HUGGING_FACE:
        latest: str = aliases.get("latest") or max(versions, key=_numbers)
        return latest
    if isinstance(version, str) and (version in versions or version in aliases):
        return version
    raise _no_version(framework, table, version)


def _no_version(framework: str, table: Mapping[str, Any], version: object) -> DefinitionError:
    names = list(_version_names(table))
    position = bisect([_numbers(name) for name in names], _numbers(version)) if isinstance(version, str) else len(names)
    near = names[max(0, position - 2) : position + 1][::-1]
    verb = "is" if len(near) == 1 else "are"
    rule = f"{framework} has no such version; the nearest {verb} {_listed(near)} ({tables_origin()})"
    return _refusal("version", version, f"{rule}. For an image that isn't in the tables, use its full URI")


def _of_base(image: str, entry: Mapping[str, Any], base: object) -> Mapping[str, Any]:
    """Return a Hugging Face version's entry for the PyTorch or TensorFlow version that it is based on."""
    aliases: dict[str, str] = entry["version_aliases"]
    if isinstance(base, str) and base in {*aliases, *aliases.values()}:
        return entry[aliases.get(base, base)]  # type: ignore[no-any-return]  # it is JSON
    rule = f"{image} is on top of {_listed(aliases)}: write {_listed([f'{image}-{name}' for name in aliases], 'or')}"
    raise _refusal("base_framework_version", base, rule)


def _python(image: str, entry: Mapping[str, Any], python: object, *, is_optional: bool) -> str | None:
    """Return the Python that is meant; None if the tag has none."""
    known: Sequence[str] = entry.get("py_versions", ()) if "repository" in entry else list(entry)
    if not known or (python is None and is_optional):
        return None
    if python is None and len(known) == 1:
        return known[0]
    if isinstance(python, str) and python in known:
        return python
    rule = f"{image} has images with {_listed(known)}: write {_listed([f'{image}-{name}' for name in known], 'or')}"
    raise _refusal("py_version", python, rule)


def _repository(release: _Release, region: object) -> str:
    """Return the image's URI without its tag."""
    accounts = _accounts(release.entry["registries"])
    if not isinstance(region, str) or region not in accounts:
        rule = f"{release.name} has no image in the region {str(region)[:40]!r}: {_nearest(region, accounts)}"
        raise _refusal("region", region, f"{rule} ({tables_origin()})")
    domain = _tables()["domains"].get(region, "amazonaws.com")
    return f"{accounts[region]}.dkr.ecr.{region}.{domain}/{release.entry['repository']}"


def _processor(release: _Release, instance_type: object) -> str | None:
    """Return `cpu` or `gpu`; None if the tag has neither."""
    family, known = _family(instance_type), release.processors
    refused = _family_rule(release, family)
    if refused:
        raise _refusal("instance_type", instance_type, refused)
    if not known or (instance_type is None and len(known) == 1):
        return next(iter(known), None)
    if not family and instance_type not in (_LOCAL_CPU, _LOCAL_GPU):
        rule = f"{release.name} has images for {_listed(known)}: an instance type, such as ml.m5.xlarge, decides"
        raise _refusal("instance_type", instance_type, rule)
    processor = "gpu" if instance_type == _LOCAL_GPU or family.startswith(("g", "p")) else "cpu"
    if processor not in known:
        rule = f"{release.name} has images for {_listed(known)} only: choose another instance type than for {processor}"
        raise _refusal("instance_type", instance_type, rule)
    return processor


def _family_rule(release: _Release, family: str) -> str | None:
    """Return why an instance family can't be used; None if it can."""
    if _OTHER_PROCESSOR.match(family):
        return "no processing job runs on Graviton, Inferentia or Trainium: choose another instance type"
    first = _tables()["without_p2"].get(release.framework)
    if family == "p2" and first and _numbers(release.version) >= _numbers(first):
        return f"{release.framework} doesn't run on P2 instances from {first} on: choose another instance type"
    return None


def _family(instance_type: object) -> str:
    """Return the family of an instance type, `m5` for `ml.m5.xlarge`; an empty string for anything else."""
    found = _FAMILY.fullmatch(instance_type) if isinstance(instance_type, str) else None
    return found[1] if found else ""


def _container_version(release: _Release, processor: str | None, asked: str | None) -> str | None:
    known: Mapping[str | None, str] = release.entry.get("container_version", {})
    if asked is None or known or release.framework in {_HUGGING_FACE, _SPARK}:
        return known.get(processor, asked)
    raise _refusal("container_version", asked, f"the tags of {release.framework} end in none: leave it out")


def _tag(release: _Release, processor: str | None, container_version: str | None) -> str:
    prefix = release.entry.get("tag_prefix", release.version)
    if release.framework == _HUGGING_FACE:
        number = re.sub("^(pytorch|tensorflow)", "", str(release.base))
        prefix = f"{number}-transformers{release.version}"
    return _joined(prefix, processor, release.python, container_version)


def _joined(*parts: str | None) -> str:
    return "-".join(part for part in parts if part)


# Short forms


def is_short_form(text: str, parameter: str) -> bool:
    """Return whether an image is a short form, and not a URI.

    In `image`, everything without a slash is a short form. In `image_uri`, which the SDK sends unchanged, only a text
    that begins with a framework, or with an obvious misspelling of one, and a colon.
    """
    if "/" in text:
        return False
    framework, colon, _ = text.partition(":")
    is_framework = colon and difflib.get_close_matches(framework[:50], frameworks(), n=1, cutoff=_SURELY_MEANT)
    return parameter == "image" or bool(is_framework)


def short_form_problems(text: str, parameter: str) -> Iterator[Problem]:
    """Yield what is wrong with an image's form, without reading the tables."""
    if "/" not in text and not _SHORT_FORM.fullmatch(text):
        yield Problem(parameter, text, _FORM_RULE)


def resolve(text: str, region: str, instance_types: Collection[str] = ()) -> NamedImage:
    """Return the image that a short form means.

    Args:
        text: Such as `sklearn:1.4-2`, `spark:3.5-py312`, `pytorch:2.3-gpu` or `huggingface:4.56-pytorch2.8`.
        region: Where the job runs.
        instance_types: Those that the job may run on; they decide whether the image is one for GPUs.

    Raises:
        DefinitionError: There is no such image. The error names the nearest ones.
    """
    found = _SHORT_FORM.fullmatch(text)
    if found is None:
        raise _refusal("image", text, _FORM_RULE)
    framework = found["framework"]
    version = _short_version(framework, found["version"])
    given = {"cpu": _LOCAL_CPU, "gpu": _LOCAL_GPU}.get(found["processor"])
    uris = {
        retrieve(
            framework,
            region,
            version,
            py_version=found["python"],
            instance_type=given or instance_type,
            container_version=_HUGGING_FACE_CONTAINER if framework == _HUGGING_FACE else None,
            base_framework_version=found["base"],
        )
        for instance_type in instance_types or (None,)
    }
    if len(uris) > 1:
        rule = f"the images for cpu and gpu instances differ: end it in -cpu or -gpu, as in {framework}:{version}-cpu"
        raise _refusal("image", text, rule)
    return NamedImage(uris.pop(), _newer(framework, version, region))


def _short_version(framework: str, version: str | None) -> str:
    """Return a short form's version, which must be right even where the SDK would ignore it."""
    table = _table(framework)
    if version is None and len(table["versions"]) > 1:
        raise _refusal(
            "version", version, f"lacks a version; the newest is {newest_image(framework)} ({tables_origin()})"
        )
    if version is not None and version not in {*table["versions"], *table.get("version_aliases", ())}:
        raise _no_version(framework, table, version)
    return next(iter(table["versions"])) if version is None else version


def _newer(framework: str, version: str, region: str) -> str | None:
    newest = newest_image(framework, region)
    table = _table(framework)
    actual = table.get("version_aliases", {}).get(version, version)
    found = _SHORT_FORM.fullmatch(newest or "")
    name = found["version"] if found else None
    return newest if name and _numbers(_version_names(table)[name]) > _numbers(actual) else None


def newest_image(framework: str, region: str | None = None) -> str | None:
    """Return the short form of a framework's newest version, in a region; None if there is none."""
    images = [item.image for item in image_versions(framework) if region is None or region in item.regions]
    return images[0] if images else None


def image_versions(framework: str) -> list[ImageVersion]:
    """Return the versions of the images that processing jobs use, the newest first.

    Raises:
        DefinitionError: There is no such framework. The error names the nearest ones.
    """
    table = _table(framework)
    found = []
    for name, version in _version_names(table).items():
        entry = table["versions"][version]
        image = f"{framework}:{name}" if name else framework
        aliases: Mapping[str, str] = entry.get("version_aliases", {})
        parts = [(f"{image}-{alias}", entry[base]) for alias, base in aliases.items()] or [(image, entry)]
        found += [_image_version(short, part, table.get("processors", ())) for short, part in parts]
    return found[::-1]


def _image_version(image: str, entry: Mapping[str, Any], processors: Iterable[str]) -> ImageVersion:
    entries = list(_entries(entry))
    pythons = entry.get("py_versions", ()) if "repository" in entry else entry
    regions = dict.fromkeys(region for item in entries for region in _accounts(item["registries"]))
    chosen = processors or entries[0].get("processors", ())
    return ImageVersion(image, tuple(pythons), tuple(chosen), tuple(sorted(regions)))


# Error messages


def _refusal(parameter: str, value: object, rule: str) -> DefinitionError:
    return DefinitionError([Problem(parameter, value, rule)], subject="an image")


def _nearest(word: object, known: Iterable[str]) -> str:
    """Return the most similar names, or all names if none is similar."""
    names = list(known)
    near = difflib.get_close_matches(word[:50], names, n=3) if isinstance(word, str) else []
    return f"did you mean {_listed(near, 'or')}?" if near else f"there are {_listed(names)}"


def _listed(names: Iterable[str], word: str = "and") -> str:
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last
