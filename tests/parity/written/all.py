"""Every case that is written by hand."""

from __future__ import annotations

from . import accounts, defaults, frameworks, inputs, names, outputs, processors, spark, uploads

CASES = (
    *names.CASES,
    *processors.CASES,
    *inputs.CASES,
    *outputs.CASES,
    *uploads.CASES,
    *accounts.CASES,
    *defaults.CASES,
    *frameworks.CASES,
    *spark.CASES,
)
