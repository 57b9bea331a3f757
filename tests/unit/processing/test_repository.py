"""Clones of repositories on this machine, and what git isn't asked at all; `tests/integration` has servers."""

from __future__ import annotations

import logging
import os
import re
import signal
import stat
import sys
import threading
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.exceptions import UploadError
from airflow_sm_processing.processing.definition import DefinitionReader, code_problems
from airflow_sm_processing.processing.repository import cloned, git_problems
from tests.repositories import Repository

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SECRET = "s3cret-of-ours"


@pytest.fixture(autouse=True)
def no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "upstream")


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def clones(tmp_path: Path) -> list[Path]:
    return list(tmp_path.glob("sm-processing-git-*"))


def test_it_has_the_default_branchs_files_and_nothing_of_gits(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"src/main.py": "1", "run.sh": "2"})
    with cloned({"repo": repository.url}) as folder:
        assert files(folder) == {"src/main.py": "1", "run.sh": "2"}
        assert (folder / "run.sh").stat().st_mode & stat.S_IXUSR
    assert clones(tmp_path) == []


@pytest.fixture
def history(repository: Repository) -> dict[str, str]:
    """The commits of a repository with two branches, a tag and an old commit, by the text of their file."""
    commits = {"old": repository.commit({"a": "old"}), "tagged": repository.commit({"a": "tagged"})}
    repository.git("tag", "--annotate", "--message=v1", "v1")
    repository.git("checkout", "--quiet", "-b", "team/dev")
    commits |= {"dev-1": repository.commit({"a": "dev-1"}), "dev": repository.commit({"a": "dev"})}
    repository.git("checkout", "--quiet", "main")
    return {**commits, "main": repository.commit({"a": "main"})}


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({}, "main"),
        ({"branch": ""}, "main"),
        ({"branch": "team/dev"}, "dev"),
        ({"branch": "origin/team/dev"}, "dev"),
        ({"branch": "v1"}, "tagged"),
        ({"branch": "{old}"}, "old"),
        ({"commit": "{old}"}, "old"),
        ({"commit": "{dev-1}"}, "dev-1"),
        ({"branch": "main", "commit": "{dev-1}"}, "dev-1"),
        ({"branch": "team/dev", "commit": "{short}"}, "old"),
        ({"branch": "team/dev", "commit": "HEAD~1"}, "dev-1"),
        ({"commit": "v1"}, "tagged"),
        ({"commit": "team/dev"}, "dev"),
    ],
)
def test_it_is_at_the_branch_then_at_the_commit(
    repository: Repository, history: dict[str, str], config: dict[str, str], text: str
) -> None:
    names = {**history, "short": history["old"][:9]}
    given = {key: value.format_map(names) for key, value in config.items()}
    with cloned({"repo": repository.url, **given}) as folder:
        assert files(folder) == {"a": text}


def test_a_commit_that_the_server_doesnt_give_alone_is_found_in_the_whole(
    repository: Repository, history: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for index, (key, value) in enumerate({"protocol.version": "0", "uploadpack.allowAnySHA1InWant": "false"}.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{index}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{index}", value)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    with cloned({"repo": repository.url, "commit": history["old"]}) as folder:
        assert files(folder) == {"a": "old"}


@pytest.mark.parametrize("config", [{"branch": "absent"}, {"commit": "absent"}, {"commit": "0" * 40}])
def test_what_there_isnt_is_an_error_that_names_it(
    repository: Repository, history: dict[str, str], config: dict[str, str], tmp_path: Path
) -> None:
    with (
        pytest.raises(UploadError, match=f"Can't clone {repository.url} \\({next(iter(config.values()))}\\)") as raised,
        cloned({"repo": repository.url, **config}),
    ):
        pass
    assert not raised.value.may_pass
    assert clones(tmp_path) == []


def test_the_log_has_the_commit(
    repository: Repository, history: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), cloned({"repo": repository.url, "branch": "team/dev"}):
        assert caplog.messages == [f"Cloned {repository.url} (team/dev) at commit {history['dev']}"]


def test_what_another_git_left_in_the_environment_counts_for_nothing(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit({"a": "1"})
    other = Repository(tmp_path / "other")
    other.commit({"b": "2"})
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.path))
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    with cloned({"repo": repository.url}) as folder:
        assert files(folder) == {"a": "1"}
    assert (other.path / "b").exists()
    assert not (tmp_path / "trace").exists()


def test_links_that_lead_out_are_left_out(
    repository: Repository, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "secret").write_text("1")
    repository.commit({"src/main.py": "1"})
    for name, target in {
        "src/a": str(tmp_path / "secret"),
        "b": "../secret",
        "c": "src/main.py",
        "d": "b",
        "e": "..",
    }.items():
        (repository.path / name).symlink_to(target)
    repository.commit({})
    with cloned({"repo": repository.url}) as folder:
        assert files(folder) == {"src/main.py": "1", "c": "1"}
    assert "Left out of the clone: src/a is a link that leads out of it." in caplog.messages


def test_submodules_are_not_cloned(repository: Repository, tmp_path: Path) -> None:
    part = Repository(tmp_path / "part")
    part.commit({"a": "1"})
    repository.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", part.url, "part")
    repository.commit({"main.py": "1"})
    with cloned({"repo": repository.url}) as folder:
        assert sorted(path.name for path in folder.iterdir()) == [".gitmodules", "main.py", "part"]
        assert list((folder / "part").iterdir()) == []


def test_without_git_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UploadError, match="there is no git on this machine"), cloned({"repo": "file:///a"}):
        pass


