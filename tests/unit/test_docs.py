"""The code that the documentation shows, as a DAG file would have it."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow.sdk import DAG

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(page.name, code) for page in sorted(DOCS.glob("*.md")) for code in BLOCK.findall(page.read_text())]
FOREIGN = re.compile(r"^```py\n(.*?)^```$", re.MULTILINE | re.DOTALL)  # needs an SDK that isn't installed
GUIDES = sorted(DOCS.glob("from-*.md"))
OWN_NAME = re.compile(r"`(airflow_sm_processing[.\w]*)`")
REST = re.compile(r"(\.\.\.|…)(,?)$", re.MULTILINE)  # of the parameters, where a line ends so
PRELUDE = """
from datetime import timedelta
from airflow.sdk import Asset, AssetAlias, dag, task
from airflow_sm_processing import *

@task
def deploy(*found): ...

rest = {
    "role": "SageMakerRole",
    "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/sklearn:1",
    "instance_type": "ml.m5.xlarge",
}
"""


def completed(code: str) -> str:
    """Return the code with the parameters that it leaves out; a script task's are two more."""
    rest = "**rest"
    if "ScriptProcessingOperator" in code:
        rest = "instance_count=1, **rest" if "code=" in code else 'instance_count=1, code="s3://code/script.py", **rest'
    return REST.sub(lambda found: f"{rest}{found[2]}" if found[2] or found[1] == "…" else found[0], code)


@pytest.mark.parametrize(("page", "code"), BLOCKS, ids=[f"{page}-{code[:25]!r}" for page, code in BLOCKS])
def test_each_block_is_code_that_works(page: str, code: str, dag: DAG, tmp_path: Path):
    file = tmp_path / page.replace(".md", ".py")
    file.write_text(PRELUDE + completed(code))
    exec(compile(file.read_text(), file, "exec"), {})


@pytest.mark.parametrize("page", [page for page in GUIDES if "sdk" in page.name], ids=lambda page: page.name)
def test_code_of_other_packages_parses(page: Path):
    blocks = FOREIGN.findall(page.read_text())
    assert [ast.unparse(ast.parse(block).body[0]) for block in blocks] != []


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_what_a_guide_names_is_there(page: Path):
    text = page.read_text()
    for name in OWN_NAME.findall(text):
        module, _, attribute = name.rpartition(".")
        assert hasattr(import_module(module), attribute) if module else import_module(name)
    processing = import_module("airflow_sm_processing.processing")
    rows = [
        line.split("|")[1] for line in text.splitlines() if "the same in `airflow_sm_processing.processing`" in line
    ]
    named = [name for row in rows for name in re.findall(r"`([A-Z]\w+)`", row)]
    assert [name for name in named if not hasattr(processing, name)] == []


# The messages that a page quotes


QUOTE = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHORTEST = 6  # characters: what is left of a message that is nearly all `…`


def messages() -> str:
    """Return each text in the package's code as one line, with `…` where a value goes."""
    lines = []
    for file in (DOCS.parent / "airflow_sm_processing").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                lines.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                lines.append(re.sub(r"%(?:\.0f|[sdr])", "…", node.value))
    return "\n".join(lines)


def test_each_message_that_the_troubleshooting_page_quotes_is_in_the_code():
    known = messages()
    quoted = [line for block in QUOTE.findall((DOCS / "troubleshooting.md").read_text()) for line in block.splitlines()]
    parts = [part.strip(" -:.") for line in quoted for part in line.split("…")]
    assert [part for part in parts if len(part) >= SHORTEST and part not in known] == []
    assert sum(len(part) >= SHORTEST for part in parts) > 20


def test_the_troubleshooting_page_lists_its_twenty_errors_first():
    text = (DOCS / "troubleshooting.md").read_text()
    assert re.findall(r"^## (\d+)\. ", text, re.MULTILINE) == [str(number) for number in range(1, 21)]
    assert set(re.findall(r"\[(\d+)\]\(#", text)) == {str(number) for number in range(1, 21)}
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        assert all(part in section for part in ("\n```", "**Why:**", "**What to do:**")), section.splitlines()[0]
