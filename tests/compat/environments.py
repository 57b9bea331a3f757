"""Environments of their own, made once and kept: uv links files instead of copying them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
UV = (sys.executable, "-m", "uv")


def environment(name: str, *requirements: str | Path, wanted: Path | None = None) -> Path:
    """Return the folder of the commands of an environment with this package.

    Args:
        name: Tells it from others.
        requirements: What `uv pip install` takes beside the package, options too.
        wanted: A file on whose change it is made anew, as on pyproject.toml's, which has the entry points.
    """
    folder = ROOT / f".venv-{name}"
    stamp = folder / ".installed"
    files = [file for file in (wanted, ROOT / "pyproject.toml") if file]
    if not stamp.exists() or any(stamp.stat().st_mtime < file.stat().st_mtime for file in files):
        subprocess.run([*UV, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        install(folder / "bin", *requirements)
        stamp.touch()
    return folder / "bin"


def install(commands: Path, *requirements: str | Path) -> None:
    """Install something into an environment."""
    subprocess.run([*UV, "pip", "install", "--quiet", "--python", commands / "python", *requirements], check=True)
