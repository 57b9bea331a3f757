"""The commands: what they take, what they print."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import ProcessingError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from airflow.sdk import DAG

    from airflow_sm_processing.planning.statements import Statement

__all__ = ["iam_policy", "moment", "plan"]


def plan(options: argparse.Namespace) -> None:
    """Print what a task would ask of AWS."""
    _run(_plan, options)


def iam_policy(options: argparse.Namespace) -> None:
    """Print the least policy that the tasks of DAG files need."""
    _run(_iam_policy, options)


def moment(text: str) -> datetime:
    """Read a logical date in ISO 8601; without a zone it is in UTC."""
    read = datetime.fromisoformat(text.replace("Z", "+00:00"))  # Python 3.10 knows no Z
    return read if read.tzinfo else read.replace(tzinfo=timezone.utc)


def _run(command: Callable[[argparse.Namespace], str], options: argparse.Namespace) -> None:
    try:
        with redirect_stdout(sys.stderr):  # what DAG files and Airflow print isn't the command's result
            result = command(options)
    except (LookupError, ProcessingError) as error:
        sys.exit(f"{options.subcommand}: {error.args[0] if error.args else error}")
    print(result)  # noqa: T201  # the command's result


def _plan(options: argparse.Namespace) -> str:
    from airflow_sm_processing.cli.dags import find_dag
    from airflow_sm_processing.cli.made_up import RunFields, rendered
    from airflow_sm_processing.cli.showing import shown
    from airflow_sm_processing.operators.plans import plan_task

    run = RunFields(options.run_id, options.logical_date, options.map_index)
    dag = find_dag(options.dag_id, options.dag_file)
    with rendered(dag, options.task_id, run) as (task, context):
        planned = plan_task(task, context, account=options.account, region=options.region)
        plain = planned.to_plain(show_env=options.show_env)
    return shown(plain, options.output)


def _iam_policy(options: argparse.Namespace) -> str:
    from airflow_sm_processing.cli.dags import read_dags
    from airflow_sm_processing.planning.caller import caller_statements
    from airflow_sm_processing.planning.job_role import job_role_statements
    from airflow_sm_processing.planning.statements import policy_document

    statements, left_out = job_role_statements if options.job_role else caller_statements, dict[str, None]()
    allowed: list[Statement] = []
    dags = [dag for path in options.dag_file for dag in read_dags(path)]
    for prospect in _prospects(dags, options):
        allowed += statements(prospect.needs)
        left_out |= dict.fromkeys(prospect.left_out)
    if not options.job_role:
        allowed += [*_sensing(dags, options), *_watching(dags, options)]
    if not allowed:
        raise LookupError("No file has a DAG with a processing task or sensor, or one that completed jobs schedule.")
    for reason in left_out:
        print(f"Left out: {reason}.", file=sys.stderr)  # noqa: T201  # beside the result
    return json.dumps(policy_document(allowed, minimal=options.minimal), indent=2)


def _prospects(dags: list[DAG], options: argparse.Namespace) -> Iterator[Any]:
    from airflow_sm_processing.operators.prospects import prospects

    for dag in dags:
        yield from prospects(dag, account=options.account, region=options.region)


def _sensing(dags: list[DAG], options: argparse.Namespace) -> Iterator[Statement]:
    from airflow_sm_processing.planning.watching import sensing_statements
    from airflow_sm_processing.sensors.prospects import sought_jobs

    for dag in dags:
        for sought in sought_jobs(dag, account=options.account, region=options.region):
            yield from sensing_statements(**sought._asdict())


def _watching(dags: list[DAG], options: argparse.Namespace) -> Iterator[Statement]:
    from airflow_sm_processing.operators.watchers import job_watchers
    from airflow_sm_processing.planning.places import place_of_jobs
    from airflow_sm_processing.planning.watching import watching_statements

    for trigger in (trigger for dag in dags for trigger in job_watchers(dag)):
        place = place_of_jobs(account=options.account, region=trigger.region_name or options.region)
        yield from watching_statements(place, trigger.job_filter)
