"""Truth values as templates write them."""

from __future__ import annotations

__all__ = ["TRUTHS", "truth"]

TRUTHS = {"true": True, "false": False}
"""By their text in lower case: Python's and JSON's spelling alike."""


def truth(value: object) -> bool | None:
    """Give the truth value, or the text of one; None for anything else."""
    return TRUTHS.get(str(value).lower())
