"""The command `airflow-sm-local`."""

from __future__ import annotations

import argparse
import configparser
import json
import logging
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from airflow_sm_processing.local.server import LocalSageMaker

_DESCRIPTION = """\
A SageMaker on this machine that really runs processing and training jobs, with S3, STS, IAM and CloudWatch Logs.

  airflow-sm-local run -- pytest tests            a server for the duration of a command, with every variable set
  airflow-sm-local run -- airflow dags test my_dag
  airflow-sm-local serve --port 4600              prints the variables to set in another terminal

Scripts run as you, on this machine. Only requests that are signed with the printed key can start them.
"""
_WITHOUT_DATABASE = {"cheat-sheet", "config", "db", "info", "plugins", "providers", "standalone", "version"}
"""Airflow's commands that need no database, or create it themselves."""
_FAULTS = """\
faults: --fault OPERATION:KEY=VALUE,…   (repeatable; an operation may be a glob, or service:Operation)

  DescribeProcessingJob:throttle=2                 at most 2 calls a second, else ThrottlingException
  CreateProcessingJob:error=InternalFailure,status=500,rate=0.3
  CreateProcessingJob:error=ResourceLimitExceeded,times=2
  CreateProcessingJob:drop=after,times=1           the job is created, the response is lost
  s3:PutObject:latency=0.2
  RunProcessingJob:error=CapacityError,job=big-*   jobs fail before they start
  RunProcessingJob:latency=5                       jobs start late

To change them while the server runs, PUT the JSON {"faults": ["…"], "seed": 0} to /_local/faults, with the secret
access key in the header X-Local-SageMaker-Secret.
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
    serve.add_argument(
        "--ready-file", type=Path, help="write the endpoint, process id and variables to this file when ready"
    )
    serve.set_defaults(do=_serve)
    run = _command(commands, "run", "serve while a command runs, and exit with its exit code")
    run.add_argument(
        "--migrate", action="store_true", help="run `airflow db migrate` first, which creates Airflow's database"
    )
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
    add("--port", type=int, default=0, help="the server's port (default: 0, a free one)")
    add("--data-dir", type=Path, help="where jobs have their folders (default: a temporary folder)")
    add("--max-jobs", type=int, default=8, help="how many jobs run at once; others wait (default: 8)")
    add(
        "--image",
        action="append",
        default=[],
        metavar="PATTERN=PYTHON",
        help="the Python that runs the jobs of matching images (default: the server's own)",
    )
    add(
        "--fault",
        action="append",
        default=[],
        metavar="FAULT",
        help="an error to inject, such as DescribeProcessingJob:throttle=2",
    )
    add("--deny-role", action="append", default=[], metavar="PATTERN", help="roles that SageMaker can't assume")
    add("--seed", type=int, default=0, help="makes faults with a rate repeatable (default: 0)")
    add("--role", action="append", metavar="NAME", help="IAM roles to create (default: SageMakerRole)")
    add("--account-id", default="123456789012", help="the AWS account, 12 digits (default: 123456789012)")
    add("--region", default="us-east-1", help="the region (default: us-east-1)")
    add(
        "--stop-grace",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="seconds from SIGTERM to SIGKILL (default: 120)",
    )
    add("--keep-jobs", action="store_true", help="keep the folders of jobs that have ended")
    add(
        "--pass-env",
        action="append",
        default=[],
        metavar="GLOB",
        help="variables to pass on to scripts, such as 'PIP_*'",
    )
    add(
        "--isolation",
        choices=["namespace", "mount", "folder"],
        help="how jobs are kept apart (default: the strongest that works)",
    )
    add(
        "--network",
        choices=["auto", "own", "shared"],
        default="auto",
        help="which hosts have their own network: those of jobs with several hosts, all, or none (default: auto)",
    )
    add("--verbose", action="store_true", help="log every call")
    return command


def _server(options: argparse.Namespace) -> LocalSageMaker:
    from airflow_sm_processing.local.faults import Fault
    from airflow_sm_processing.local.folders import temporary_files
    from airflow_sm_processing.local.server import LocalSageMaker

    if options.data_dir:
        # moto keeps large objects in temporary files: they belong in the data folder too.
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
    """Write the file atomically, readable for its owner only: it contains the secret key."""
    ready = {"endpoint_url": server.endpoint_url, "pid": os.getpid(), "environment": server.environment()}
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(descriptor, "w") as file:
        json.dump(ready, file)
    Path(draft).replace(path)


def _run(server: LocalSageMaker, options: argparse.Namespace) -> int:
    migrate = options.migrate or _wants_database(options.command)
    child = _Child()
    with server:
        environment = os.environ | server.environment()
        code = 0
        if migrate:
            code = _exit_code(child, [_airflow(options.command), "db", "migrate"], environment, stdout=sys.stderr)
        return code or _exit_code(child, options.command, environment)


def _exit_code(child: _Child, command: list[str], environment: Mapping[str, str], stdout: TextIO | None = None) -> int:
    """Run a command and return its exit code as a shell would."""
    try:
        code = child.run(command, environment, stdout)
    except OSError as error:
        sys.stderr.write(f"airflow-sm-local: can't run {command[0]!r}: {error.strerror}\n")
        return 127
    return code if code >= 0 else 128 - code


def _wants_database(command: Sequence[str]) -> bool:
    """Return whether to create Airflow's database: ask, if the command needs one and there is none.

    Without a terminal to ask on, write how to create it instead.
    """
    name, first = Path(command[0]).name, next((word for word in command[1:] if not word.startswith("-")), "")
    if name != "airflow" or not first or first in _WITHOUT_DATABASE:
        return False
    database = _sqlite_database(os.environ)
    if database is None or _has_tables(database):
        return False
    missing = f"There is no Airflow database in {database} yet."
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        how = "Create it with `airflow db migrate`, or with `airflow-sm-local run --migrate -- …`."
        sys.stderr.write(f"airflow-sm-local: {missing} {how}\n")
        return False
    sys.stderr.write(f"{missing} Create it with `airflow db migrate`? [Y/n] ")
    sys.stderr.flush()
    try:
        return sys.stdin.readline().lower() in {"\n", "y\n", "yes\n"}
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _airflow(command: Sequence[str]) -> str:
    """Return the `airflow` program to migrate with: the command's own, or the one on PATH."""
    return command[0] if Path(command[0]).name == "airflow" else "airflow"


