"""One instance of a job: its interpreter, folders, configuration files, environment and process."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.local import sandbox
from airflow_sm_processing.local.folders import make_private, open_beneath, write_private
from airflow_sm_processing.local.jobs import Place
from airflow_sm_processing.local.logs import LogPump, LogStream
from airflow_sm_processing.local.validation import validation_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_sm_processing.local.jobs import Job
    from airflow_sm_processing.local.sandbox import Endpoint, Network, NetworkMode


ML = PurePosixPath("/opt/ml")
_NAMED = re.compile(r"/opt/ml/[^\s'\"`;,:|&<>()]+")
_ABSOLUTE = re.compile(rb"/opt/ml\b")
_SCRIPTS = frozenset({".py", ".sh", ".bash", ".r", ".jl", ".pl", ".rb", ".ipynb"})
_SHEBANG = b"#!"
_MAX_FILES, _MAX_BYTES, _MAX_SHOWN = 500, 1024 * 1024, 5


def find(ml: Path, arguments: Iterable[str]) -> list[str]:
    """Find the scripts that mention /opt/ml, among those that a command starts and those beside them.

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
_OURS = """#!{python}
import os, runpy
os.environ[{variable!r}] = {ml!r}
runpy.run_path({program!r}, run_name="__main__")
"""
# Programs in AWS's images, each with its replacement here and the variable that names the folder behind /opt/ml.
_SPARK = "smspark-submit"
_PROGRAMS = {
    _SPARK: ("smspark_submit.py", "SMSPARK_SUBMIT_ML"),
    "train": ("training_toolkit.py", "TRAINING_TOOLKIT_ML"),
}


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """A Python interpreter and its installed packages."""

    python: Path
    base: Path
    """The interpreter that a virtual environment based on it must start."""
    sites: tuple[str, ...]
    version: str
    """Major and minor, such as 3.11."""

    def layer(self, folder: Path, ml: str, ours: Iterable[str]) -> Path:
        """Make a virtual environment that sees the image's packages, and into which `pip install` installs.

        Args:
            folder: Where to make it.
            ml: The real folder behind /opt/ml.
            ours: Which programs of AWS's images to add.

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
        programs = dict.fromkeys(("pip", "pip3"), _PIP.format(python=binaries / "python"))
        for name in ours:
            file, variable = _PROGRAMS[name]
            place = str(Path(__file__).with_name(file))
            programs[name] = _OURS.format(python=binaries / "python", variable=variable, ml=ml, program=place)
        for name, text in programs.items():
            (binaries / name).write_text(text)
            (binaries / name).chmod(0o755)
        return binaries


@cache
def interpreter(python: str) -> Interpreter:
    """Run a Python to find out its version and folders.

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
            ServiceError: ValidationException, for an image URI that can't be the name of an image.
        """
        if not image_uri or image_uri != image_uri.strip() or " " in image_uri:
            raise validation_error(f"Invalid image URI {image_uri!r}. Please provide a valid Amazon ECR image path.")
        for pattern, python in self._pythons.items():
            if fnmatchcase(image_uri, pattern):
                return interpreter(python)
        return interpreter(sys.executable)


_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Variables that AWS's own images set.
_IMAGE_ENVIRONMENT = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "UTF-8"}
# Variables passed on from the server's own environment: certificates and the time zone, nothing secret.
_INHERITED = ("CURL_CA_BUNDLE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE", "TZ")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The settings that all instances of a server share."""

    mode: sandbox.Mode
    aws_environment: Mapping[str, str]
    """Variables that point an AWS client in the script to this server."""
    endpoint: Endpoint
    network: NetworkMode = "auto"
    pass_environment: tuple[str, ...] = ()
    """Globs over names of the server's own environment that scripts may see too."""


