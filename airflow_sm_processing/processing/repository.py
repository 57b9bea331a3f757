"""A git repository with code: check its configuration, and clone it for the duration of a block.

Git gets credentials from a credential helper, which reads them from git's own environment. They aren't in any argument,
file, log line or error.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

from airflow_sm_processing.exceptions import Problem, UploadError
from airflow_sm_processing.redaction import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["cloned", "git_problems"]

log = logging.getLogger(__name__)

_TWO_FACTOR = "2FA_enabled"
_SECRETS = ("username", "password", "token")
_KEYS = ("repo", "branch", "commit", _TWO_FACTOR, *_SECRETS)
_SECONDS = 600.0
"""The maximum time for all of git's work on one clone, in seconds."""
_SCHEMES = "https:ssh:file"
"""The protocols that git may use, also after a redirect: not `ext::`, which runs commands, nor unencrypted http."""
_HTTPS = re.compile(r"https://[A-Za-z0-9][A-Za-z0-9.-]*(:\d+)?/[^\s\\<>\[\]{}^`|]+")
_SSH = re.compile(
    r"ssh://(\w[\w.-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*(:\d+)?/\S+|\w[\w.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[^\s-]\S*"
)
_FILE = re.compile(r"file:///\S[^\r\n]*")
_CODE_COMMIT = "https://git-codecommit"
_REVISION = re.compile(r"[^\s\x00-\x1f\x7f-][^\s\x00-\x1f\x7f]*")
_WHOLE_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_USERNAME, _PASSWORD = "SM_PROCESSING_GIT_USERNAME", "SM_PROCESSING_GIT_PASSWORD"
_HELPER = f"""!f() {{ test "$1" != get || printf 'username=%s\\npassword=%s\\n' "${_USERNAME}" "${_PASSWORD}"; }}; f"""
# Variables that another repository's hook sets, and those that would make git print requests.
_NOT_FOR_GIT = re.compile(
    "GIT_(DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|COMMON_DIR|NAMESPACE|PREFIX|TRACE.*"
    "|CURL_VERBOSE)"
)
_NOT_ALONE = re.compile("not our ref|unadvertised object|remote branch .* not found", re.IGNORECASE)
"""Git's messages for a commit that can't be fetched by itself, but may be in the whole repository."""
_TRANSIENT = re.compile(
    "could not resolve host|timed out|connection (refused|reset|closed)|early eof|rpc failed|remote end hung up"
    "|transfer closed|returned error: (429|5..)",
    re.IGNORECASE,
)
_NO_CREDENTIALS = re.compile(
    "terminal prompts disabled|authentication failed|could not read (username|password)", re.IGNORECASE
)
_LAST_LINES = 15