def fake_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    (tmp_path / "git").write_text(f"#!/bin/bash\n{script}\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


def is_waiting_for_git() -> bool:
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    return any(inner.f_code.co_name == "communicate" for inner, _ in traceback.walk_stack(frame))


def restore(handler: Any, pipe: Path) -> None:
    """Restore the handler, and end the wait for a writer of the pipe, if git was ended before it opened it."""
    signal.signal(signal.SIGUSR1, handler)
    with suppress(OSError):
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))


@pytest.mark.parametrize("end", ["time", "exception"])
def test_git_and_its_children_end_with_the_time_or_the_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """The children hold a pipe open: it ends when they all have."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    fake_git(tmp_path, monkeypatch, f"exec 9>{pipe}; sleep 600 & sleep 600")
    ended = threading.Event()

    def watch() -> None:
        with pipe.open("rb") as stream:  # which opens when git runs
            while end == "exception" and not is_waiting_for_git():
                time.sleep(0.01)
            if end == "exception":
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
            stream.read()
        ended.set()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with (
            pytest.raises(UploadError if end == "time" else KeyboardInterrupt) as raised,
            cloned({"repo": "file:///a"}, seconds=1 if end == "time" else 600),
        ):
            pass
    finally:
        restore(before, pipe)
    watcher.join(60)
    assert ended.is_set()
    if end == "time":
        assert str(raised.value) == "Can't clone file:///a: git took too long, and was ended."
        assert getattr(raised.value, "may_pass", False)
    assert clones(tmp_path) == []


@pytest.mark.parametrize(
    ("told", "may_pass"),
    [
        ("fatal: unable to access 'x': Could not resolve host: git.example", True),
        ("fatal: unable to access 'x': The requested URL returned error: 503", True),
        ("ssh: connect to host x port 22: Connection refused", True),
        ("fatal: unable to access 'x': The requested URL returned error: 403", False),
        ("fatal: repository 'x' not found", False),
    ],
)
def test_whether_another_try_may_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, *, may_pass: bool
) -> None:
    fake_git(tmp_path, monkeypatch, f'echo "{told}" >&2; exit 128')
    with pytest.raises(UploadError) as raised, cloned({"repo": "https://git.example/a"}):
        pass
    assert raised.value.may_pass is may_pass
    assert told in str(raised.value)


def test_what_git_says_has_no_secret_and_no_control_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_git(tmp_path, monkeypatch, f"printf 'remote: \\033[2J{SECRET}%%40\\n' >&2; exit 1")
    config = {"repo": "https://git.example/a", "username": "u", "password": SECRET}
    with pytest.raises(UploadError) as raised, cloned(config):
        pass
    assert str(raised.value) == "Can't clone https://git.example/a: git ended with 1:\n  remote: \\x1b[2J***%40"


def test_no_git_runs_with_a_secret_among_its_arguments_or_another_hosts_helper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_git(tmp_path, monkeypatch, f'printf "%s\\n" "$@" > {tmp_path}/arguments; exit 1')
    with pytest.raises(UploadError), cloned({"repo": "https://git.example:8443/a", "token": SECRET}):
        pass
    arguments = (tmp_path / "arguments").read_text()
    assert SECRET not in arguments
    assert set(re.findall(r"^credential.*?helper", arguments, re.MULTILINE)) == {
        "credential.https://git.example:8443.helper"
    }


@pytest.mark.parametrize(
    "repo",
    [
        "https://github.com/aws/sagemaker-python-sdk.git",
        "https://git-codecommit.us-west-2.amazonaws.com/v1/repos/MyDemoRepo",
        "https://git.example:8443/a%20b/c",
        "git@github.com:aws/sagemaker-python-sdk.git",
        "org-123@github.com:a/b.git",
        "git@git.example:/srv/a.git",
        "ssh://git-codecommit.us-west-2.amazonaws.com/v1/repos/a",
        "ssh://git@github.com:22/a/b",
        "file:///srv/a b",
    ],
)
def test_these_urls_are_taken(repo: str) -> None:
    assert list(git_problems({"repo": repo, "branch": "a/b", "commit": "HEAD~1", "2FA_enabled": False})) == []


@pytest.mark.parametrize(
    ("repo", "rule"),
    [
        (None, "is required"),
        ("", "is required"),
        ("--upload-pack=touch /tmp/a", "must be an https://"),
        ("-u", "must be an https://"),
        ("ext::sh -c touch% /tmp/a", "must be an https://"),
        ("ext::a@b:c", "must be an https://"),
        ("https://", "must be an https://"),
        ("https://-oProxyCommand=x/a", "must be an https://"),
        ("https://git.example/a\nb", "must be an https://"),
        ("https://git.example/a b", "must be an https://"),
        ("ssh://-oProxyCommand=x/a", "must be an https://"),
        ("ssh://-v@host/a", "must be an https://"),
        ("-v@host:a", "must be an https://"),
        ("git@-oProxyCommand=x:a", "must be an https://"),
        ("git@host:-a", "must be an https://"),
        ("git://git.example/a", "must be an https://"),
        ("codecommit::us-east-1://a", "must be an https://"),
        ("/srv/a", "must be an https://"),
        ("file://host/a", "must be an https://"),
        ("http://git.example/a", "must begin with https://"),
        (f"https://user:{SECRET}@git.example/a", "has credentials in it"),
        (f"https://{SECRET}@git.example/a", "has credentials in it"),
        (f"http://{SECRET}@git.example/a", "has credentials in it"),
        (f"ssh://user:{SECRET}@git.example/a", "must be an https://"),
    ],
)
def test_these_urls_are_refused_without_a_secret_in_the_error(repo: str | None, rule: str) -> None:
    [problem] = git_problems({"repo": repo})
    assert problem.parameter == "git_config['repo']"
    assert problem.rule.startswith(rule)
    assert SECRET not in str(problem)


@pytest.mark.parametrize("key", ["branch", "commit"])
@pytest.mark.parametrize("text", ["--upload-pack=touch /tmp/a", "-b", "a b", "a\nb", " "])
def test_a_hostile_branch_or_commit_is_refused(key: str, text: str) -> None:
    [problem] = git_problems({"repo": "https://git.example/a", key: text})
    assert (problem.parameter, problem.value) == (f"git_config[{key!r}]", text)


def read(**parameters: Any) -> list[tuple[str, str]]:
    """Return the parameters and the rules of all problems, as a task's author gets them."""
    reader = DefinitionReader()
    definition = reader.read({"command": ["python3"], "code": "main.py", **parameters})
    problems = [*reader.problems, *code_problems(definition)]
    assert SECRET not in repr(problems)
    return [(problem.parameter, problem.rule) for problem in problems]


