"""What this process has shown of the jobs' logs whose triggers left it, and may come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from airflow_sm_processing.processing.log_position import LogPosition

    Span = tuple[LogPosition | None, LogPosition]
    """From where to where a log was shown; None is its start."""

__all__ = ["add_span", "forget_spans", "is_log_emptied", "spans_of"]

_MOST_LOGS = 20_000
_MOST_SPANS = 50
_MOST_LINES = 100  # listed in a span's end
_spans: dict[Hashable, list[Span]] = {}


def spans_of(log: Hashable) -> list[Span]:
    """Return what this process has shown of a log, in order."""
    return list(_spans.get(log, ()))


def add_span(log: Hashable, begin: LogPosition | None, end: LogPosition) -> None:
    """Note what a trigger has shown, from where it went on; one that went on from the last span's end prolongs it."""
    spans = _spans.pop(log, [])
    end = end.bounded(_MOST_LINES)
    if spans and begin == spans[-1][1]:
        spans[-1] = (spans[-1][0], end)
    elif end.streams and begin != end:
        spans.append((begin, end))
    if len(spans) > _MOST_SPANS:  # better shown twice than lost: what others showed in between comes too
        spans[:2] = [(spans[0][0], spans[1][1])]
    if not spans:
        return
    if len(_spans) >= _MOST_LOGS:
        del _spans[next(iter(_spans))]
    _spans[log] = spans


def forget_spans(log: Hashable) -> None:
    """Forget a log whose task has ended."""
    _spans.pop(log, None)


def is_log_emptied() -> bool:
    """Return whether Airflow empties a trigger's log file when the trigger comes back to a triggerer.

    It does. Where logs are kept remotely, what the file had was sent there when the trigger left, and what comes now is
    put after it.
    """
    from airflow_sm_processing.airflow_compat import conf

    return not conf.getboolean("logging", "remote_logging", fallback=False)
