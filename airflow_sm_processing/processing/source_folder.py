"""Pack a source folder for the container: the archive of its files, and the script that unpacks and runs them.

The layout is that of the SDK's FrameworkProcessor: `sourcedir.tar.gz` and `runproc.sh`, each in a separate input.
"""

from __future__ import annotations

import gzip
import re
import shlex
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from airflow_sm_processing.exceptions import Problem, UploadError
from airflow_sm_processing.processing.definition import (
    ENTRY_SCRIPT,
    SOURCE_ARCHIVE,
    code_script,
    codeartifact_repository,
    is_packed,
    local_path,
    no_such_path,
    source_in_s3,
)
from airflow_sm_processing.processing.uploads.files import (
    Content,
    Listing,
    LocalFile,
    list_together,
    listed,
    read_content,
    read_files,
)
from airflow_sm_processing.processing.uploads.ignore import IGNORE_FILE, IgnoreRules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_sm_processing.processing.definition import JobDefinition

__all__ = ["SourcePackage", "source_file_problems"]

_REQUIREMENTS = "requirements.txt"
_OWNER_EXECUTES = 0o100
_PYTHON = re.compile(r"python[\d.]*")
PIP_SETTINGS = {
    "PIP_BREAK_SYSTEM_PACKAGES": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_PROGRESS_BAR": "off",
    "PIP_ROOT_USER_ACTION": "ignore",
}
"""pip's settings, the same as for functions; the user's own variables take precedence."""

_START = """\
#!/bin/bash
# Written by airflow-sm-processing: it prepares the source folder, and becomes the job's own command.
set -e -o pipefail
ml=$(cd "$(dirname "$0")/../../.." && pwd)
cd "$ml/processing/input/code"
"""
_UNPACK = "tar -xzmof {archive}\n"  # with the current time, and owned by the container's user
_INSTALL = """
run() {{
    local failed=$1 words status=0
    shift
    words=$(mktemp)
    "$@" 2>&1 | tee "$words" || status=$?
    if [[ $status -ne 0 ]]; then
        local LC_ALL=C last  # SageMaker keeps the first 1,024 bytes of a message
        last=$(tail -n 15 "$words")
        while [[ ${{#last}} -gt 900 && $last == *$'\\n'* ]]; do last=${{last#*$'\\n'}}; done
        mkdir -p "$ml/output"
        printf '%s (exit code %s):\\n%s\\n' "$failed" "$status" "${{last:0:900}}" > "$ml/output/message"
        exit "$status"
    fi
}}
install() {{{log_in}
    echo 'Installing the requirements with pip'
    run 'pip could not install the requirements' {python} -m pip install --requirement "$1"
}}
{settings}
"""
_LOG_IN = """
    if ! hash aws 2>/dev/null; then
        echo "AWS CLI is not installed. Skipping CodeArtifact login."
    else
        run 'aws could not log in to CodeArtifact' {login}
    fi"""
_LOGIN = (
    "aws codeartifact login --tool pip --domain {domain} --domain-owner {owner} --repository {repository} "
    "--region {region}"
)
"""The same commands as in the SDK."""
_FIND_PYTHON = "$(command -v python || command -v python3 || echo python3)"
_RUN = '\nexec {command} {script} "$@"\n'


class _Root(NamedTuple):
    """A local file or folder, and the place of its files in the archive."""

    path: Path
    below: str
    parameter: str
    given: str