class Instance:
    """One host, `algo-N`."""

    def __init__(self, job: Job, number: int, root: Path, setting: Setting, network: Network) -> None:
        self.job = job
        self.number = number
        self.host = f"algo-{number}"
        self.exit_code: int | None = None
        self._root = root
        self._setting = setting
        self._network = network
        self._sandbox: sandbox.Sandbox | None = None
        self._pump: LogPump | None = None
        self._stream: LogStream | None = None

    @property
    def ml(self) -> Path:
        """The real folder behind /opt/ml."""
        return self._root / "ml"

    def folder(self, container_path: str) -> Path:
        """Return the real folder behind a path under /opt/ml."""
        return self.ml / PurePosixPath(container_path).relative_to(ML)

    def prepare(self) -> None:
        """Make the folders and files that a SageMaker container has."""
        hosts = [f"algo-{number}" for number in range(1, self.job.instance_count + 1)]
        addresses = "".join(f"{self._network.address(number)} {host}\n" for number, host in enumerate(hosts, start=1))
        sandbox.make_root(self._root, hosts=addresses)
        for name in ("home", "tmp", "work", *(f"ml/{name}" for name in self.job.fixed_folders)):
            make_private(self._root / name)
        for path in [source.path for source in self.job.sources()] + [target.path for target in self.job.targets()]:
            make_private(self.folder(path))
        # In a container that works in its root folder, `opt/ml/…` works too. Here it needs a link in the work folder.
        (self._root / "work" / "opt").symlink_to(self._root / "opt" if self._is_rewritten else "/opt")
        if self._is_rewritten:
            make_private(self._root / "opt")
            (self._root / "opt" / "ml").symlink_to(self._root / "ml")
        place = Place(host=self.host, hosts=hosts, interface=self._network.interface)
        for name, content in self.job.config_files(place).items():
            write_private(self.ml / name, self._rewritten(json.dumps(content)))

    @property
    def _is_rewritten(self) -> bool:
        return self._setting.mode == "folder"

    def _rewritten(self, text: str) -> str:
        return text.replace(str(ML), str(self.ml)) if self._is_rewritten else text

    def start(self, image: Interpreter, logs: Any) -> None:
        """Start the command; its output goes to the host's log stream from now on."""
        stream = self._stream = LogStream(logs, self.job.log_group, f"{self.job.name}/{self.host}-{int(time.time())}")
        stream.put(self._remarks(image))
        command = sandbox.Command(
            root=self._root,
            directory=self._root / "work",
            arguments=[self._rewritten(argument) for argument in self.job.command()],
            environment=self._environment(image),
        )
        place = self._network.host(self.number, self._setting.endpoint)
        self._sandbox = sandbox.Sandbox(command, self._setting.mode, place)
        self._pump = LogPump(self._sandbox.output, stream, self.job.note_output)
        self._pump.start()

    def _remarks(self, image: Interpreter) -> list[str]:
        """Return remarks on differences from the service; those that concern all hosts are made by the first."""
        remarks = self._remarks_on_job(image) if self.number == 1 else []
        if self._is_rewritten:
            remarks += self._remarks_on_paths()
        return [f"[local] {remark}" for remark in remarks]

    def _remarks_on_job(self, image: Interpreter) -> list[str]:
        remarks = [f"{self.job.image_uri} isn't pulled: the command runs with {image.python}."]
        if self._network.is_own:
            remarks.append(
                "Each host has a network of its own: it reaches this server and the job's other hosts, nothing else."
            )
        elif self.job.instance_count > 1:
            remarks.append(
                "The hosts of this job share this machine's network: no two of them can listen on the same port of all "
                f"addresses (0.0.0.0). Listen on the host's own name, such as {self.host}, instead."
            )
        if self.job.is_isolated:
            remarks.append("EnableNetworkIsolation isn't enforced here.")
        return [*remarks, *self.job.remarks()]

    def _remarks_on_paths(self) -> list[str]:
        text = (
            f"This machine permits no private {ML}, or was started without one: the command, its environment and its "
            f"config files say {self.ml} instead. Paths written inside scripts aren't changed."
        )
        remarks = [text]
        if found := find(self.ml, self.job.command()):
            remarks.append(
                f"These scripts say {ML} themselves, where they will find nothing of this job's: {'; '.join(found)}. "
                "Take the paths from arguments or the environment, or write them without the first slash (opt/ml/…), "
                "which leads there from the working directory; or run where isolation by namespaces works (Linux, as "
                "root or with user namespaces)."
            )
        return remarks

    def _environment(self, image: Interpreter) -> dict[str, str]:
        passed = (*_INHERITED, *self._setting.pass_environment)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in passed)
        }
        own = {
            "PATH": f"{self._layer(image)}:{image.python.parent}:{_SYSTEM_PATH}",
            "HOME": str(self._root / "home"),
            "TMPDIR": str(self._root / "tmp"),
        }
        asked = {name: self._rewritten(value) for name, value in self.job.environment().items()}
        return inherited | _IMAGE_ENVIRONMENT | own | dict(self._setting.aws_environment) | asked

    def _layer(self, image: Interpreter) -> Path:
        ours = [] if (image.python.parent / _SPARK).exists() else [_SPARK]  # the image's own is preferred
        ours += [self.job.program] if self.job.program else []
        return image.layer(self._root / "python", self._rewritten(str(ML)), ours)

    def terminate(self) -> None:
        """Send SIGTERM."""
        if self._sandbox and self.exit_code is None:
            self._sandbox.terminate()

    def kill(self) -> None:
        """End all its processes."""
        if self._sandbox and self.exit_code is None:
            self._sandbox.kill()

    def wait(self) -> int:
        """Wait until every process has ended and every log line is shipped; return the exit code.

        Raises:
            OSError: The sandbox couldn't be created.
        """
        assert self._sandbox is not None  # noqa: S101  # start() comes first
        assert self._pump is not None  # noqa: S101  # start() comes first
        try:
            self.exit_code = self._sandbox.wait()
        finally:
            self._pump.finish()
            self._sandbox.close()
        return self.exit_code

    def said_in(self, file: str | None) -> bytes:
        """Read a file in /opt/ml/output; return nothing if the script didn't write it as a regular file."""
        if file is None:
            return b""
        try:
            descriptor = open_beneath(self.ml, "output", file, flags=os.O_NONBLOCK)
        except OSError:
            return b""
        with os.fdopen(descriptor, "rb") as opened:
            return opened.read(64 * 1024) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""

    def remark(self, text: str) -> None:
        """Write a line to the host's log, if it has one yet."""
        if self._stream is not None:
            self._stream.put_if_possible([f"[local] {text}"])
