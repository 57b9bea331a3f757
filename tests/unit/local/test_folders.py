"""What a job leaves is removed, however it is nested."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing.local import folders

if TYPE_CHECKING:
    from pathlib import Path


def nest(folder: Path, depth: int) -> None:
    """Make so many folders in each other, with a file in the innermost: one by one, for a path is too long for it."""
    inner = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("nested", dir_fd=inner)
        outer, inner = inner, os.open("nested", os.O_RDONLY, dir_fd=inner)
        os.close(outer)
    os.close(os.open("file", os.O_CREAT, dir_fd=inner))
    os.close(inner)


@pytest.mark.parametrize("depth", [1, 400, 5000])
def test_nested_folders_are_removed(tmp_path: Path, depth: int) -> None:
    folder = tmp_path / "job"
    (folder / "beside").mkdir(parents=True)
    nest(folder, depth)

    assert folders.remove(folder)
    assert not folder.exists()


def test_folders_that_a_job_closed_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    nest(folder, 3)
    for closed in ("nested/nested", "nested", ""):
        (folder / closed).chmod(0)

    assert folders.remove(folder)


def test_what_a_link_leads_to_is_kept(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "job", tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    nest(elsewhere, 1)
    folder.mkdir()
    nest(folder, 2000)
    (folder / "nested" / "link").symlink_to(elsewhere)

    assert folders.remove(folder)
    assert (elsewhere / "nested" / "file").exists()
    assert elsewhere.stat().st_mode & 0o777 == 0o755
