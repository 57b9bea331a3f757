"""Stand in for `train` of AWS's framework images: run a training job's script as sagemaker-training-toolkit does.

This is a separate program (standard library only), which runs with the image's Python inside the sandbox. It unpacks
the code, installs its requirements, and runs the script with the hyperparameters as options and the job's properties in
variables SM_…. If the script fails, the error is written to /opt/ml/output/failure.
"""

from __future__ import annotations

import json
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

ML_VARIABLE = "TRAINING_TOOLKIT_ML"
"""Names the folder behind /opt/ml."""
_OWN = frozenset({"_tuning_objective_metric", "default_user_module_name"})
_OWN_PREFIX = "sagemaker_"  # hyperparameters with this prefix aren't passed to the script
_GROUP = "homogeneousCluster"
_FAILED = 1
_INFO = 20  # the level's number in `logging`
_TAIL_BYTES = 16 * 1024  # of stderr; the service shows 1 KiB at most
_PIPE_BYTES = 64 * 1024  # a pipe's capacity
_LOOK_SECONDS = 0.1  # how often to check whether the script has ended, while it writes nothing
_TRACEBACK = "Traceback (most recent call last):"


class ScriptError(Exception):
    """The user's script or requirements failed; the text is for /opt/ml/output/failure."""


def main() -> None:
    """Run the script, and exit with its exit code."""
    ml = Path(os.environ.pop(ML_VARIABLE, "/opt/ml"))
    try:
        job = TrainingEnvironment(ml)
        job.unpack()
        job.run()
    except ScriptError as error:
        _say("Reporting training FAILURE")
        _say(str(error))
        (ml / "output" / "failure").write_text(str(error), encoding="utf-8", errors="replace")
        sys.exit(_FAILED)
    _say("Reporting training SUCCESS")


class TrainingEnvironment:
    """A training job, read from its files in /opt/ml/input/config."""

    def __init__(self, ml: Path) -> None:
        self._ml = ml
        self._code = ml / "code"
        given = {name: _decoded(value) for name, value in self._config("hyperparameters").items()}
        self._own = {name: value for name, value in given.items() if name.startswith(_OWN_PREFIX) or name in _OWN}
        self._hyperparameters = {name: value for name, value in given.items() if name not in self._own}
        self._channels = self._config("inputdataconfig")
        self._resources = self._config("resourceconfig")
        self._program = str(self._setting("sagemaker_program"))
        self._submitted = str(self._setting("sagemaker_submit_directory") or self._code)

    def _config(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self._ml / "input" / "config" / f"{name}.json").read_text(encoding="utf-8"))
        return found

    def _setting(self, name: str) -> Any:
        return self._own.get(name, os.environ.get(name.upper(), ""))

    def unpack(self) -> None:
        """Copy or unpack the code into /opt/ml/code, where code from S3 has already been downloaded to.

        Raises:
            ScriptError: It isn't a valid archive.
        """
        self._code.mkdir(exist_ok=True)
        is_remote = self._submitted.startswith("s3://")
        source = self._code / self._submitted.rpartition("/")[2] if is_remote else Path(self._submitted)
        if source.is_dir():
            if source != self._code:
                shutil.copytree(source, self._code, dirs_exist_ok=True)
            return
        try:
            with tarfile.open(source, "r:gz") as archive:
                _extract(archive, self._code)
        except (OSError, EOFError, ValueError, tarfile.TarError) as error:
            raise ScriptError(f"sagemaker_submit_directory {self._submitted} can't be unpacked: {error}") from error
        if is_remote:
            source.unlink()

    def run(self) -> None:
        """Run the script to its end.

        Raises:
            ScriptError: The script failed, or its requirements couldn't be installed.
        """
        try:
            os.environ.update(self._variables())
        except ValueError as error:  # a null character, a surrogate, or `=` in a name
            raise ScriptError(f"A hyperparameter or channel can't be a variable: {error}") from error
        is_package = (self._code / "setup.py").exists()
        has_requirements = (self._code / "requirements.txt").exists()
        requirements = ["-r", "requirements.txt"] if has_requirements else []
        pip = [sys.executable, "-m", "pip", "install"]
        if is_package:
            self._call("InstallModuleError", [*pip, ".", *requirements])
        elif has_requirements and self._program.endswith(".py"):
            self._call("InstallRequirementsError", [*pip, *requirements])
        command = self._command(is_package=is_package)
        _say(f"Invoking script with the following command: {shlex.join(command)}")
        self._call("ExecuteUserScriptError", command)

    def _command(self, *, is_package: bool) -> list[str]:
        arguments = self._arguments()
        if is_package:
            module = self._program.removesuffix(".py")
            return [sys.executable, "-m", module, *arguments]
        if not (self._code / self._program).is_file():
            there = ", ".join(sorted(path.name for path in self._code.iterdir())) or "nothing"
            raise ScriptError(f"sagemaker_program is {self._program!r}, and the code has {there}.")
        if self._program.endswith(".py"):
            return [sys.executable, self._program, *arguments]
        (self._code / self._program).chmod(0o777)
        return ["/bin/sh", "-c", shlex.join([f"./{self._program}", *arguments])]

    def _arguments(self) -> list[str]:
        found = []
        for name, value in sorted(self._hyperparameters.items()):
            found += [f"--{name}" if len(name) > 1 else f"-{name}", _option(value)]
        return found

    def _call(self, failure: str, command: list[str]) -> None:
        """Run a command to its end.

        Raises:
            ScriptError: It failed; the message has what it wrote to stderr.
        """
        code, said = _run(command, self._code)
        if code:
            text = said.decode("utf-8", "replace").strip()
            message = text[text.rfind(_TRACEBACK) :] if _TRACEBACK in text else text
            raise ScriptError(f'{failure}:\nExitCode {code}\nErrorMessage "{message}"\nCommand "{shlex.join(command)}"')

    def _variables(self) -> dict[str, str]:
        """Return the variables with which the toolkit describes the job to a script."""
        ml, resources = self._ml, self._resources
        groups = resources.get("instance_groups", [])
        found: dict[str, Any] = {
            "hosts": resources["hosts"],
            "network_interface_name": resources.get("network_interface_name", "eth0"),
            "hps": self._hyperparameters,
            "user_entry_point": self._program,
            "framework_params": {
                name: value for name, value in self._own.items() if name not in _SETTINGS and name not in _OWN
            },
            "resource_config": resources,
            "input_data_config": self._channels,
            "output_data_dir": str(ml / "output" / "data"),
            "channels": sorted(self._channels),
            "current_host": resources["current_host"],
            "current_instance_type": resources.get("current_instance_type", "local"),
            "current_instance_group": resources.get("current_group_name", _GROUP),
            "current_instance_group_hosts": resources["hosts"],
            "instance_groups": [group["instance_group_name"] for group in groups],
            "instance_groups_dict": {group["instance_group_name"]: group for group in groups},
            "distribution_instance_groups": [],
            "is_hetero": False,
            "module_name": self._program.removesuffix(".py"),
            "log_level": self._own.get("sagemaker_container_log_level", _INFO),
            "framework_module": os.environ.get("SAGEMAKER_TRAINING_MODULE"),
            "input_dir": str(ml / "input"),
            "input_config_dir": str(ml / "input" / "config"),
            "output_dir": str(ml / "output"),
            "num_cpus": os.cpu_count() or 1,
            "num_gpus": 0,
            "num_neurons": 0,
            "model_dir": str(ml / "model"),
            "module_dir": self._submitted,
            "user_args": self._arguments(),
            "output_intermediate_dir": str(ml / "output" / "intermediate"),
        }
        found["training_env"] = dict(found)
        found |= {f"channel_{name}": str(ml / "input" / "data" / name) for name in self._channels}
        found |= {f"hp_{name}": value for name, value in self._hyperparameters.items()}
        path = os.pathsep.join([str(self._code), *filter(None, [os.environ.get("PYTHONPATH")])])
        return {
            "PYTHONPATH": path,
            "CURRENT_HOST": resources["current_host"],
            "SAGEMAKER_JOB_NAME": str(self._own.get("sagemaker_job_name", "")),
            "SAGEMAKER_REGION": str(self._own.get("sagemaker_region", os.environ.get("AWS_REGION", ""))),
            **{f"SM_{name.upper()}": _text(value) for name, value in found.items()},
        }


