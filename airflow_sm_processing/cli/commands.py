"""The commands: their options, and what they print."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout, suppress
from datetime import datetime, timezone
from itertools import product
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import DefinitionError, ProcessingError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping

    from airflow.sdk import DAG

    from airflow_sm_processing.iam.statements import Statement


__all__ = ["COMMANDS", "GROUP_HELP", "get_cli_commands", "iam_policy", "images", "migrate", "moment", "plan", "shown"]


def shown(plan: Mapping[str, Any], form: str) -> str:
    """Return a plan as `json`, `yaml` or a `table`."""
    return _FORMS[form](plan)


def _json(plan: Mapping[str, Any]) -> str:
    return json.dumps(plan, indent=2, ensure_ascii=False)


def _yaml(plan: Mapping[str, Any]) -> str:
    import yaml

    text: str = yaml.safe_dump(dict(plan), sort_keys=False, allow_unicode=True, width=120)
    return text.rstrip()


def _table(plan: Mapping[str, Any]) -> str:
    return "\n\n".join(_sections(plan))


def _sections(plan: Mapping[str, Any]) -> Iterator[str]:
    yield _section("REQUEST", list(_flat(plan["request"])))
    if plan["uploads"]:
        yield _section("UPLOADS", [row for item in plan["uploads"] for row in _uploaded(item)])
    if "repository" in plan:
        yield _section("REPOSITORY", list(plan["repository"].items()))
    if plan["left_out"]:
        rows = [(item["path"], f"{item['why']}  ({item['bytes']:,} bytes)") for item in plan["left_out"]]
        yield _section("LEFT OUT", rows)
    for who, title in (("caller", "PERMISSIONS OF THE CONNECTION"), ("job_role", "PERMISSIONS OF THE JOB'S ROLE")):
        yield _section(title, [row for item in plan["permissions"][who] for row in _allowed(item)])
    if plan["unknown"]:
        yield _section("NOT KNOWN WITHOUT AWS", [(item["value"], item["is"]) for item in plan["unknown"]])


def _section(title: str, rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join([title, *(f"  {name:<{width}}  {value}".rstrip() for name, value in rows)])


def _uploaded(item: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    size = "known when the job is made" if item["bytes"] is None else f"{item['bytes']:,} bytes"
    yield item["path"], f"{item['s3_uri']}  ({size})"
    for file in item.get("files", ()):
        yield f"  {file['name']}", f"{file['path']}  ({file['bytes']:,} bytes)"


def _allowed(statement: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for index, action in enumerate(statement["Action"]):
        yield action, " ".join(statement["Resource"]) if index == 0 else '"'


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield each value of nested dicts and lists with its path."""
    if isinstance(value, dict) and value.keys() == {"Key", "Value"}:
        yield path, f"{value['Key']} = {value['Value']}"
    elif isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            yield from _flat(item, f"{path}[{index}]")
    else:
        yield path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_FORMS = {"json": _json, "yaml": _yaml, "table": _table}


def plan(options: argparse.Namespace) -> None:
    """Print the requests that a task would send to AWS."""
    _run(_plan, options)


def iam_policy(options: argparse.Namespace) -> None:
    """Print the least policy that the tasks of DAG files need."""
    _run(_iam_policy, options)


def images(options: argparse.Namespace) -> None:
    """Print the list of AWS's own images."""
    _run(_images, options)


def migrate(options: argparse.Namespace) -> None:
    """Print the calls that replace the amazon provider's; exit with 1 in the end if a file couldn't be read."""
    from airflow_sm_processing.cli.migrate import reports

    found, errors = reports(options.dag_file)
    print(found)  # noqa: T201  # the command's result
    if errors:
        sys.exit("\n".join(f"{options.subcommand}: {error}" for error in errors))


def moment(text: str) -> datetime:
    """Parse a logical date in ISO 8601; UTC if it has no zone."""
    read = datetime.fromisoformat(text.replace("Z", "+00:00"))  # Python 3.10 doesn't accept Z
    return read if read.tzinfo else read.replace(tzinfo=timezone.utc)


def _run(command: Callable[[argparse.Namespace], str], options: argparse.Namespace) -> None:
    try:
        with redirect_stdout(sys.stderr):  # what DAG files and Airflow print isn't the command's result
            result = command(options)
    except (LookupError, ProcessingError) as error:
        sys.exit(f"{options.subcommand}: {error.args[0] if error.args else error}")
    print(result)  # noqa: T201  # the command's result


def _plan(options: argparse.Namespace) -> str:
    from airflow_sm_processing.cli.dry_run import RunFields, check_runs_a_job, find_dag, own_definition, rendered
    from airflow_sm_processing.operators.acquire import plan_task

    run = RunFields(options.run_id, options.logical_date, options.map_index)
    dag = find_dag(options.dag_id, options.dag_file)
    check_runs_a_job(dag, options.task_id)
    with rendered(dag, options.task_id, run) as (task, context):
        planned = plan_task(task, context, own_definition(task), account=options.account, region=options.region)
        plain = planned.to_plain(show_env=options.show_env)
    return shown(plain, options.output)


