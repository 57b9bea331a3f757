"""The FastAPI app that the API server mounts: the pages, their static files, and the API behind them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI, HTTPException, Response, status
from fastapi.exceptions import RequestValidationError

from airflow_sm_processing.ui import routes
from airflow_sm_processing.ui.dependencies import validation_error_response
from airflow_sm_processing.ui.security import require_read_access

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from typing import Any

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Scope]]
    Send = Callable[[Scope], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = ["create_app"]

_STATIC = Path(__file__).with_name("static")
_CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
_SECURITY_HEADERS = {
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        b"frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}


def create_app() -> FastAPI:
    """Return the app. Airflow doesn't authenticate requests to a plugin's app, so every route requires it itself."""
    app = FastAPI(
        title="SageMaker Processing",
        dependencies=[Depends(require_read_access)],
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.add_middleware(SecurityHeaders)
    app.add_exception_handler(RequestValidationError, validation_error_response)
    app.add_api_route("/jobs", jobs_page, response_class=Response)
    app.add_api_route("/job", job_page, response_class=Response)
    app.add_api_route("/static/{name}", static_file, response_class=Response)
    app.include_router(routes.router)
    return app


def jobs_page() -> Response:
    """Return the page of all jobs."""
    return static_file("jobs.html")


def job_page() -> Response:
    """Return the tab of the task instance that the query parameters name."""
    return static_file("job.html")


def static_file(name: str) -> Response:
    """Return a file of the pages."""
    files = {path.name: path for path in _STATIC.iterdir() if path.suffix in _CONTENT_TYPES}  # rules out any path
    if name not in files:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "File not found.")
    return Response(files[name].read_bytes(), headers={"content-type": _CONTENT_TYPES[files[name].suffix]})


class SecurityHeaders:
    """ASGI middleware: responses load nothing from other sites, and only Airflow's pages may frame them."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the security headers that the response doesn't have."""

        async def send_with_headers(message: Scope) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                added = [(name, value) for name, value in _SECURITY_HEADERS.items() if name not in present]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self._app(scope, receive, send_with_headers)
