"""Where scripts say /opt/ml themselves, which the isolation `folder` can't put in front of them."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ML = PurePosixPath("/opt/ml")
_NAMED = re.compile(r"/opt/ml/[^\s'\"`;,:|&<>()]+")
_ABSOLUTE = re.compile(rb"/opt/ml\b")
_SCRIPTS = frozenset({".py", ".sh", ".bash", ".r", ".jl", ".pl", ".rb", ".ipynb"})
_SHEBANG = b"#!"
_MAX_FILES, _MAX_BYTES, _MAX_SHOWN = 500, 1024 * 1024, 5


def find(ml: Path, arguments: Iterable[str]) -> list[str]:
    """Find the scripts that a command starts, and those beside them, that say /opt/ml.

    Args:
        ml: The real folder behind /opt/ml.
        arguments: The command, before its paths are rewritten.

    Returns:
        `/opt/ml/processing/input/code/script.py (lines 3, 7)`, one for each script.
    """
    named = {PurePosixPath(path).relative_to(ML) for argument in arguments for path in _NAMED.findall(argument)}
    starts = [ml / path for path in sorted(named) if ".." not in path.parts and _is_script(ml / path)]
    scripts = dict.fromkeys(script for start in starts for script in _scripts_beside(start))
    found = []
    for script in list(scripts)[:_MAX_FILES]:
        if lines := _lines(script):
            shown = ", ".join(map(str, lines[:_MAX_SHOWN])) + ", …" * (len(lines) > _MAX_SHOWN)
            found.append(f"{ML / script.relative_to(ml).as_posix()} (line{'s' * (len(lines) > 1)} {shown})")
    return found


def _is_script(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return path.suffix.lower() in _SCRIPTS or file.read(len(_SHEBANG)) == _SHEBANG


def _scripts_beside(start: Path) -> Iterator[Path]:
    yield start
    yield from sorted(path for path in start.parent.rglob("*") if path.suffix.lower() in _SCRIPTS and path.is_file())


def _lines(script: Path) -> list[int]:
    with script.open("rb") as file:
        text = file.read(_MAX_BYTES)
    return [number for number, line in enumerate(text.splitlines(), start=1) if _ABSOLUTE.search(line)]
