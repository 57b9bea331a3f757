"""Run every benchmark of this folder, or those named: each is a module with a `main()` that prints its table."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from typing import TYPE_CHECKING

import benchmarks

if TYPE_CHECKING:
    from collections.abc import Callable


def found() -> dict[str, Callable[[], None]]:
    """Find the modules with a `main()`, by name."""
    names = [info.name for info in pkgutil.iter_modules(benchmarks.__path__) if not info.name.startswith("__")]
    modules = {name: importlib.import_module(f"benchmarks.{name}") for name in sorted(names)}
    return {name: module.main for name, module in modules.items() if hasattr(module, "main")}


def run(names: list[str]) -> None:
    """Run the benchmarks of these names, all if there are none."""
    known = found()
    if unknown := set(names) - set(known):
        sys.exit(f"No benchmark {', '.join(sorted(unknown))}: there are {', '.join(known)}.")
    for name in names or known:
        print(f"== {name}", flush=True)
        known[name]()


if __name__ == "__main__":
    run(sys.argv[1:])
