"""The Airflow behind the pages: real processes, the local SageMaker, and the tier's own DAGs."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_sm_processing.local import LocalSageMaker
from demo.airflow_home import AirflowHome
from demo.airflow_services import running_airflow
from demo.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.airflow_services import RunningAirflow

DAGS = Path(__file__).with_name("dags")
DAG_IDS = ("shop_features", "shop_forecast", "shop_nightly", "recorded")


@contextmanager
def open_shop(home: Path) -> Iterator[RunningAirflow]:
    """Start Airflow with the DAGs loaded; every user is an admin."""
    with LocalSageMaker(stop_grace=2) as sagemaker:
        place = AirflowHome(path=home, port=free_port(), dags=DAGS, extra=sagemaker.environment())
        with running_airflow(place, say=print) as airflow:
            airflow.wait_for_dags(*DAG_IDS)
            yield airflow