def test_all_that_is_wrong_is_told_at_once_and_no_secret() -> None:
    config = {
        "branch": "-b",
        "repos": SECRET,
        "2FA_enabled": SECRET[:3],
        "password": f"{SECRET}\n",
        "token": [SECRET],
    }
    assert [name for name, _ in read(git_config=config, code="/etc/passwd", dependencies=["../a"])] == [
        "git_config['token']",
        "git_config['2FA_enabled']",
        "git_config['repos']",
        "git_config['repo']",
        "git_config['branch']",
        "git_config['password']",
        "code",
        "dependencies[0]",
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"code": "/etc/passwd"},
        {"code": "../main.py"},
        {"code": "s3://bucket/main.py"},
        {"source_dir": "../src"},
        {"source_dir": "s3://bucket/src.tar.gz"},
        {"source_dir": "src", "requirements": "/etc/passwd"},
        {"dependencies": ["file:///etc"]},
    ],
)
def test_a_path_that_is_not_in_the_repository_is_refused(given: Mapping[str, Any]) -> None:
    assert "must be a path in the repository of git_config" in [
        rule for _, rule in read(git_config={"repo": "https://git.example/a"}, **given)
    ]


def test_what_only_a_run_knows_is_passed_over() -> None:
    from airflow_sm_processing.processing.values import LATE

    assert read(git_config=LATE) == []
    assert read(git_config={"repo": LATE, "branch": LATE, "token": LATE, "2FA_enabled": LATE}) == []


def test_it_may_be_the_json_that_a_template_makes() -> None:
    definition = DefinitionReader().read({"git_config": '{"repo": "https://a/b", "2FA_enabled": "true", "commit": 7}'})
    assert definition.git_config == {"repo": "https://a/b", "2FA_enabled": True, "commit": "7"}
    assert DefinitionReader().read({"git_config": {}}).git_config is None