@dataclass(frozen=True)
class SourcePackage:
    """The archive and the entry script for a definition's source folder."""

    definition: JobDefinition
    """The definition whose source is packed, see `is_packed`."""
    file_name: ClassVar[str] = SOURCE_ARCHIVE
    is_made: ClassVar[bool] = True

    @property
    def location(self) -> str | None:
        """The S3 prefix for the package, instead of the default bucket's."""
        return self.definition.code_location

    @property
    def path(self) -> Path:
        """The local folder or script that the package is named after; the entry script's name if the rest is in S3."""
        return self._roots[0].path if self._roots else Path(ENTRY_SCRIPT)

    @cached_property
    def _roots(self) -> list[_Root]:
        definition = self.definition
        if source_in_s3(definition) is not None:
            return []
        parameter = "code" if definition.source_dir is None else "source_dir"
        given = str(definition.source_dir or definition.code)
        main = _path(given)
        roots = [_Root(main, "" if main.is_dir() else main.name, parameter, given)]
        for index, text in enumerate(definition.dependencies or ()):
            path = _path(text)
            roots.append(_Root(path, path.name or path.resolve().name, f"dependencies[{index}]", text))
        return roots

    def listing(self, *, warn: bool = True) -> Listing:
        """Return the archive's files with their names in it.

        Raises:
            UploadError: Something can't be read, or two files have the same name.
        """
        places = [(root.path, root.below) for root in self._roots]
        return list_together(
            places, f"Can't pack {self.path}: two files would have one place in the archive", warn=warn
        )

    def content(self, *context: str) -> Content:
        """Read the files; the digest depends only on them, the entry script and the context, not on who packs and when.

        Raises:
            UploadError: Something can't be read.
        """
        if not self._roots:
            return read_files(Listing([]), self.script(), *context)
        listing = self.listing()
        modes = "".join("x" if _is_executable(file) else "-" for file in listing.files)
        return read_files(listing, self.script(), modes, *context)

    @contextmanager
    def written(self, content: Content | None = None) -> Iterator[tuple[Path, Content | None]]:
        """Write the archive and the entry script to a folder, which is removed after the block.

        Args:
            content: The files' content when they were read; if a file has changed since, there is an error.

        Yields:
            The folder, and its content if `content` was given.

        Raises:
            UploadError: A file can't be read, or has changed since.
        """
        with TemporaryDirectory(prefix="sm-processing-source-") as name:
            folder = Path(name)
            (folder / ENTRY_SCRIPT).write_text(self.script(), encoding="utf-8")
            if self._roots:
                files = self.listing().files if content is None else content.files
                _write_archive(folder / SOURCE_ARCHIVE, files)
                changed = [file.path for file in files if file.has_changed()]
                if changed:
                    error = UploadError(
                        f"Can't pack {self.path}, for files have changed since they were read for this upload; another "
                        f"try reads them anew:{listed(changed)}"
                    )
                    error.may_pass = True
                    raise error
            yield folder, None if content is None else read_content(folder)

    # The entry script

    def script(self) -> str:
        """Return the text of the entry script.

        Raises:
            UploadError: The requirements file can't be read.
        """
        source = source_in_s3(self.definition)
        archive = SOURCE_ARCHIVE if source is None else PurePosixPath(source).name
        unpack = _UNPACK.format(archive=shlex.quote(archive)) if archive.endswith((".tar.gz", ".tgz")) else ""
        command = [str(word) for word in self.definition.command or ()]
        run = _RUN.format(command=shlex.join(command), script=shlex.quote(code_script(self.definition)))
        return _START + unpack + self._install(command) + run

    def _install(self, command: list[str]) -> str:
        steps = self._install_steps()
        if not steps:
            return ""
        repository = codeartifact_repository(str(self.definition.codeartifact_repo_arn or ""))
        log_in = "" if repository is None else _LOG_IN.format(login=_LOGIN.format(**repository))
        own = command[0] if command and _PYTHON.fullmatch(PurePosixPath(command[0]).name) else None
        python = f'"{_FIND_PYTHON}"' if own is None else shlex.quote(own)
        settings = "\n".join(f'export {name}="${{{name}-{value}}}"' for name, value in PIP_SETTINGS.items())
        return _INSTALL.format(log_in=log_in, python=python, settings=settings) + steps

    def _install_steps(self) -> str:
        requirements = self.definition.requirements
        if not requirements:
            step = f"if [[ -f {_REQUIREMENTS} ]]; then install {_REQUIREMENTS}; fi\n"
            return step if self.definition.is_framework else ""
        if isinstance(requirements, str):
            inside = self._inside(_path(requirements))
            if inside is not None:
                return f"install {shlex.quote(inside)}\n"
            requirements = _lines(requirements)
        # Put beside the source, so that relative paths in it work as in the folder's own requirements file.
        return (
            "lines=$(mktemp ./requirements-XXXXXX)\n"
            f'printf \'%s\\n\' {shlex.join(requirements)} > "$lines"\ninstall "$lines"\nrm "$lines"\n'
        )

    def _inside(self, path: Path) -> str | None:
        """Return the name in the archive of a file in the source folder; None for other files."""
        root = self._roots[0].path if self._roots else None
        if root is None or not root.is_dir():
            return None
        try:
            return path.absolute().relative_to(root.absolute()).as_posix()
        except ValueError:
            return None


