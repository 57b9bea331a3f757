"""The code that README.md shows, as its readers would run it; the tests of the integration tier run the rest of it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def code_blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def test_the_first_block_is_a_dag_file_whose_reference_makes_the_dependency():
    names: dict[str, object] = {}
    exec(compile(code_blocks("README.md")[0], "README.md", "exec"), names)
    preprocess = names["preprocess"]
    assert {task.task_id: task.upstream_task_ids for task in preprocess.dag.tasks} == {
        "preprocess": set(),
        "train": {"preprocess"},
    }
    assert all(task.deferrable for task in preprocess.dag.tasks)
