"""`make demo`: run the example pipeline through a real Airflow on the local SageMaker, and show what came of it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from airflow_sm_processing.local import LocalSageMaker
from demo.airflow_api import AirflowApiError
from demo.airflow_home import CHECKOUT, AirflowHome, HomeInUseError
from demo.airflow_services import RunningAirflow, running_airflow
from demo.console import Progress, every_end_is_an_interrupt, make_console
from demo.follow import follow
from demo.isolation import forget_users_aws
from demo.ports import free_port
from demo.processes import ProcessError
from demo.report import Reporter, metrics_table, output_lines, task_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from demo.airflow_api import TaskInstance
    from demo.report import TaskReport

DAG_ID = "sm_training"
_STYLES = {"success": "green", "failed": "red", "upstream_failed": "red"}
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; give 0 if the pipeline succeeded."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__, epilog=_epilog())
    parser.parse_args(arguments)
    console = make_console()
    forget_users_aws()
    say = Progress(console)
    try:
        with every_end_is_an_interrupt():
            return _demo(console, say)
    except (ProcessError, HomeInUseError, AirflowApiError) as error:
        say(str(error), style="red")
        return 1
    except KeyboardInterrupt:
        say("Interrupted; everything is stopped")
        return _INTERRUPTED


def _epilog() -> str:
    return "Nothing of your own Airflow or AWS configuration is used. `make ui` keeps it all running, with the UI."


def _demo(console: Console, say: Progress) -> int:
    say("Starting the local SageMaker")
    with LocalSageMaker() as sagemaker:
        extra = sagemaker.environment()
        home = AirflowHome(path=CHECKOUT / ".demo" / "airflow", port=free_port(), extra=extra)
        with running_airflow(home, say=say) as airflow:
            airflow.wait_for_dags(DAG_ID)
            say(f"Airflow is healthy on {airflow.url}; triggering {DAG_ID}")
            reporter = Reporter(airflow.api, sagemaker, DAG_ID, airflow.api.trigger(DAG_ID))
            reports = _run(airflow, reporter, say)
            exit_code = show(console, reporter, reports)
        say(f"Airflow's and the tasks' logs are in {home.path.relative_to(CHECKOUT)}/logs; S3 is gone with its server")
        if exit_code == 0:
            say("Next: your own pipeline, step by step, in docs/tutorial.md; or `make ui` to look around in Airflow")
    return exit_code


def _run(airflow: RunningAirflow, reporter: Reporter, say: Progress) -> list[TaskReport]:
    def changed(task: TaskInstance) -> None:
        say(f"{task.label}: {task.state or 'waiting'}", style=_STYLES.get(task.state or ""))
        if task.state in _STYLES:
            for line in reporter.job_lines(task):
                say(f"    {line}", style="dim")

    return [reporter.report(task) for task in follow(airflow, DAG_ID, reporter.run_id, changed=changed)]


def show(console: Console, reporter: Reporter, reports: list[TaskReport]) -> int:
    """Print what came of the run; give 0 if every task succeeded."""
    console.print(task_table(reports))
    console.print(*output_lines(reports), sep="\n", soft_wrap=True)
    failed = [report for report in reports if report.state != "success"]
    for report in failed:
        console.print(f"{report.task} is {report.state}:\n{report.reason}", style="red", markup=False, soft_wrap=True)
    if failed:
        return 1
    evaluation = next(report.outputs["evaluation"] for report in reports if report.task == "evaluate")
    s3_uri = f"{evaluation}/evaluation.json"
    console.print(f"Metrics, read back from {s3_uri}", soft_wrap=True)
    console.print(metrics_table(reporter.read_json(s3_uri)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
