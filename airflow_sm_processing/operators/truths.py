"""Truth values as templates write them."""

from __future__ import annotations

from airflow_sm_processing.processing.values import TRUTHS

__all__ = ["TRUTHS", "truth"]


def truth(value: object) -> bool | None:
    """Give the truth value, or the text of one; None for anything else."""
    return TRUTHS.get(str(value).lower())
