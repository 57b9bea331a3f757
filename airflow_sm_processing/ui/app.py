"""The app that the API server mounts."""

from __future__ import annotations

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError

from airflow_sm_processing.ui import job_api, jobs_api, pages, stop_api
from airflow_sm_processing.ui.answers import refusal
from airflow_sm_processing.ui.headers import SafeHeaders
from airflow_sm_processing.ui.security import reads_jobs

__all__ = ["create_app"]


def create_app() -> FastAPI:
    """Make the app: Airflow asks nobody for a login at a plugin's routes, so each of them does by itself."""
    app = FastAPI(
        title="SageMaker Processing",
        dependencies=[Depends(reads_jobs)],
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.add_middleware(SafeHeaders)
    app.add_exception_handler(RequestValidationError, refusal)
    for module in (pages, jobs_api, job_api, stop_api):
        app.include_router(module.router)
    return app