def _iam_policy(options: argparse.Namespace) -> str:
    from airflow_sm_processing.cli.dry_run import read_dags
    from airflow_sm_processing.iam.statements import caller_statements, job_role_statements, policy_document

    statements, left_out = job_role_statements if options.job_role else caller_statements, dict[str, None]()
    allowed: list[Statement] = []
    dags = [dag for path in options.dag_file for dag in read_dags(path)]
    for task_policy in _task_policies(dags, options):
        allowed += statements(task_policy.needs)
        left_out |= dict.fromkeys(task_policy.left_out)
    if not options.job_role:
        allowed += [*_sensing(dags, options), *_watching(dags, options)]
    if not allowed:
        raise LookupError("No file has a DAG with a processing task or sensor, or one that completed jobs schedule.")
    for reason in left_out:
        print(f"Left out: {reason}.", file=sys.stderr)  # noqa: T201  # beside the result
    return json.dumps(policy_document(allowed, minimal=options.minimal), indent=2)


def _task_policies(dags: list[DAG], options: argparse.Namespace) -> Iterator[Any]:
    from airflow_sm_processing.cli.dag_policies import task_policies

    for dag in dags:
        yield from task_policies(dag, account=options.account, region=options.region)


def _sensing(dags: list[DAG], options: argparse.Namespace) -> Iterator[Statement]:
    from airflow_sm_processing.cli.dag_policies import sensed_jobs
    from airflow_sm_processing.iam.statements import sensing_statements

    for dag in dags:
        for lookup in sensed_jobs(dag, account=options.account, region=options.region):
            yield from sensing_statements(**lookup._asdict())


def _watching(dags: list[DAG], options: argparse.Namespace) -> Iterator[Statement]:
    from airflow_sm_processing.cli.dag_policies import job_watchers
    from airflow_sm_processing.iam.statements import place_of_jobs, watching_statements

    for trigger in (trigger for dag in dags for trigger in job_watchers(dag)):
        place = place_of_jobs(account=options.account, region=trigger.region_name or options.region)
        yield from watching_statements(place, trigger.job_filter)


def _images(options: argparse.Namespace) -> str:
    from airflow_sm_processing import image_uris

    rows: list[tuple[str, ...]]
    if options.framework is None:
        rows = [("FRAMEWORK", "NEWEST IMAGE", "VERSIONS"), *_framework_rows(options.region)]
    elif options.region is None:
        rows = [("IMAGE", "PYTHON", "FOR", "REGIONS")]
        for item in image_uris.image_versions(options.framework):
            columns = (", ".join(item.pythons), ", ".join(item.processors), str(len(item.regions)))
            rows.append((item.image, *(column or "-" for column in columns)))
    else:
        rows = [("IMAGE", f"URI IN {options.region}"), *_image_rows(options.framework, options.region)]
    return f"{_aligned(rows)}\n\nTables: {image_uris.tables_origin()}."


def _framework_rows(region: str | None) -> list[tuple[str, ...]]:
    from airflow_sm_processing.image_uris import frameworks, image_versions

    rows: list[tuple[str, ...]] = []
    for framework in frameworks():
        found = [item for item in image_versions(framework) if region is None or region in item.regions]
        if found:
            rows.append((framework, found[0].image, str(len(found))))
    if not rows:
        raise LookupError(f"No framework has images in a region {region!r}: it is a name such as eu-west-1.")
    return rows


def _image_rows(framework: str, region: str) -> list[tuple[str, ...]]:
    """Return a framework's images in a region, each with a short form that distinguishes it from the others."""
    from airflow_sm_processing.image_uris import image_versions, resolve

    rows: list[tuple[str, ...]] = []
    for item in image_versions(framework):
        processors = item.processors if len(item.processors) > 1 else ("",)
        pythons = item.pythons if len(item.pythons) > 1 else ("",)
        for parts in product(processors, pythons):
            short = "-".join(part for part in (item.image, *parts) if part)
            with suppress(DefinitionError):  # some old versions aren't in all regions for each Python
                rows.append((short, resolve(short, region).uri))
    if not rows:
        resolve(image_versions(framework)[0].image, region)  # its error names the nearest regions
    return rows