def git_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with a git configuration, without quoting secrets; values not known yet are skipped."""
    for key in config:
        if key not in _KEYS:
            yield Problem(f"git_config[{key!r}]", "***", f"is unknown; known are {', '.join(_KEYS)}")
    yield from _place_problems(config)
    if isinstance(config.get(_TWO_FACTOR), (int, float)) and not isinstance(config[_TWO_FACTOR], bool):
        yield Problem(f"git_config[{_TWO_FACTOR!r}]", config[_TWO_FACTOR], "must be true or false")
    for key in _SECRETS:
        text = config.get(key)
        if isinstance(text, str) and _CONTROL.search(text):
            yield Problem(f"git_config[{key!r}]", "***", "must be one line, without control characters")


def _place_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    repo = config.get("repo")
    if repo is None or repo == "":
        yield Problem("git_config['repo']", repo, "is required: the repository's URL")
    elif isinstance(repo, str) and (rule := _rule_of_url(repo)):
        yield Problem("git_config['repo']", _without_user(repo), rule)
    for key in ("branch", "commit"):
        text = config.get(key)
        if isinstance(text, str) and text and not _REVISION.fullmatch(text):
            yield Problem(f"git_config[{key!r}]", text, "must have no white space, and not begin with a hyphen")


def _rule_of_url(repo: str) -> str | None:
    if any(form.fullmatch(repo) for form in (_HTTPS, _SSH, _FILE)):
        return None
    if re.match("https?://[^/]*@", repo):
        return "has credentials in it, which would be visible: set them as username and password, or as token"
    if repo.startswith("http://"):
        return "must begin with https://, for whatever is sent over http can be read"
    return "must be an https:// or ssh:// URL, user@host:path, or file:///path"


def _without_user(repo: str) -> str:
    return re.sub(r"^(\w+://)[^/]*@", r"\1***@", repo)


class _Credentials(NamedTuple):
    username: str
    password: str


def _credentials(config: Mapping[str, Any]) -> _Credentials | None:
    """Return git's credentials, by the SDK's rules; log what is ignored. None means that git uses its own helpers."""
    username, password, token = (str(config.get(key) or "") for key in _SECRETS)
    repo, given = str(config["repo"]), [key for key in _SECRETS if config.get(key)]
    is_code_commit = repo.startswith(_CODE_COMMIT)
    if not repo.startswith("https://"):
        usable: list[str] = []
    elif token and not is_code_commit:
        usable = ["token"]
    elif username and password and not (config.get(_TWO_FACTOR) is True and not is_code_commit):
        usable = ["username", "password"]
    else:
        usable = []
    ignored = [key for key in given if key not in usable]
    if ignored:
        log.warning("Ignored of git_config: %s (%s).", ", ".join(ignored), _why_ignored(repo, usable))
    if not usable:
        return None
    return _Credentials(token, "") if usable == ["token"] else _Credentials(username, password)


def _why_ignored(repo: str, usable: list[str]) -> str:
    if not repo.startswith("https://"):
        return "only https logs in with them"
    if usable:
        return "the token is used" if usable == ["token"] else "CodeCommit has no tokens"
    return "username and password go together, and with 2FA_enabled only a token does"


@contextmanager
def cloned(config: Mapping[str, Any], *, seconds: float = _SECONDS) -> Iterator[Path]:
    """Clone the repository, without its history, to a folder that is removed after the block.

    Args:
        config: The SDK's `git_config`, in which `git_problems` found nothing.
        seconds: The maximum time for all of git's work.

    Yields:
        The folder, with the files of the commit and without `.git`.

    Raises:
        UploadError: There is no git, or it failed.
    """
    with TemporaryDirectory(prefix="sm-processing-git-") as place:
        folder = Path(place, "repository").resolve()
        folder.mkdir()
        git = _Git(config, folder, deadline=time.monotonic() + seconds)
        git.check_out()
        log.info("Cloned %s at commit %s", git.what, git.commit())
        shutil.rmtree(folder / ".git")
        _remove_links_out_of(folder)
        yield folder


class _Git:
    """Runs git for one clone."""

    def __init__(self, config: Mapping[str, Any], folder: Path, *, deadline: float) -> None:
        self._repo, self._branch, self._commit = (str(config.get(key) or "") for key in ("repo", "branch", "commit"))
        self._folder = folder
        self._deadline = deadline
        self._credentials = _credentials(config)
        revision = self._commit or self._branch
        self.what = self._repo + (f" ({revision})" if revision else "")

    def check_out(self) -> None:
        """Clone, and check out the branch, then the commit; without the history, if that is enough."""
        if self._fetch_alone():
            return
        self._output("clone", "--quiet", "--", self._repo, ".")
        for revision in (self._branch, self._commit):
            if revision:
                self._output("checkout", "--quiet", revision, "--")

    def commit(self) -> str:
        """Return the hash of the checked-out commit."""
        return self._output("rev-parse", "HEAD").strip()

    def _fetch_alone(self) -> bool:
        """Fetch only the wanted commit; return False if finding it requires the whole repository."""
        wanted = self._commit or self._branch
        try:
            if _WHOLE_HASH.fullmatch(wanted):
                self._output("init", "--quiet")
                self._output("fetch", "--quiet", "--no-tags", "--depth=1", "--", self._repo, wanted)
                self._output("checkout", "--quiet", "--detach", "FETCH_HEAD")
            elif self._commit:
                return False
            else:
                branch = ["--branch", wanted] if wanted else []
                self._output("clone", "--quiet", "--depth=1", *branch, "--", self._repo, ".")
        except UploadError as error:
            if not _NOT_ALONE.search(str(error)):
                raise
            shutil.rmtree(self._folder)
            self._folder.mkdir()
            return False
        return True

    def _output(self, *arguments: str) -> str:
        """Run git in the folder, and return its output.

        Raises:
            UploadError: It failed or took too long; the error has the end of its output, without credentials.
        """
        try:
            process = subprocess.Popen(  # noqa: S603  # no shell, and the arguments are checked
                ["git", *self._settings(), *arguments],  # noqa: S607  # the user's own git
                cwd=self._folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # so that there is no terminal to prompt on, and git's children end with it
                encoding="utf-8",
                errors="replace",
            )
        except FileNotFoundError as error:
            raise UploadError(f"Can't clone {self.what}: there is no git on this machine.") from error
        with process:
            try:
                written, told = process.communicate(timeout=max(0.0, self._deadline - time.monotonic()))
            except BaseException as error:  # the task may be told to end
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise self._error("git took too long, and was ended.", may_pass=True) from None
                raise
        if process.returncode:
            raise self._refusal(process.returncode, told)
        return written

    def _settings(self) -> list[str]:
        """Return git's settings as arguments; they have no secrets, since other users can list processes."""
        settings = ["gc.auto=0", "maintenance.auto=false", "http.lowSpeedLimit=1", "http.lowSpeedTime=60"]
        if self._credentials is not None:
            parts = urlsplit(self._repo)
            helper = f"credential.{parts.scheme}://{parts.netloc}.helper"  # not for other hosts, in case of a redirect
            settings += [f"{helper}=", f"{helper}={_HELPER}"]
        return [word for setting in settings for word in ("-c", setting)]

    def _environment(self) -> dict[str, str]:
        environment = {name: text for name, text in os.environ.items() if not _NOT_FOR_GIT.fullmatch(name)}
        allowed = environment.get("GIT_ALLOW_PROTOCOL", _SCHEMES).split(":")
        environment |= {
            "GIT_ALLOW_PROTOCOL": ":".join(scheme for scheme in _SCHEMES.split(":") if scheme in allowed),
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",  # because its messages are matched
            "SSH_ASKPASS_REQUIRE": "never",
        }
        if self._credentials is None:
            return environment
        username, password = self._credentials
        return environment | {"GIT_ASKPASS": "", _USERNAME: username, _PASSWORD: password}

    def _refusal(self, code: int, told: str) -> UploadError:
        lines = [line for line in told.splitlines() if line.strip()][-_LAST_LINES:]
        words = self._hidden("\n  ".join(printable(line) for line in lines))
        advice = "\nSet username and password, or token, in git_config." if _NO_CREDENTIALS.search(told) else ""
        return self._error(f"git ended with {code}:\n  {words}{advice}", may_pass=bool(_TRANSIENT.search(told)))

    def _error(self, reason: str, *, may_pass: bool) -> UploadError:
        error = UploadError(f"Can't clone {self.what}: {reason}")
        error.may_pass = may_pass
        return error

    def _hidden(self, text: str) -> str:
        if self._credentials is None:
            return text
        secret = self._credentials.password or self._credentials.username
        return text.replace(secret, "***").replace(quote(secret, safe=""), "***")


def _remove_links_out_of(folder: Path) -> None:
    """Remove links to outside of the clone, which would otherwise be followed to files of this machine."""
    for path in [path for path in folder.rglob("*") if path.is_symlink()]:
        if not Path(os.path.realpath(path)).is_relative_to(folder):
            log.warning("Left out of the clone: %s is a link that leads out of it.", path.relative_to(folder))
            path.unlink()
