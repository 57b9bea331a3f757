"""The reference: no public name without its place, no parameter without words, no quantity without its unit.

Where a page repeats what the code says in tables, this file has the table that the code asks for.
"""

from __future__ import annotations

import argparse
import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import griffe
import pytest
import yaml

from airflow_sm_processing.cli.__main__ import _parser as commands
from airflow_sm_processing.local.cli import _parser as local_commands
from airflow_sm_processing.provider_info import get_provider_info
from airflow_sm_processing.xcoms import RESERVED_KEYS, submitted_result

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = DOCS / "reference"
PACKAGE = "airflow_sm_processing"
MODULES = ("", ".processing", ".exceptions", ".decorators", ".image_uris", ".local")
DIRECTIVE = re.compile(r"^::: (\S+)$", re.MULTILINE)
UNITS = {
    "seconds": r"\bseconds?\b",
    "bytes": r"\bbytes\b|\b[KM]iB\b",
    "_gb": r"\bGB\b",
    "interval": r"\bseconds\b",
    "timeout": r"\bseconds\b",
    "max_wait": r"\bseconds\b",
    "capacity_wait": r"\bseconds\b",
    "latency": r"\bseconds\b",
    "grace": r"\bseconds\b",
    "wait_after": r"\bseconds\b",
}
"""What the words of a parameter with this in its name must have."""


@pytest.fixture(scope="module")
def package() -> Any:
    return griffe.load(PACKAGE, search_paths=[str(DOCS.parent)], docstring_parser="google", resolve_aliases=True)


def documented() -> dict[str, str]:
    """Return the path of each object that a page describes, with the page's name."""
    return {path: page.name for page in REFERENCE.glob("*.md") for path in DIRECTIVE.findall(page.read_text())}


def resolved(package: Any, path: str) -> Any:
    found = package[path.removeprefix(f"{PACKAGE}.")]
    return found.final_target if found.is_alias else found


def test_each_public_name_has_its_place_in_the_reference(package: Any) -> None:
    described = {resolved(package, path).path for path in documented()}
    names = [(module, name) for module in MODULES for name in import_module(PACKAGE + module).__all__]
    missing = [
        f"{module}.{name}" for module, name in names if resolved(package, f"{module}.{name}"[1:]).path not in described
    ]
    assert missing == []
    assert len(names) > 80


def words(found: Any) -> dict[str, str]:
    """Return what is said of each parameter and field, of a class by its bases too."""
    if found.is_function:
        return arguments(found)
    said: dict[str, str] = {}
    for cls in reversed([found, *found.mro()]):
        said |= arguments(cls) | (arguments(cls.members["__init__"]) if "__init__" in cls.members else {})
        said |= {
            name: member.docstring.value
            for name, member in cls.members.items()
            if member.is_attribute and member.docstring and not name.startswith("_")
        }
    return said


def arguments(found: Any) -> dict[str, str]:
    if found.docstring is None:
        return {}
    return {
        item.name.lstrip("*"): item.description
        for section in found.docstring.parse("google", warnings=False)
        if section.kind is griffe.DocstringSectionKind.parameters
        for item in section.value
    }


@pytest.mark.parametrize("path", sorted(documented()))
def test_each_parameter_is_described_and_each_quantity_has_its_unit(package: Any, path: str) -> None:
    found = resolved(package, path)
    said = words(found)
    function = found if found.is_function else found.members.get("__init__")
    if function is not None and arguments(function):  # a dataclass describes its fields where it has to
        names = [parameter.name for parameter in function.parameters if parameter.name not in {"self", "cls"}]
        assert [name for name in names if not said.get(name)] == []
    without = [
        f"{name}: {text}"
        for name, text in said.items()
        if any(part in name and not re.search(unit, text, re.IGNORECASE) for part, unit in UNITS.items())
    ]
    assert without == []


def option_rows() -> Iterator[str]:
    yield "| option | type | default | |"
    yield "|---|---|---|---|"
    for name, option in get_provider_info()["config"]["sm_processing"]["options"].items():
        default = f"`{option['default']}`" if option["default"] else "none"
        example = f" Example: `{option['example']}`."
        yield f"| `{name}` | {option['type']} | {default} | {option['description']}{example} |"


def command_rows(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the page's lines about a command line."""
    (choices,) = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for name, command in choices.items():
        yield f"### {parser.prog} {name}"
        description = (command.description or "").strip()
        yield description if description.endswith(".") else f"{description[:1].upper()}{description[1:]}."
        yield "| argument | |"
        for action in command._actions:
            if action.dest != "help":
                flag = action.option_strings[-1] if action.option_strings else f"{action.metavar or action.dest}"
                takes = action.metavar or action.dest.upper() if action.option_strings and action.nargs != 0 else ""
                takes = "\\|".join(action.choices) if action.choices else takes
                yield f"| `{f'{flag} {takes}'.strip()}` | {action.help} |"


def test_the_page_of_options_says_what_airflow_does() -> None:
    text = (REFERENCE / "options.md").read_text()
    assert [row for row in option_rows() if row not in text.splitlines()] == []


@pytest.mark.parametrize("parser", [commands(), local_commands()], ids=lambda parser: parser.prog)
def test_the_page_of_commands_says_what_help_does(parser: argparse.ArgumentParser) -> None:
    text = (REFERENCE / "cli.md").read_text()
    assert [row for row in command_rows(parser) if row not in text] == []


def test_the_page_of_xcoms_has_every_key() -> None:
    text = (REFERENCE / "xcoms.md").read_text()
    keys = {*submitted_result("name", None, {}), *RESERVED_KEYS}
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []


def test_the_page_of_exceptions_has_their_tree() -> None:
    text = (import_module(f"{PACKAGE}.exceptions").__doc__ or "").splitlines()
    tree = [line[4:] for line in text if line.startswith("    ")]
    assert len(tree) > 10
    assert "\n".join(["```text", *tree, "```"]) in (REFERENCE / "exceptions.md").read_text()


def test_each_page_is_two_clicks_from_the_first() -> None:
    site = yaml.safe_load((DOCS.parent / "mkdocs.yml").read_text())
    listed = set(pages(site["nav"]))
    assert listed == {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    links = re.compile(r"\]\((?!https?:)([^)#\s]+\.md)")
    first = {DOCS / target for target in links.findall((DOCS / "index.md").read_text())}
    second = {(page.parent / target).resolve() for page in first for target in links.findall(page.read_text())}
    near = {DOCS / "index.md", *(page.resolve() for page in first), *second}
    assert [str(page.relative_to(DOCS)) for page in sorted(DOCS.rglob("*.md")) if page.resolve() not in near] == []


def pages(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    for item in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from pages(item)
