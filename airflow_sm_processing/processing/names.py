"""Names of jobs, inputs and outputs, as the SageMaker SDK v2 makes them, but always legal."""

from __future__ import annotations

import re
from datetime import datetime, timezone

__all__ = ["LONGEST_BASE", "MAX_LENGTH", "base_name_from_image", "job_name_from_base", "legal_name"]

DEFAULT_BASE_NAME = "processing-job"
MAX_LENGTH = 63
"""Of a name as a whole: the SDK's own cut, which SageMaker's pattern allows."""
_TIMESTAMP_LENGTH = len("2000-01-31-23-59-59-999")
LONGEST_BASE = MAX_LENGTH - _TIMESTAMP_LENGTH - 1
"""Characters of a base that a generated name keeps."""
_IMAGE = re.compile(r"^(?:.+/)?([^:/@]+)(?:[:@].*)?$")
_ILLEGAL = re.compile(r"[^a-zA-Z0-9-]+")


def base_name_from_image(image_uri: str) -> str:
    """Give the last segment of an image's path: `registry/team/sklearn:1.2` gives `sklearn`."""
    match = _IMAGE.match(image_uri.rstrip("/"))
    return match.group(1) if match else DEFAULT_BASE_NAME


def job_name_from_base(base: str, *, now: datetime | None = None) -> str:
    """Give a job name of at most 63 characters: the base and a UTC timestamp to the millisecond.

    What SageMaker allows in no name (`_`, `.`, `@` …) becomes a hyphen; a legal base is only cut.
    """
    moment = now or datetime.now(timezone.utc)
    timestamp = f"{moment:%Y-%m-%d-%H-%M-%S}-{moment.microsecond // 1000:03d}"
    return f"{legal_name(base)[:LONGEST_BASE]}-{timestamp}"


def legal_name(base: str) -> str:
    """Put hyphens in the place of what SageMaker allows in no name."""
    return _ILLEGAL.sub("-", base).lstrip("-") or DEFAULT_BASE_NAME
