"""The pages and the metadata that a stranger meets first: their links lead somewhere, and they agree."""

from __future__ import annotations

import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

import airflow_sm_processing

ROOT = Path(__file__).parents[2]
METADATA = (ROOT / "pyproject.toml").read_text()
REPOSITORY = re.search(r'^Repository = "(.*)"$', METADATA, re.MULTILINE)[1]  # type: ignore[index]  # Python 3.10 has no tomllib
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TARGET = re.compile(r"\]\((?P<inline>[^)\s]+)\)|^\[[^\]]+\]: (?P<reference>\S+)$", re.MULTILINE)
FORMS = [ROOT / ".github" / "ISSUE_TEMPLATE" / name for name in ("bug.yml", "feature.yml")]


def targets(page: Path) -> list[str]:
    """Return what the page's links and images lead to, without what stands in its code."""
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [found["inline"] or found["reference"] for found in TARGET.finditer(text)]


def headings(page: Path) -> set[str]:
    """Return the anchors of the page's headings, as GitHub makes them."""
    found = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def problem(page: Path, target: str) -> str | None:
    """Return what is wrong with a link into the repository, or None."""
    path, _, anchor = target.partition("#")
    local = re.sub(rf"^{re.escape(REPOSITORY)}/(?:blob|tree|raw)/main/", "", path)
    if local == path and "://" in path:
        return None  # elsewhere
    base = ROOT if local != path else page.parent
    file = (base / local) if local else page
    if not file.exists() and local == "ARCHITECTURE.md":
        return None  # the last of these pages to be written; its headings count as soon as it is there
    if not file.exists():
        return f"{target}: there is no {local}"
    return f"{target}: no such heading" if anchor and anchor not in headings(file) else None


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_each_link_within_the_repository_leads_to_a_file_and_a_heading(page: Path):
    assert [found for target in targets(page) if (found := problem(page, target))] == []


def test_the_readme_has_absolute_links_only_for_pypi_shows_it_too():
    links = targets(ROOT / "README.md")
    assert [target for target in links if not target.startswith("https://")] == []
    assert len(links) > 30


def test_each_reference_link_of_the_readme_is_defined_and_used():
    text = (ROOT / "README.md").read_text()
    defined = re.findall(r"^\[([^\]]+)\]: ", text, re.MULTILINE)
    assert sorted(set(re.findall(r"\]\[([^\]]+)\]", text))) == sorted(defined)


def test_all_files_name_the_same_repository():
    files = [*PAGES, ROOT / "mkdocs.yml", ROOT / "pyproject.toml", *(ROOT / ".github").rglob("*.yml")]
    name = REPOSITORY.removeprefix("https://github.com/")
    pattern = re.compile(r"https://github\.com/([\w.-]+/airflow-sm-processing)")
    assert {found for file in files for found in pattern.findall(file.read_text())} == {name}


def test_the_forms_for_issues_have_what_github_asks_for():
    for form in FORMS:
        content: dict[str, Any] = yaml.safe_load(form.read_text())
        assert {"name", "description", "body"} <= content.keys()
        fields = [field for field in content["body"] if field["type"] != "markdown"]
        assert len({field["id"] for field in fields}) == len(fields)
        assert all(field["attributes"]["label"] for field in fields)


def test_the_workflows_may_do_no_more_than_read_but_for_the_identity_that_pypi_trusts():
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        content: dict[Any, Any] = yaml.safe_load(workflow.read_text())
        assert content["permissions"] == {"contents": "read"}
        granted = {name: job["permissions"] for name, job in content["jobs"].items() if "permissions" in job}
        assert granted in ({}, {"publish": {"id-token": "write"}})


def test_everything_that_setup_installs_is_pinned_with_its_hashes():
    blocks = (ROOT / "constraints.txt").read_text().replace("\\\n", " ").splitlines()
    unhashed = [block for block in blocks if " --hash=sha256:" not in block and not block.startswith("#")]
    assert [block.partition(" ")[0] for block in unhashed] == ["celery<5.7"]  # no pin: it is for those who add celery
    assert all("==" in block.partition(" ")[0] for block in blocks if block not in unhashed)


def test_the_sdist_includes_everything_at_the_top_of_the_repository():
    included = re.search(r"targets\.sdist\]\n.*?include = \[(.*?)^\]", METADATA, re.MULTILINE | re.DOTALL)[1]  # type: ignore[index]
    patterns = [pattern.removeprefix("/") for pattern in re.findall(r'"(.*)"', included)]
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    tops = {name.partition("/")[0] for name in listed.splitlines()}  # none in an unpacked sdist, which has no .git
    assert {top for top in tops if not any(fnmatch(top, pattern) for pattern in patterns)} == set()


def version() -> str:
    return re.search(r'^version = "(.*)"$', METADATA, re.MULTILINE)[1]  # type: ignore[index]


def test_the_changelog_has_a_section_for_this_version():
    assert f"\n## {version()}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_package_names_its_own_version():
    assert airflow_sm_processing.__version__ == version()
