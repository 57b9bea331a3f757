"""Decide which files of a code or source folder aren't sent: by gitignore rules, some fixed folders, and secrets."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_sm_processing.exceptions import UploadError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["IGNORE_FILE", "NEVER_SENT", "SECRET_NAMES", "IgnoreRules", "LeftOut"]

IGNORE_FILE = ".sagemakerignore"
NEVER_SENT = (".git", ".venv", "__pycache__", ".ipynb_checkpoints", IGNORE_FILE)
"""Left out unless the folder's own ignore file includes them again, with a line such as `!.venv/`."""
SECRET_NAMES = (
    ".env",
    ".env.*",
    ".git-credentials",
    ".netrc",
    ".pypirc",
    "*.key",
    "*.p12",
    "*.pem",
    "*.pfx",
    "credentials",
    "credentials.json",
    "id_ecdsa",
    "id_ed25519",
    "id_rsa",
)
_TRAILING_SPACES = re.compile(r"(?<!\\) +$")


class LeftOut(NamedTuple):
    """A file or folder that isn't sent."""

    path: str
    reason: str
    is_secret: bool = False


class _Rule(NamedTuple):
    """One line that leaves files out or, with a `!`, includes them again."""

    pattern: Any
    """pathspec's pattern, without the slash that restricts it to folders."""
    for_folders: bool
    reason: str
    names_a_secret: bool
    """Whether the line ends with the name of a secret, as `!certs/ca.pem` and `!*.pem` do, but `!certs/**` doesn't."""

    def matches(self, name: str, *, is_folder: bool) -> bool:
        """Return whether the line matches this path itself, not only a folder above it."""
        if self.for_folders and not is_folder:
            return False
        found = self.pattern.match_file(name)
        return found is not None and not found.match.groupdict().get("ps_d")  # pathspec's mark of a folder above


class IgnoreRules:
    """The rules of one folder: what is always left out, and the lines of its `.sagemakerignore`.

    As with git, nothing inside a folder that is left out can be included again, so check folders first.
    """

    def __init__(self, lines: str = "", *, source: str = IGNORE_FILE) -> None:
        """Read the lines of an ignore file.

        Raises:
            UploadError: A line isn't in gitignore's syntax.
        """
        self._rules = [rule for line in NEVER_SENT for rule in _rules(line, "by default", source)]
        for number, line in enumerate(lines.splitlines(), 1):
            self._rules += _rules(line, f"{IGNORE_FILE}, line {number}: {line.strip()}", f"{source}, line {number}")

    @classmethod
    def of(cls, folder: Path) -> IgnoreRules:
        """Return a folder's rules.

        Raises:
            UploadError: Its ignore file can't be read.
        """
        file = folder / IGNORE_FILE
        try:
            text = file.read_text(encoding="utf-8-sig") if file.is_file() else ""
        except (OSError, ValueError) as error:
            raise UploadError(f"Can't read {file}: {error}.") from error
        return cls(text, source=str(file))

    def holds_back(self, name: str) -> bool:
        """Return whether a file isn't sent, because of a rule for the file or for a folder above it."""
        parts = name.split("/")
        folders = ("/".join(parts[:count]) for count in range(1, len(parts)))
        return any(self.left_out(folder, folder, is_folder=True) for folder in folders) or bool(
            self.left_out(name, name, is_folder=False)
        )

    def left_out(self, path: str, name: str, *, is_folder: bool) -> LeftOut | None:
        """Return why a path isn't sent; None if it is.

        Args:
            path: The path on this machine.
            name: The path below the folder, with slashes.
            is_folder: Whether it is a folder.
        """
        last = next((rule for rule in reversed(self._rules) if rule.matches(name, is_folder=is_folder)), None)
        if last is not None and last.pattern.include:
            return LeftOut(path, last.reason)
        if not is_folder and _is_secret(name.rpartition("/")[2]) and not (last is not None and last.names_a_secret):
            return LeftOut(path, "looks like a secret", is_secret=True)
        return None


def _is_secret(file_name: str) -> bool:
    return any(fnmatchcase(file_name.lower(), secret) for secret in SECRET_NAMES)


def _rules(line: str, reason: str, source: str) -> Iterator[_Rule]:
    from pathspec import GitIgnoreSpec  # not needed to parse a DAG file

    written = _TRAILING_SPACES.sub("", line)
    if not written.strip("!/"):
        return  # an empty line, or one that matches nothing in git either
    stripped = written.removesuffix("/")
    try:
        patterns = GitIgnoreSpec.from_lines([stripped]).patterns
    except ValueError as error:
        raise UploadError(f"Can't read {source}: {line!r} isn't in gitignore's syntax: {error}.") from error
    names_a_secret = _is_secret(stripped.rpartition("/")[2].lstrip("!"))
    for pattern in patterns:
        if pattern.include is not None:  # it is None for a comment
            yield _Rule(pattern, stripped != written, reason, names_a_secret)
