"""What goes wrong with a share of the calls, each way as often as the others."""

from __future__ import annotations

import random
from collections import Counter
from enum import Enum

__all__ = ["Trouble", "Troubles"]


class Trouble(Enum):
    """One way in which a call fails for its client."""

    ERROR = "5xx"
    THROTTLE = "throttled"
    RESET = "connection reset before the call was carried out"
    LOST = "connection reset after the call was carried out"
    SILENCE = "time-out, the call was never carried out"
    LATE = "time-out, the call was carried out after it"
    UNHEARD = "time-out, the call was carried out before it"


_EQUALLY = (
    (Trouble.ERROR,),
    (Trouble.THROTTLE,),
    (Trouble.RESET,),
    (Trouble.LOST,),
    (Trouble.SILENCE, Trouble.LATE, Trouble.UNHEARD),
)


class Troubles:
    """Chooses, the same for the same seed and order of calls, and counts."""

    def __init__(self, share: float, seed: int) -> None:
        self._share = share
        self._chance = random.Random(seed)
        self.counts: Counter[str] = Counter()

    def next(self) -> Trouble | None:
        """Say what goes wrong with the next call."""
        if self._chance.random() >= self._share:
            return None
        trouble = self._chance.choice(self._chance.choice(_EQUALLY))
        self.counts[trouble.value] += 1
        return trouble
