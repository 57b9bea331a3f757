"""The measures of the package's structure: `make house` prints them, and `tests/unit/test_architecture.py` keeps them.

Arrows count imports from file to file, also those for types and those inside functions.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PACKAGE = "airflow_sm_processing"
ROOT = Path(__file__).parents[1] / PACKAGE
SMALL_LINES = 50
STANDARD_GERUNDS = {"processing", "training", "templating", "mapping", "masking"}
"""Airflow's and SageMaker's own terms."""
PRIVATE_WORDS = {"room", "lane", "turns", "late", "truths", "hostile", "sought", "made_up", "standing", "getting"}
NO_VERBS = {"Give", "Gives", "Tell", "Tells", "Take", "Takes"}
LOADED = f"""
import sys
from {PACKAGE} import ScriptProcessingOperator
print(sum(name.split(".")[0] == "{PACKAGE}" for name in sys.modules))
"""


@dataclass(frozen=True)
class Measure:
    """One measure, and the bound that it must keep."""

    name: str
    value: int
    bound: int

    @property
    def holds(self) -> bool:
        """Whether the bound is kept."""
        return self.value <= self.bound


class House:
    """The package's files, and how they import each other."""

    @cached_property
    def trees(self) -> Mapping[str, ast.Module]:
        """The parsed modules by their names; a package's is its `__init__`."""
        return {_name(path): ast.parse(path.read_text()) for path in self.files}

    @cached_property
    def files(self) -> list[Path]:
        """The package's Python files."""
        return sorted(ROOT.rglob("*.py"))

    @cached_property
    def arrows(self) -> Mapping[str, set[str]]:
        """What each module imports of the package."""
        return {name: set(self._imported(name, tree)) - {name} for name, tree in self.trees.items()}

    def _imported(self, name: str, tree: ast.Module) -> Iterator[str]:
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                module = _absolute(node, name, is_package=name in self._packages)
                for alias in node.names:
                    part = f"{module}.{alias.name}"
                    if part in self.trees:
                        yield part
                    elif module in self.trees:
                        yield module
            elif isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names if alias.name in self.trees)

    @cached_property
    def _packages(self) -> set[str]:
        return {_name(path) for path in self.files if path.name == "__init__.py"}

    def circles(self) -> list[set[str]]:
        """Return the sets of modules that import each other, directly or through others."""
        reached = {name: self._reached(name) for name in self.arrows}
        found = [frozenset(other for other in reached[name] if name in reached[other]) for name in reached]
        return [set(circle) for circle in dict.fromkeys(found) if circle]

    def _reached(self, name: str) -> set[str]:
        reached: set[str] = set()
        left = [name]
        while left:
            for other in self.arrows[left.pop()] - reached:
                reached.add(other)
                left.append(other)
        return reached

    def small(self) -> list[str]:
        """Return the modules with less than fifty lines."""
        return [_name(path) for path in self.files if len(path.read_text().splitlines()) < SMALL_LINES]

    def odd_names(self) -> list[str]:
        """Return the modules whose names are gerunds or private words."""
        leaves = {name: name.rpartition(".")[2] for name in self.trees}
        return [
            name
            for name, leaf in leaves.items()
            if name != PACKAGE
            if leaf in PRIVATE_WORDS or (leaf.endswith("ing") and leaf not in STANDARD_GERUNDS)
        ]

    def odd_docstrings(self) -> list[str]:
        """Return the functions and classes whose docstrings begin with a word that says little."""
        return [
            f"{name}.{node.name}"
            for name, tree in self.trees.items()
            for node in ast.walk(tree)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            and (ast.get_docstring(node) or "").partition(" ")[0] in NO_VERBS
        ]


def own_classes(operator: type[Any]) -> int:
    """Return how many classes of ours lie between an operator's name and Airflow's BaseOperator, with its own."""
    return sum(base.__module__.startswith(PACKAGE) for base in operator.__mro__)


def loaded_by_a_dag_file() -> int:
    """Return how many modules of ours the import of an operator loads, in a fresh interpreter."""
    run = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True)
    return int(run.stdout.split()[-1])


def measures(house: House) -> list[Measure]:
    """Return all measures with their bounds."""
    from airflow_sm_processing import ScriptProcessingOperator
    from airflow_sm_processing.decorators.operator import FunctionProcessingOperator

    return [
        Measure("own classes of ScriptProcessingOperator", own_classes(ScriptProcessingOperator), 2),
        Measure("own classes of the decorator's operator", own_classes(FunctionProcessingOperator), 3),
        Measure("modules that a DAG file's import loads", loaded_by_a_dag_file(), 28),
        Measure("modules", len(house.trees), 140),
        Measure(f"modules under {SMALL_LINES} lines", len(house.small()), 25),
        Measure("arrows from file to file", sum(map(len, house.arrows.values())), 550),
        Measure("circles of files", len(house.circles()), 0),
        Measure("gerunds and private words among module names", len(house.odd_names()), 0),
        Measure("docstrings that begin with Give, Tell or Take", len(house.odd_docstrings()), 0),
    ]


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _absolute(node: ast.ImportFrom, name: str, *, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = name.split(".") if is_package else name.split(".")[:-1]
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, node.module] if node.module else parts)


def main() -> None:
    """Print the measures; end with 1 if a bound isn't kept."""
    found = measures(House())
    print(f"{'measure':<50}{'now':>6}{'at most':>9}")
    for measure in found:
        print(f"{measure.name:<50}{measure.value:>6}{measure.bound:>9}{'' if measure.holds else '  TOO MANY'}")
    sys.exit(not all(measure.holds for measure in found))


if __name__ == "__main__":
    main()
