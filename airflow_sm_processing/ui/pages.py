"""The pages' files: HTML, styles, scripts and pictures of this package, and nothing else."""

from pathlib import Path

from fastapi import APIRouter, HTTPException, Response, status

__all__ = ["router"]

router = APIRouter()

_FOLDER = Path(__file__).with_name("static")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


@router.get("/jobs", response_class=Response)
def jobs_page() -> Response:
    """Give the page of all jobs."""
    return _file("jobs.html")


@router.get("/job", response_class=Response)
def job_page() -> Response:
    """Give the tab of one task instance, which its parameters name."""
    return _file("job.html")


@router.get("/static/{name}", response_class=Response)
def static_file(name: str) -> Response:
    """Give a file that the pages refer to."""
    return _file(name)


def _file(name: str) -> Response:
    found = {path.name: path for path in _FOLDER.iterdir() if path.suffix in _TYPES}  # no other name leads anywhere
    if name not in found:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "The pages have no such file.")
    return Response(found[name].read_bytes(), headers={"content-type": _TYPES[found[name].suffix]})