def _sqlite_database(environment: Mapping[str, str]) -> Path | None:
    """Return the file of Airflow's database, or None if it is on a server or configured in another way."""
    home = Path(environment.get("AIRFLOW_HOME") or "~/airflow").expanduser()
    configured = configparser.RawConfigParser(strict=False)
    try:
        configured.read(environment.get("AIRFLOW_CONFIG") or home / "airflow.cfg")
    except (configparser.Error, UnicodeDecodeError):
        return None  # Airflow itself reports what is wrong with the file
    name = "sql_alchemy_conn"
    for key in (name, f"{name}_cmd", f"{name}_secret"):
        value = environment.get(f"AIRFLOW__DATABASE__{key.upper()}") or configured.get("database", key, fallback="")
        if value:
            path = value.partition("?")[0].partition("sqlite:///")[2] if key == name else ""
            return Path(path) if path else None
    return home / "airflow.db"


def _has_tables(database: Path) -> bool:
    """Return whether `airflow db migrate` was run: a command that failed leaves a file without tables."""
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT version_num FROM alembic_version").fetchone() is not None
    except sqlite3.OperationalError:
        return False
    except sqlite3.DatabaseError:
        return True  # not an SQLite file: leave it to Airflow to complain


class _Child:
    """Runs commands one after the other, and forwards signals to them; a signal between two goes to the next one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._forward)

    def run(self, command: list[str], environment: Mapping[str, str], stdout: TextIO | None = None) -> int:
        """Run the command to its end and return its exit code, negative for a signal."""
        if self._early:
            return -self._early[0]
        with subprocess.Popen(command, env=environment, stdout=stdout) as process:  # noqa: S603  # the user's own
            self._process = process
            for number in self._early:
                process.send_signal(number)
            try:
                return process.wait()
            finally:
                self._process = None

    def _forward(self, number: int, _frame: object) -> None:
        if self._process is None:
            self._early.append(number)
        elif number != signal.SIGINT or not sys.stdin.isatty():  # a terminal sends Ctrl-C to the command too
            self._process.send_signal(number)
