"""The commands: their options, and what they print."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import ProcessingError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping

    from airflow.sdk import DAG

    from airflow_sm_processing.iam.statements import Statement


__all__ = ["iam_policy", "moment", "plan", "shown"]


def shown(plan: Mapping[str, Any], form: str) -> str:
    """Return a plan as `json`, `yaml` or a `table`."""
    return _FORMS[form](plan)


def _json(plan: Mapping[str, Any]) -> str:
    return json.dumps(plan, indent=2, ensure_ascii=False)


def _yaml(plan: Mapping[str, Any]) -> str:
    import yaml  # type: ignore[import-untyped]  # Airflow brings it without its types

    text: str = yaml.safe_dump(dict(plan), sort_keys=False, allow_unicode=True, width=120)
    return text.rstrip()


def _table(plan: Mapping[str, Any]) -> str:
    return "\n\n".join(_sections(plan))


def _sections(plan: Mapping[str, Any]) -> Iterator[str]:
    yield _section("REQUEST", list(_flat(plan["request"])))
    uploads = [(item["path"], f"{item['s3_uri']}  ({item['bytes']:,} bytes)") for item in plan["uploads"]]
    if uploads:
        yield _section("UPLOADS", uploads)
    for who, title in (("caller", "PERMISSIONS OF THE CONNECTION"), ("job_role", "PERMISSIONS OF THE JOB'S ROLE")):
        yield _section(title, [row for item in plan["permissions"][who] for row in _allowed(item)])
    if plan["unknown"]:
        yield _section("NOT KNOWN WITHOUT AWS", [(item["value"], item["is"]) for item in plan["unknown"]])


def _section(title: str, rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join([title, *(f"  {name:<{width}}  {value}".rstrip() for name, value in rows)])


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
    from airflow_sm_processing.cli.dry_run import RunFields, find_dag, rendered
    from airflow_sm_processing.operators.base import BaseProcessingOperator
    from airflow_sm_processing.operators.plan import plan_task

    run = RunFields(options.run_id, options.logical_date, options.map_index)
    dag = find_dag(options.dag_id, options.dag_file)
    with rendered(dag, options.task_id, run) as (task, context):
        job_definition = partial(BaseProcessingOperator.job_definition, task)  # a function's call isn't known yet
        planned = plan_task(task, context, job_definition, account=options.account, region=options.region)
        plain = planned.to_plain(show_env=options.show_env)
    return shown(plain, options.output)


def _iam_policy(options: argparse.Namespace) -> str:
    from airflow_sm_processing.cli.dry_run import read_dags
    from airflow_sm_processing.iam.permissions import caller_statements, job_role_statements
    from airflow_sm_processing.iam.statements import policy_document

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
    from airflow_sm_processing.iam.permissions import sensing_statements

    for dag in dags:
        for lookup in sensed_jobs(dag, account=options.account, region=options.region):
            yield from sensing_statements(**lookup._asdict())


def _watching(dags: list[DAG], options: argparse.Namespace) -> Iterator[Statement]:
    from airflow_sm_processing.cli.dag_policies import job_watchers
    from airflow_sm_processing.iam.permissions import watching_statements
    from airflow_sm_processing.iam.statements import place_of_jobs

    for trigger in (trigger for dag in dags for trigger in job_watchers(dag)):
        place = place_of_jobs(account=options.account, region=trigger.region_name or options.region)
        yield from watching_statements(place, trigger.job_filter)
