"""Defaults that several layers share; all in seconds."""

from __future__ import annotations

DEFAULT_POLL_INTERVAL = 10.0
"""Between two looks at a job."""
DEFAULT_MAX_TRANSIENT_SECONDS = 3600.0
"""How long throttling, 5xx and lost connections are waited out."""
DEFAULT_MAX_CAPACITY_WAIT = 6 * 3600.0
"""How long a task waits for room for its job: for the end of throttling, a free quota, free instances."""