def _aligned(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


GROUP_HELP = "Show what SageMaker processing tasks would do, without calling AWS"
_PLAN = """\
Print the exact CreateProcessingJob request of a task, the S3 key of each file that it would upload, the files that
ignore rules exclude, and the IAM permissions that are needed: Airflow's connection's (caller), and the job's role's.

This calls neither AWS nor Airflow's database. Templates are rendered for an imaginary run. Outputs of other tasks, and
variables and connections that this process doesn't know, are placeholders such as <return_value of task extract>.
Values that only AWS knows, such as <account>, are listed at the end.
"""
_PLAN_EXAMPLES = """\
examples:
  plan sm_pipeline preprocess
  plan sm_pipeline train --logical-date 2026-01-31 --output table
  plan sm_mapping profile_known --map-index 1 --account 123456789012 --region eu-west-1
"""
_POLICY = """\
Print one IAM policy, as JSON, with the least permissions that all processing tasks of the DAG files need: those of
Airflow's connection, or with --job-role those of the role that the jobs run as.

Resources are as narrow as the files allow: names of jobs, prefixes in buckets. Values that depend on the run, such as
templates, become a *. Permissions that can't be narrowed down at all are left out, with a line on standard error.
"""
_POLICY_EXAMPLES = """\
examples:
  iam-policy dags/pipeline.py
  iam-policy dags/*.py --account 123456789012 --region eu-west-1 > airflow-policy.json
  iam-policy dags/pipeline.py --job-role
"""
_IMAGES = """\
List AWS's own images for processing jobs, as the SageMaker SDK knows them. Values of the column IMAGE are values for a
task's parameter `image`; the URI follows from the region when the task runs.

With a framework, list its versions, the newest first; with a region as well, their URIs there. The instance type
decides between images for CPUs and GPUs; to decide yourself, add -cpu or -gpu. If a version has several Pythons, add
one, such as -py312.
"""
_IMAGES_EXAMPLES = """\
examples:
  images
  images sklearn
  images pytorch --region eu-west-1
"""
_MIGRATE = """\
Print what replaces the amazon provider's processing operators and sensors (SageMakerProcessingOperator and
SageMakerProcessingSensor) in DAG files: for each one the call to paste, the changes in its XComs, and what isn't
carried over, with the reason. The files are only read, not run or changed, so no provider needs to be installed.

The output is Python, with explanations in comments. Templates are kept as written. A request that is literal in the
file, in the call or as a constant, becomes parameters; any other is passed to ProcessingOperator.from_request. Comments
inside the old calls are lost.

For a folder, all Python files in it are read. The exit code is 1 if a file can't be read or parsed.
"""
_MIGRATE_EXAMPLES = """\
examples:
  migrate dags/nightly.py
  migrate dags/ > moved.py
  migrate dags/nightly.py | less
"""

_PLACE: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (("--account",), {"help": "the AWS account of the jobs, 12 digits (default: that of the role's ARN)"}),
    (("--region",), {"help": "the region of the jobs (default: the connection's, where this process knows it)"}),
]
COMMANDS: list[tuple[str, str, str, str, Callable[..., None], list[tuple[tuple[str, ...], dict[str, Any]]]]] = [
    (
        "plan",
        "Print the request, S3 keys and permissions of a task",
        _PLAN,
        _PLAN_EXAMPLES,
        plan,
        [
            (("dag_id",), {"help": "the DAG's id"}),
            (("task_id",), {"help": "the id of one of its processing tasks"}),
            (("--dag-file",), {"help": "the DAG's file (default: search Airflow's DAG bundles)"}),
            (("--run-id",), {"help": "the imaginary run's id, on which the job's name depends"}),
            (
                ("--logical-date",),
                {"type": moment, "help": "the run's logical date, such as 2026-01-31 (default: now)"},
            ),
            (("--map-index",), {"type": int, "default": -1, "help": "which instance of a mapped task, from 0 on"}),
            (
                ("--output",),
                {"choices": ["json", "yaml", "table"], "default": "json", "help": "the format (default: json)"},
            ),
            (("--show-env",), {"action": "store_true", "help": "show the values of the job's environment"}),
            *_PLACE,
        ],
    ),
    (
        "iam-policy",
        "Print the least IAM policy that the tasks of DAG files need",
        _POLICY,
        _POLICY_EXAMPLES,
        iam_policy,
        [
            (("dag_file",), {"nargs": "+", "metavar": "DAG_FILE", "help": "a file with DAGs"}),
            (("--job-role",), {"action": "store_true", "help": "for the role of the jobs, not for the connection"}),
            (
                ("--minimal",),
                {
                    "action": "store_true",
                    "help": "leave out what tasks can do without; they make more calls then, and know and show less",
                },
            ),
            *_PLACE,
        ],
    ),
    (
        "images",
        "List AWS's own images: frameworks, versions and URIs",
        _IMAGES,
        _IMAGES_EXAMPLES,
        images,
        [
            (("framework",), {"nargs": "?", "help": "such as sklearn (default: all, with the newest image of each)"}),
            (("--region",), {"help": "only what is there, such as eu-west-1, with the URIs"}),
        ],
    ),
    (
        "migrate",
        "Print what replaces the amazon provider's processing tasks in DAG files",
        _MIGRATE,
        _MIGRATE_EXAMPLES,
        migrate,
        [(("dag_file",), {"nargs": "+", "metavar": "DAG_FILE", "help": "a DAG file, or a folder with some"})],
    ),
]
"""Name, help, description, examples, function, and arguments with argparse's options for each."""


def get_cli_commands() -> list[Any]:
    """Return the commands for Airflow's command line."""
    from airflow.cli import cli_config

    make_argument: Any = cli_config.Arg  # it is untyped

    commands = [
        cli_config.ActionCommand(
            name=name,
            help=text,
            description=description,
            epilog=examples,
            func=function,
            args=[make_argument(flags, **settings) for flags, settings in arguments],
        )
        for name, text, description, examples, function, arguments in COMMANDS
    ]
    return [cli_config.GroupCommand(name="sm-processing", help=GROUP_HELP, subcommands=commands)]
