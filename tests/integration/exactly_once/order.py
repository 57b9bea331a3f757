"""The description of a crowd, for the process that drives it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Order:
    """How many task instances there are, of what kind, and what happens to their processes."""

    instances: int
    logs: str
    """The folder that takes a log for each task instance and each triggerer."""
    mapped: bool = False
    """Whether they are those of one mapped task; else each has a run of its own."""
    at_once: int = 100
    """Workers' processes at a time."""
    doomed: float = 0.0
    """The share of processes that are killed."""
    seed: int = 1
    parameters: dict[str, Any] = field(default_factory=dict)
    """Of the tasks."""

    @classmethod
    def from_json(cls, text: str) -> Order:
        """Read what `to_json` returned."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """Return the order as one command line argument."""
        return json.dumps(asdict(self))
