"""How long tests wait for what can only hang by a fault."""

from __future__ import annotations

HANGS_AFTER_SECONDS = 1500
"""For a process that a test runs: below pytest's own limit, and far above what a busy machine needs."""
