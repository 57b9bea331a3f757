"""Truth values as templates write them."""

from __future__ import annotations

__all__ = ["TRUTHS"]

TRUTHS = {"true": True, "false": False}
"""By their text in lower case: Python's and JSON's spelling alike."""