_SETTINGS = frozenset(
    f"sagemaker_{name}"
    for name in (
        "container_log_level",
        "enable_cloudwatch_metrics",
        "job_name",
        "program",
        "region",
        "s3_output",
        "submit_directory",
    )
)


def _extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Unpack an archive into a folder, and nothing outside of it."""
    if hasattr(tarfile, "data_filter"):
        archive.extractall(folder, filter="data")
        return
    inside = folder.resolve()
    for member in archive.getmembers():
        if inside not in (inside / member.name).resolve().parents and member.name not in {".", "./"}:
            raise ScriptError(f"The archive of the code has {member.name!r}, which is outside of its folder.")
    archive.extractall(folder)  # noqa: S202  # checked above


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, TypeError, RecursionError):
        return value


def _option(value: Any) -> str:
    """Return a hyperparameter as the value of a script's option."""
    if isinstance(value, dict):
        return ",".join(f"{name}={item}" for name, item in sorted(value.items()))
    return "" if value is None else str(value)


def _text(value: Any) -> str:
    """Return a value as text for an environment variable."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))


def _run(command: list[str], folder: Path) -> tuple[int, bytes]:
    """Run a command, forwarding SIGTERM, and return its exit code and the end of what it wrote to stderr."""
    early: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: early.append(number))
    try:
        child = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE)  # noqa: S603  # the user's own
    except (OSError, ValueError) as error:
        raise ScriptError(f"{command[0]} can't be started: {error}") from error
    signal.signal(signal.SIGTERM, lambda number, _: child.send_signal(number))
    for number in early:
        child.send_signal(number)
    assert child.stderr is not None  # noqa: S101  # PIPE above
    tail = _pass_on(child, child.stderr.fileno())
    code = child.wait()
    return (128 - code if code < 0 else code), tail


def _pass_on(child: subprocess.Popen[bytes], stream: int) -> bytes:
    """Copy a script's stderr to ours while it runs, and return its end.

    Processes that the script left running may keep its stderr open. So after the script has ended, no more is read than
    the pipe could hold at that moment.
    """
    tail = bytearray()
    left = _PIPE_BYTES
    while left > 0:
        ended = child.poll() is not None
        if not select.select([stream], [], [], _LOOK_SECONDS)[0]:
            if ended:
                break
            continue
        data = os.read(stream, left)
        if not data:
            break
        sys.stdout.flush()
        _write(data)
        tail += data
        del tail[:-_TAIL_BYTES]
        if ended:
            left -= len(data)
    return bytes(tail)


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(2, data) :]


def _say(text: str) -> None:
    print(text.encode("utf-8", "replace").decode(), flush=True)  # noqa: T201  # it is the job's log


if __name__ == "__main__":
    main()
