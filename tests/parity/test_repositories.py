"""Code in git repositories: what both sides send of it, and how they log in, to a server over https."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.repositories import GitServer, Repository, git_server

from .case import Case
from .comparison import assert_equal
from .difference import outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .bench import Bench

SECRET = "s3cret of/ours%@"
FILES = {"src/main.py": "1", "src/lib/a.py": "", "src/run.sh": "", "shared/b.py": "b", "alone.py": "2"}
SOURCE = {"code": "main.py", "source_dir": "src"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("repositories")


@pytest.fixture(scope="module")
def commits(root: Path) -> dict[str, str]:
    """The commits of the repository `team/code`, by what they are."""
    repository = Repository(root / "team" / "code")
    commits = {"first": repository.commit(FILES)}
    repository.git("tag", "v1")
    repository.git("checkout", "--quiet", "-b", "dev")
    commits["dev"] = repository.commit({"src/main.py": "dev"})
    repository.git("checkout", "--quiet", "main")
    commits["main"] = repository.commit({"src/main.py": "main", "src/lib/a.py": "main"})
    return {**commits, "short": commits["first"][:10]}


@pytest.fixture
def server(root: Path, commits: dict[str, str], tmp_path: Path) -> Iterator[GitServer]:
    with git_server(root, tmp_path) as server:
        yield server


def _case(server: GitServer, config: dict[str, str | bool], commits: dict[str, str], run: dict[str, Any]) -> Case:
    known = {key: text.format_map(commits) if isinstance(text, str) else text for key, text in config.items()}
    return Case(
        name="a repository",
        processor="PyTorchProcessor",
        runs=({**SOURCE, "git_config": {"repo": f"{server.url}/team/code/.git", **known}, **run},),
        environment={"GIT_SSL_CAINFO": str(server.certificate)},
    )


@pytest.mark.parametrize(
    ("config", "run"),
    [
        ({}, {}),
        ({"branch": "dev"}, {}),
        ({"branch": "v1"}, {}),
        ({"branch": "{first}"}, {}),
        ({"commit": "{first}"}, {}),
        ({"commit": "{short}"}, {}),
        ({"branch": "main", "commit": "{dev}"}, {}),
        ({"branch": "dev", "commit": "HEAD~1"}, {}),
        ({}, {"dependencies": ["shared"]}),
        ({}, {"dependencies": ["shared", "shared/b.py"]}),
        ({}, {"code": "alone.py", "source_dir": None}),
        ({}, {"code": "src/main.py", "source_dir": None, "dependencies": ["shared"]}),
        ({"commit": "{first}"}, {"job_name": "my-job"}),
    ],
)
def test_the_same_files_go_under_the_same_keys(
    bench: Bench,
    proven: Callable[..., None],
    server: GitServer,
    commits: dict[str, str],
    config: dict[str, str | bool],
    run: dict[str, Any],
) -> None:
    case = _case(server, config, commits, run)
    assert_equal(case, *bench.compare(case))
    proven(written=1)


@pytest.mark.parametrize(
    ("config", "login"),
    [
        ({"token": SECRET.replace(" ", "").replace("/", "").replace("%@", "")}, ("s3cretofours", "")),
        ({"username": "u", "password": SECRET}, ("u", SECRET)),
        ({"2FA_enabled": True, "token": "a-token"}, ("a-token", "")),
        ({"2FA_enabled": True, "token": "a-token", "username": "u", "password": SECRET}, ("a-token", "")),
        ({"2FA_enabled": False, "token": "a-token", "password": SECRET}, ("a-token", "")),
    ],
)
def test_both_log_in_alike_and_only_the_sdk_shows_how(
    bench: Bench,
    proven: Callable[..., None],
    server: GitServer,
    commits: dict[str, str],
    config: dict[str, str | bool],
    login: tuple[str, str],
) -> None:
    """The SDK's source folder with git's own files has the login, and so has the list of processes."""
    server.login = login
    case = _case(server, config, commits, {})
    sdk = bench.compare(case)[0]
    of_both = set(server.logins)
    shown = [login[1] or login[0] in text for text in server.processes]
    server.logins.clear()
    server.processes.clear()
    ours = bench.ours(case)
    assert_equal(case, sdk, ours)
    assert of_both == set(server.logins) == {login}
    assert any(shown)
    assert not [text for text in server.processes if (login[1] or login[0]) in text]
    proven(written=1)


@pytest.mark.parametrize(
    "config",
    [{"username": "u"}, {"password": SECRET}, {"2FA_enabled": True, "username": "u", "password": SECRET}],
)
def test_both_fail_with_half_a_login(
    bench: Bench, server: GitServer, commits: dict[str, str], config: dict[str, str | bool]
) -> None:
    server.login = ("u", SECRET)
    sdk, ours = bench.compare(_case(server, config, commits, {}))
    assert (outcome(sdk), outcome(ours)) == ("CalledProcessError", "UploadError")
    assert server.logins == []
    assert "Set username and password, or token, in git_config." in ours.message


def test_a_whole_repository_goes_without_gits_own_files_and_the_token_in_them(
    bench: Bench, server: GitServer, commits: dict[str, str]
) -> None:
    server.login = ("a-token", "")
    sdk, ours = bench.compare(_case(server, {"token": "a-token"}, commits, {"code": "alone.py", "source_dir": "."}))
    assert b"a-token" in sdk.account.archives[0][".git/config"]
    assert sorted(ours.account.archives[0]) == ["alone.py", "shared/b.py", "src/lib/a.py", "src/main.py", "src/run.sh"]


@pytest.mark.parametrize(
    ("run", "parameter"),
    [
        ({"code": "none.py"}, "code='src/none.py': isn't in "),
        ({"source_dir": "none"}, "source_dir='none': isn't in "),
        ({"dependencies": ["none"]}, "dependencies[0]='none': isn't in "),
    ],
)
def test_both_refuse_what_the_repository_doesnt_have(
    bench: Bench, server: GitServer, commits: dict[str, str], run: dict[str, Any], parameter: str
) -> None:
    sdk, ours = bench.compare(_case(server, {}, commits, run))
    assert (outcome(sdk), outcome(ours)) == ("ValueError", "DefinitionError")
    assert f"{parameter}{server.url}/team/code/.git" in ours.message


def test_a_repository_on_this_machine_is_only_ours(bench: Bench, root: Path, commits: dict[str, str]) -> None:
    case = Case(
        name="file",
        processor="PyTorchProcessor",
        runs=({**SOURCE, "git_config": {"repo": (root / "team" / "code").as_uri()}},),
    )
    sdk, ours = bench.compare(case)
    assert (outcome(sdk), outcome(ours)) == ("ValueError", "created")
