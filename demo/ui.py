"""`make ui`: Airflow and the local SageMaker on loopback, with the examples or your own DAGs, until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_sm_processing.local import LocalSageMaker
from demo.airflow_api import AirflowApiError
from demo.airflow_home import CHECKOUT, EXAMPLES, AirflowHome, HomeInUseError
from demo.airflow_services import RunningAirflow, running_airflow
from demo.console import Progress, every_end_is_an_interrupt, make_console
from demo.isolation import forget_users_aws
from demo.ports import HOST, is_free
from demo.processes import ProcessError

if TYPE_CHECKING:
    from collections.abc import Sequence

EXAMPLE_DAGS = ("sm_pipeline", "sm_training", "sm_mapping", "sm_deferrable", "sm_sdk_style", "sm_sensor")
_FOLDER = CHECKOUT / ".ui"
_DEFAULT_PORT = 8080


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C; return 0 then, 1 if something went wrong, 2 for a wrong call."""
    parser = argparse.ArgumentParser(prog="python -m demo.ui", description=__doc__, epilog=_epilog())
    parser.add_argument("--port", type=int, default=_DEFAULT_PORT, help=f"Airflow's, on {HOST} (default: %(default)s)")
    parser.add_argument("--dags", type=Path, metavar="FOLDER", help="your own DAG files, instead of the examples")
    options = parser.parse_args(arguments)
    port, dags = options.port, options.dags and options.dags.resolve()
    if not is_free(port):
        parser.error(f"port {port} of {HOST} is taken: stop what listens there, or choose another, such as --port 8090")
    if dags and not dags.is_dir():
        parser.error(f"{dags} isn't a folder: --dags takes the folder that your DAG files are in")
    forget_users_aws()
    say = Progress(make_console())
    try:
        with every_end_is_an_interrupt():
            _serve(port, dags, say)
    except (ProcessError, HomeInUseError, AirflowApiError) as error:
        say(str(error), style="red")
        return 1
    except KeyboardInterrupt:
        say("Everything is stopped")
    return 0


def _epilog() -> str:
    return (
        "Anyone who can open the address is admin there, without a login; only this machine can. "
        "Runs and S3 objects are gone when the command ends."
    )


def _serve(port: int, dags: Path | None, say: Progress) -> None:
    say("Starting the local SageMaker")
    with LocalSageMaker() as sagemaker:
        extra = sagemaker.environment()
        home = AirflowHome(path=_FOLDER / "airflow", port=port, dags=dags or EXAMPLES, extra=extra)
        with running_airflow(home, say=say) as airflow:
            _write_exports(sagemaker)
            if not dags:
                airflow.wait_for_dags(*EXAMPLE_DAGS)
            say(f"Airflow: {airflow.url} (no login; this machine only)", style="bold")
            if dags:
                say(f"Airflow loads the DAG files in {dags}; what it can't load is shown on its start page")
            say(f"Run `. {_FOLDER.name}/aws.sh` to point the AWS CLI and boto3 at {sagemaker.endpoint_url}")
            say("Ctrl-C stops everything")
            _watch(airflow)


def _write_exports(sagemaker: LocalSageMaker) -> None:
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sagemaker.environment().items())
    with open(_FOLDER / "aws.sh", "w", opener=_private) as file:
        file.write(exports)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _watch(airflow: RunningAirflow) -> None:
    while True:
        airflow.processes.check()
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
