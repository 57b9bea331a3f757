"""Which interpreter stands in for a container image, and a layer over it that a job may install into."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_sm_processing.local.errors import validation_error
from airflow_sm_processing.local.folders import make_private

if TYPE_CHECKING:
    from collections.abc import Mapping

_QUERY = """
import json, site, sys
base = getattr(sys, "_base_executable", None) or sys.executable
sites = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
print(json.dumps({"base": base, "sites": sites, "version": "%d.%d" % sys.version_info[:2]}))
"""
_PIP = """#!{python}
import sys
from pip._internal.cli.main import main
sys.exit(main())
"""


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """A Python, and what is installed for it."""

    python: Path
    base: Path
    """The interpreter that a virtual environment of it must start."""
    sites: tuple[str, ...]
    version: str
    """Major and minor, such as 3.11."""

    def layer(self, folder: Path) -> Path:
        """Make a virtual environment in `folder` that sees the image's packages and takes its own `pip install`s.

        Returns:
            The folder to put first on PATH.
        """
        binaries, site = folder / "bin", folder / "lib" / f"python{self.version}" / "site-packages"
        make_private(binaries)
        make_private(site)
        home = f"home = {self.base.parent}\ninclude-system-site-packages = false\nversion = {self.version}\n"
        (folder / "pyvenv.cfg").write_text(home)
        for name in ("python", "python3", f"python{self.version}"):
            (binaries / name).symlink_to(self.base)
        # addsitedir, not a plain path: the image's own .pth files (editable installs) count too.
        lines = "".join(f"import site; site.addsitedir({path!r})\n" for path in self.sites)
        (site / "_image.pth").write_text(lines)
        for name in ("pip", "pip3"):
            (binaries / name).write_text(_PIP.format(python=binaries / "python"))
            (binaries / name).chmod(0o755)
        return binaries


@cache
def interpreter(python: str) -> Interpreter:
    """Ask a Python what it is.

    Raises:
        ValueError: it can't be run.
    """
    try:
        asked = subprocess.run([python, "-c", _QUERY], capture_output=True, check=True, text=True, timeout=60)  # noqa: S603  # the user's own mapping
        found = json.loads(asked.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ValueError(f"The image's interpreter {python!r} can't be run: {error}. Give a Python's path.") from error
    return Interpreter(
        python=Path(python), base=Path(found["base"]), sites=tuple(found["sites"]), version=found["version"]
    )


class Images:
    """The mapping from image URIs to interpreters: the first pattern that matches, or the server's own Python."""

    def __init__(self, pythons: Mapping[str, str] | None = None) -> None:
        self._pythons = dict(pythons or {})
        for python in self._pythons.values():
            interpreter(python)

    def resolve(self, image_uri: str) -> Interpreter:
        """Find the interpreter for an image.

        Raises:
            ServiceError: ValidationException, for an image URI that is no image's name.
        """
        if not image_uri or image_uri != image_uri.strip() or " " in image_uri:
            raise validation_error(f"Invalid image URI {image_uri!r}. Please provide a valid Amazon ECR image path.")
        for pattern, python in self._pythons.items():
            if fnmatchcase(image_uri, pattern):
                return interpreter(python)
        return interpreter(sys.executable)
