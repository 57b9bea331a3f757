"""What the commands are called, and their help.

One description serves Airflow's own command line, which reads it from the provider's metadata (since Airflow 3.2),
and the script `airflow-sm-processing`. It is imported whenever anybody types `airflow`, so it imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_sm_processing.cli.commands import iam_policy, moment, plan

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["COMMANDS", "GROUP_HELP", "get_cli_commands"]

GROUP_HELP = "Say what SageMaker processing tasks would do, without calling AWS"
_PLAN = """\
Print the exact CreateProcessingJob request of a task, the S3 key of each file that it would upload, and the IAM
permissions that this takes: of Airflow's connection (caller) and of the job's role.

No AWS call is made, and Airflow's database isn't asked. The run is made up: templates are rendered for it, and an
output of another task, a variable or a connection that this process doesn't know is shown as a placeholder such as
<return_value of task extract>. What only AWS knows, such as <account>, is listed at the end.
"""
_PLAN_EXAMPLES = """\
examples:
  plan sm_pipeline preprocess
  plan sm_pipeline train --logical-date 2026-01-31 --output table
  plan sm_mapping profile_known --map-index 1 --account 123456789012 --region eu-west-1
"""
_POLICY = """\
Print one IAM policy, as JSON, with the least permissions that all processing tasks of the DAG files need: by default
those of Airflow's connection, with --job-role those of the role that the jobs run as.

Resources are as narrow as the files allow: names of jobs, prefixes in buckets. What only a run knows, such as a
template, becomes a *. What can't be written for that reason is left out, and said so on standard error.
"""
_POLICY_EXAMPLES = """\
examples:
  iam-policy dags/pipeline.py
  iam-policy dags/*.py --account 123456789012 --region eu-west-1 > airflow-policy.json
  iam-policy dags/pipeline.py --job-role
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
            (("task_id",), {"help": "the id of a processing task of it"}),
            (("--dag-file",), {"help": "the DAG's file (default: it is looked for in Airflow's DAG bundles)"}),
            (("--run-id",), {"help": "of the run that is made up; the job's name depends on it"}),
            (("--logical-date",), {"type": moment, "help": "of that run, such as 2026-01-31 (default: now)"}),
            (("--map-index",), {"type": int, "default": -1, "help": "which instance of a mapped task, from 0 on"}),
            (("--output",), {"choices": ["json", "yaml", "table"], "default": "json", "help": "(default: json)"}),
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
                    "help": "leave out what tasks can do without: it saves calls, and tells more surely whose a job is",
                },
            ),
            *_PLACE,
        ],
    ),
]
"""Name, help, description, examples, function, and arguments with what argparse takes for each."""


def get_cli_commands() -> list[Any]:
    """Return the commands for Airflow's command line."""
    from airflow.cli import cli_config

    make_argument: Any = cli_config.Arg  # which is untyped

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