def source_file_problems(definition: JobDefinition) -> Iterator[Problem]:
    """Yield what is wrong on this machine with a source folder or code folder, its dependencies and requirements."""
    if not is_packed(definition):
        yield from _left_out_problems(definition)
        return
    package = SourcePackage(definition)
    missing = [*_missing_problems(definition)]
    yield from missing
    if missing or source_in_s3(definition) is not None:
        return
    try:
        names = {file.name for file in package.listing(warn=False).files}
    except UploadError as error:
        yield Problem("source_dir" if definition.source_dir else "code", str(package.path), str(error))
        return
    script = code_script(definition)
    if str(PurePosixPath(script)) not in names:
        given = "code" if definition.source_dir is not None or definition.script_name is None else "script_name"
        yield Problem(given, script, f"isn't among the files that are sent from {package.path.absolute()}")
    if isinstance(definition.requirements, str):
        inside = package._inside(_path(definition.requirements))  # noqa: SLF001  # the same file's
        if inside is not None and inside not in names:
            yield Problem("requirements", definition.requirements, "is left out by the folder's ignore rules")


def _left_out_problems(definition: JobDefinition) -> Iterator[Problem]:
    folder = None if definition.script_name is None else local_path(str(definition.code))
    if folder is None or not (folder / str(definition.script_name)).is_file():
        return
    try:
        if IgnoreRules.of(folder).holds_back(str(PurePosixPath(str(definition.script_name)))):
            rule = f"is left out by the ignore rules: see {IGNORE_FILE} in {folder}"
            yield Problem("script_name", definition.script_name, rule)
    except UploadError as error:
        yield Problem("code", str(folder), str(error))


def _missing_problems(definition: JobDefinition) -> Iterator[Problem]:
    source = definition.source_dir if definition.source_dir is not None else definition.code
    name = "code" if definition.source_dir is None else "source_dir"
    places = [(name, source)] if source_in_s3(definition) is None else []
    places += [(f"dependencies[{index}]", text) for index, text in enumerate(definition.dependencies or ())]
    for parameter, text in places:
        path = local_path(text) if isinstance(text, str) else None
        if path is None:
            yield Problem(parameter, text, "must be a local path or a file:// URI")
        elif not path.exists():
            yield Problem(parameter, text, no_such_path(path))
        elif parameter == "source_dir" and not path.is_dir():
            yield Problem(parameter, text, f"must be a folder, or an archive in S3: {path.absolute()} is a file")
    if isinstance(definition.requirements, str):
        path = local_path(definition.requirements)
        if path is None or not path.is_file():
            yield Problem(
                "requirements", definition.requirements, "no such file; you can also pass a list of its lines"
            )


def _path(text: object) -> Path:
    path = local_path(str(text))
    if path is None:
        raise UploadError(f"Can't pack {text}: it isn't a local path.")
    return path


def _lines(text: str) -> list[str]:
    try:
        return _path(text).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise UploadError(f"Can't read the requirements {text}: {error}.") from None


def _is_executable(file: LocalFile) -> bool:
    try:
        return bool(Path(file.path).stat().st_mode & _OWNER_EXECUTES)
    except OSError as error:
        raise UploadError(f"Can't upload {file.path}: {error.strerror}.") from None


def _write_archive(target: Path, files: list[LocalFile] | tuple[LocalFile, ...]) -> None:
    """Write an archive that is identical for identical files: without times, owners or the archive's own name."""
    with (
        target.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for file in files:
            try:
                with Path(file.path).open("rb") as stream:
                    archive.addfile(_member(file, stream.seek(0, 2)), stream if stream.seek(0) == 0 else None)
            except OSError as error:
                raise UploadError(f"Can't pack {file.path}: {error.strerror or error}.") from None


def _member(file: LocalFile, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(file.name)
    member.size = size
    member.mode = 0o755 if _is_executable(file) else 0o644
    return member
