"""The links that Airflow's own API gives the UI, after a run of Airflow's own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.dag_runs import Run

pytestmark = [
    pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`"),  # Airflow's app imports it
]
CONSOLE = "https://console.aws.amazon.com"
LOGS = "#logsV2:log-groups/log-group/$252Faws$252Fsagemaker$252FProcessingJobs$3FlogStreamNameFilter$3D"


@pytest.fixture(scope="module")
def api(run_dag: Callable[[str], Run]) -> Iterator[Api]:
    """Airflow's API, in this process, after a run of the DAG `links`."""
    run_dag("links")
    from airflow.api_fastapi.app import create_app

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
        patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "a secret of at least 64 bytes, which SHA-512 asks for, " * 2)
        yield Api(create_app())


class Api:
    """Asks the API's application, without a server."""

    def __init__(self, app: Any) -> None:
        self._transport = httpx.ASGITransport(app)
        self._headers: dict[str, str] = {}
        token = self.get("/auth/token")["access_token"]
        self._headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str, **params: int) -> Any:
        async def answer() -> httpx.Response:
            async with httpx.AsyncClient(
                transport=self._transport, base_url="http://airflow", headers=self._headers
            ) as client:
                return await client.get(path, params=params)

        return asyncio.run(answer()).raise_for_status().json()


def links(api: Api, task_id: str, map_index: int = -1) -> dict[str, str | None]:
    (run,) = api.get("/api/v2/dags/links/dagRuns")["dag_runs"]
    path = f"/api/v2/dags/links/dagRuns/{run['dag_run_id']}/taskInstances/{task_id}/links"
    return api.get(path, map_index=map_index)["extra_links"]


@pytest.mark.parametrize(
    ("task_id", "map_index", "job_name"), [("plain", -1, "job-plain"), ("mapped", 0, "job-0"), ("mapped", 1, "job-1")]
)
def test_each_task_instance_has_links_to_its_own_job(api: Api, task_id: str, map_index: int, job_name: str):
    assert links(api, task_id, map_index) == {
        "SageMaker console": f"{CONSOLE}/sagemaker/home?region=eu-west-1#/processing-jobs/{job_name}",
        "CloudWatch logs": f"{CONSOLE}/cloudwatch/home?region=eu-west-1{LOGS}{job_name}$252F",
        "Outputs in S3": f"{CONSOLE}/s3/buckets/results?region=eu-west-1&prefix=out%2F",
    }


def test_a_task_without_a_job_has_none(api: Api):
    assert links(api, "fails") == {"SageMaker console": None, "CloudWatch logs": None, "Outputs in S3": None}
