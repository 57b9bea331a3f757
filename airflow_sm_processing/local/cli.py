"""The command `airflow-sm-local`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_sm_processing.local.server import LocalSageMaker

_DESCRIPTION = """\
A SageMaker on this machine that really runs processing jobs. S3, STS, IAM and CloudWatch Logs are there too.

  airflow-sm-local run -- pytest tests            a server around a command, its variables set
  airflow-sm-local run -- python my_pipeline.py
  airflow-sm-local serve --port 4600              prints the variables to set in the other one

Scripts run as you, on this machine: only whoever has the printed secret can start them.
"""
_FAULTS = """\
faults: --fault OPERATION:KEY=VALUE,…   (repeatable; an operation may be a glob, or service:Operation)

  DescribeProcessingJob:throttle=2                 at most 2 calls a second, else ThrottlingException
  CreateProcessingJob:error=InternalFailure,status=500,rate=0.3
  CreateProcessingJob:error=ResourceLimitExceeded,times=2
  CreateProcessingJob:drop=after,times=1           the job is made, the answer is lost
  s3:PutObject:latency=0.2
  RunProcessingJob:error=CapacityError,job=big-*   jobs fail before they start
  RunProcessingJob:latency=5                       jobs start late

While the server runs: PUT the JSON {"faults": ["…"], "seed": 0} to /_local/faults, with the secret access key in
the header X-Local-SageMaker-Secret.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.WARNING, format="%(name)s: %(message)s")
    try:
        sys.exit(options.do(_server(options), options))
    except (ValueError, OSError) as error:
        sys.exit(f"airflow-sm-local: {error}")
    except ModuleNotFoundError as error:
        sys.exit(f"airflow-sm-local: {error}. Install it with: pip install 'airflow-sm-processing[local]'")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="airflow-sm-local", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = _command(commands, "serve", "serve until Ctrl-C or SIGTERM")
    serve.add_argument("--ready-file", type=Path, help="write endpoint, process id and variables there, once ready")
    serve.set_defaults(do=_serve)
    run = _command(commands, "run", "serve while a command runs, and exit with its code")
    run.add_argument("command", nargs="+", metavar="COMMAND", help="the command, after --")
    run.set_defaults(do=_run)
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name, help=text, description=text, epilog=_FAULTS, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = command.add_argument
    add("--port", type=int, default=0, help="0, the default, picks a free one")
    add("--data-dir", type=Path, help="where job folders are made (default: a temporary folder)")
    add("--max-jobs", type=int, default=8, help="jobs that run at once; the rest wait (default: 8)")
    add(
        "--image",
        action="append",
        default=[],
        metavar="PATTERN=PYTHON",
        help="the Python that runs the jobs of matching images",
    )
    add("--fault", action="append", default=[], metavar="FAULT", help="what goes wrong, see below")
    add("--deny-role", action="append", default=[], metavar="PATTERN", help="roles that can't be assumed")
    add("--seed", type=int, default=0, help="makes the chances in faults repeatable")
    add("--role", action="append", metavar="NAME", help="IAM roles to make (default: SageMakerRole)")
    add("--account-id", default="123456789012", help="(default: 123456789012)")
    add("--region", default="us-east-1", help="(default: us-east-1)")
    add("--stop-grace", type=float, default=120.0, metavar="SECONDS", help="from SIGTERM to SIGKILL (default: 120)")
    add("--keep-jobs", action="store_true", help="keep job folders after their end")
    add("--pass-env", action="append", default=[], metavar="GLOB", help="variables that scripts may see, e.g. 'PIP_*'")
    add("--isolation", choices=["namespace", "mount", "folder"], help="(default: the strongest that works)")
    add(
        "--network",
        choices=["auto", "own", "shared"],
        default="auto",
        help="an own network for the hosts of jobs that have several, of each job, or of none (default: auto)",
    )
    add("--verbose", action="store_true", help="log every call")
    return command


def _server(options: argparse.Namespace) -> LocalSageMaker:
    from airflow_sm_processing.local.faults import Fault
    from airflow_sm_processing.local.folders import temporary_files
    from airflow_sm_processing.local.server import LocalSageMaker

    if options.data_dir:
        # moto keeps large objects in temporary files: they belong into the data folder too.
        tempfile.tempdir = str(temporary_files(options.data_dir))
    return LocalSageMaker(
        port=options.port,
        data_dir=options.data_dir,
        max_jobs=options.max_jobs,
        images=dict(_image(text) for text in options.image),
        faults=[*map(Fault.denied_role, options.deny_role), *map(Fault.parse, options.fault)],
        account_id=options.account_id,
        region=options.region,
        roles=options.role or ["SageMakerRole"],
        stop_grace=options.stop_grace,
        keep_jobs=options.keep_jobs,
        pass_environment=options.pass_env,
        isolation=options.isolation,
        network=options.network,
        seed=options.seed,
    )


def _image(text: str) -> tuple[str, str]:
    pattern, equals, python = text.partition("=")
    if not (pattern and equals and python):
        raise ValueError(f"--image {text!r} must be PATTERN=PYTHON, such as '*sklearn*=/opt/sklearn/bin/python'.")
    return pattern, python


def _serve(server: LocalSageMaker, options: argparse.Namespace) -> int:
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with server:
        for name, value in server.environment().items():
            sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
        sys.stdout.flush()
        if options.ready_file:
            _write_ready_file(options.ready_file, server)
        ended.wait()
    return 0


def _write_ready_file(path: Path, server: LocalSageMaker) -> None:
    """Write the file whole or not at all, for its owner's eyes only: it has the secret."""
    ready = {"endpoint_url": server.endpoint_url, "pid": os.getpid(), "environment": server.environment()}
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(descriptor, "w") as file:
        json.dump(ready, file)
    Path(draft).replace(path)


def _run(server: LocalSageMaker, options: argparse.Namespace) -> int:
    child = _Child()
    with server:
        try:
            code = child.run(options.command, os.environ | server.environment())
        except OSError as error:
            sys.stderr.write(f"airflow-sm-local: can't run {options.command[0]!r}: {error.strerror}\n")
            code = 127
    return code if code >= 0 else 128 - code


class _Child:
    """The command of `run`, which gets the signals that we get; those that come too early wait for it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._forward)

    def run(self, command: list[str], environment: dict[str, str]) -> int:
        """Run the command to its end and return its exit code, negative for a signal."""
        if self._early:
            return -self._early[0]
        with subprocess.Popen(command, env=environment) as process:  # noqa: S603  # the user's own command
            self._process = process
            for number in self._early:
                process.send_signal(number)
            return process.wait()

    def _forward(self, number: int, _frame: object) -> None:
        if self._process is None:
            self._early.append(number)
        elif number != signal.SIGINT or not sys.stdin.isatty():  # a terminal's Ctrl-C reaches the command by itself
            self._process.send_signal(number)
