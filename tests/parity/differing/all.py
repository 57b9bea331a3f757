"""Every difference."""

from __future__ import annotations

from . import buckets, channels, code, empty, frameworks, names, spark, values

DIFFERENCES = (
    *names.DIFFERENCES,
    *empty.DIFFERENCES,
    *code.DIFFERENCES,
    *channels.DIFFERENCES,
    *buckets.DIFFERENCES,
    *values.DIFFERENCES,
    *frameworks.DIFFERENCES,
    *spark.DIFFERENCES,
)
