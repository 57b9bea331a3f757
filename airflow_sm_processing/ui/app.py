"""The FastAPI app that the API server mounts: the pages, their static files, and the API behind them."""

from __future__ import annotations

import re
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI, HTTPException, Response, status
from fastapi.exceptions import RequestValidationError

from airflow_sm_processing.ui import routes
from airflow_sm_processing.ui.dependencies import validation_error_response
from airflow_sm_processing.ui.security import require_read_access

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
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
_IMPORT = re.compile(r'^import .* from "\./([\w.]+)";$', re.MULTILINE)
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
    app.add_api_route("/static/{version}/{name}", versioned_file, response_class=Response)
    app.include_router(routes.router)
    return app


def jobs_page() -> Response:
    """Return the page of all jobs."""
    return _page("jobs")


def job_page() -> Response:
    """Return the tab of the task instance that the query parameters name."""
    return _page("job")


def _page(name: str) -> Response:
    """Return a page that loads all its files at once, at addresses that change with them: browsers may keep the files.

    Otherwise a browser would request a module only after reading the one that imports it, and again on each visit.
    """
    version, files = _static_files()
    address = f"static/{version}/"
    text = files[f"{name}.html"].decode().replace("static/", address)
    preloads = [f'<link rel="modulepreload" href="{address}{module}">' for module in _modules(files, f"{name}.js")]
    html = text.replace("<!-- preload -->", "\n    ".join(preloads))
    return Response(html, headers={"content-type": _CONTENT_TYPES[".html"]})


def static_file(name: str) -> Response:
    """Return a file of the pages."""
    _, files = _static_files()
    if name not in files:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "File not found.")
    return Response(files[name], headers={"content-type": _CONTENT_TYPES[Path(name).suffix]})


def versioned_file(version: str, name: str) -> Response:
    """Return a file of the pages, which browsers may keep if it is the requested version."""
    response = static_file(name)
    if version == _static_files()[0]:
        response.headers["cache-control"] = "private, max-age=31536000, immutable"
    return response


@cache
def _static_files() -> tuple[str, Mapping[str, bytes]]:
    """Return the files by their names, which rules out any path, and the digest of all."""
    paths = sorted(path for path in _STATIC.iterdir() if path.suffix in _CONTENT_TYPES)
    files = {path.name: path.read_bytes() for path in paths}
    return sha256(repr(files).encode()).hexdigest()[:16], files


def _modules(files: Mapping[str, bytes], name: str) -> Iterable[str]:
    """Return the modules that one imports, and those that they import."""
    found, left = dict.fromkeys(["theme.js", name]), [name]
    while left:
        for module in _IMPORT.findall(files[left.pop()].decode()):
            if module not in found:
                found[module] = None
                left.append(module)
    return found


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
