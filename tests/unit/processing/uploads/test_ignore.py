"""What of a code or source folder is sent: as git says, and without secrets."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_sm_processing.exceptions import UploadError
from airflow_sm_processing.processing.uploads.files import list_code, list_files
from airflow_sm_processing.processing.uploads.ignore import IGNORE_FILE, NEVER_SENT, SECRET_NAMES, LeftOut

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = st.sampled_from(["a", "b", "ab", "a.py", "b.py", ".a", "a b", "ä", "!a", "#a"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
SEGMENTS = st.sampled_from(
    ["a", "b", "ab", "*", "**", "*.py", "?", "a*", "[ab]", "[!a]", "[a-b]*", ".a", "a b", "ä", r"\!a", r"\#a", "a.p?"]
)
PATTERNS = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["", "", "", "!"]),
    st.sampled_from(["", "", "/"]),
    st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join),
    st.sampled_from(["", "", "/", "/**"]),
    st.sampled_from(["", "", " "]),
)
LINES = st.lists(PATTERNS | st.sampled_from(["", "# a comment", "!*/", "*", "/", "!"]), max_size=6)


def make(folder: Path, paths: Sequence[str], text: str = "x") -> None:
    for path in paths:
        file = folder / path
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        except OSError:  # another path made a file of this folder, or a folder of this file
            continue


def sent(folder: Path) -> list[str]:
    try:
        return sorted(file.name for file in list_code(folder).files)
    except UploadError as error:
        assert "no files that are sent" in str(error)  # noqa: PT017
        return []


def not_ignored_by_git(folder: Path, lines: Sequence[str]) -> list[str]:
    git = ["git", "-C", str(folder), "-c", "core.excludesFile=/dev/null", "-c", "core.quotePath=false"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    (folder / ".gitignore").write_text("\n".join(lines) + "\n")
    files = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    files = [name for name in files if not name.startswith(".git/") and name != ".gitignore"]
    asked = subprocess.run(
        [*git, "check-ignore", "--no-index", "--stdin", "-z"],
        input="\0".join(files),
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode in {0, 1}, asked.stderr
    return [name for name in files if name not in asked.stdout.split("\0")]


@settings(max_examples=50, derandomize=True, database=None, deadline=None, suppress_health_check=[*HealthCheck])
@given(paths=st.lists(PATHS, min_size=1, max_size=12), lines=LINES)
@example(paths=["a/x.py", "a/x.txt", "y.py"], lines=["*", "!*/", "!*.py"])
@example(paths=["a/b/c", "a/d"], lines=["a/", "!a/b/c"])
@example(paths=["a/a/b", "a/b"], lines=["a/*", "!a/a", "b"])
@example(paths=["a/b/a", "b/a"], lines=["/a", "!**/a"])
def test_generated_trees_are_sent_as_git_would(paths: list[str], lines: list[str]):
    with TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, paths)
        (folder / IGNORE_FILE).write_text("\n".join(lines) + "\n")
        ours = sent(folder)
        assert ours == not_ignored_by_git(folder, [*NEVER_SENT, *lines])


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        (".git/config", ".git"),
        (".venv/bin/python", ".venv"),
        ("a/__pycache__/b.pyc", "a/__pycache__"),
        (".ipynb_checkpoints/c", ".ipynb_checkpoints"),
    ],
)
def test_some_folders_never_go_by_default(tmp_path: Path, name: str, folder: str):
    make(tmp_path, [name, "main.py"])
    assert sent(tmp_path) == ["main.py"]
    assert list_code(tmp_path).left_out == (LeftOut(str(tmp_path / folder), "by default"),)


def test_a_line_takes_back_what_is_left_out_by_default(tmp_path: Path):
    make(tmp_path, [".venv/a", "main.py"])
    (tmp_path / IGNORE_FILE).write_text("!.venv/\n")
    assert sent(tmp_path) == [".venv/a", "main.py"]


@pytest.mark.parametrize("name", [pattern.replace("*", "x") for pattern in SECRET_NAMES] + ["deep/er/.ENV", "A.PEM"])
def test_what_looks_like_a_secret_is_left_out_and_the_log_says_so(tmp_path: Path, name: str, caplog):
    make(tmp_path, [name, "main.py"])
    with caplog.at_level(logging.WARNING):
        assert sent(tmp_path) == ["main.py"]
    (message,) = caplog.messages
    assert message == (
        f"Left out of the upload of {tmp_path}, what looks like a secret (to send one, name it in its "
        f".sagemakerignore, as in !{name}):\n  - {name}"
    )


@pytest.mark.parametrize(
    ("line", "goes"), [("!conf/ca.pem", True), ("!*.pem", True), ("!conf/**", False), ("!*", False), ("ca.pem", False)]
)
def test_a_secret_goes_only_if_it_is_named(tmp_path: Path, line: str, goes: bool, caplog):
    make(tmp_path, ["conf/ca.pem", "main.py"])
    (tmp_path / IGNORE_FILE).write_text(f"{line}\n")
    assert ("conf/ca.pem" in sent(tmp_path)) is goes
    assert bool(caplog.messages) is (not goes and line != "ca.pem")


def test_a_file_given_by_itself_is_named(tmp_path: Path):
    make(tmp_path, [".env"])
    assert [file.name for file in list_code(tmp_path / ".env").files] == [".env"]


def test_a_folder_called_like_a_secret_goes(tmp_path: Path):
    make(tmp_path, ["credentials/reader.py"])
    assert sent(tmp_path) == ["credentials/reader.py"]


def test_rules_hold_behind_links_too(tmp_path: Path):
    make(tmp_path, ["shared/a.py", "shared/a.csv"])
    source = tmp_path / "source"
    make(source, ["main.py", IGNORE_FILE], "*.csv")
    (source / "lib").symlink_to(tmp_path / "shared")
    assert sent(source) == ["lib/a.py", "main.py"]


def test_what_is_no_pattern_is_an_error_that_names_the_line(tmp_path: Path):
    make(tmp_path, ["main.py"])
    (tmp_path / IGNORE_FILE).write_bytes(b"*.csv\n\xff\xfe\n")
    with pytest.raises(UploadError, match=f"Can't read {tmp_path}/.sagemakerignore: 'utf-8' codec"):
        list_code(tmp_path)


def test_inputs_go_as_they_are(tmp_path: Path):
    make(tmp_path, [".env", ".git/config", "a.csv", IGNORE_FILE], "*.csv")
    assert [file.name for file in list_files(tmp_path)] == [".env", IGNORE_FILE, "a.csv", ".git/config"]
