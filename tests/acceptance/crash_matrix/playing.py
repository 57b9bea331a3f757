"""Play the rows: first, concurrently, those that share nothing, then those for which a part of Airflow is killed."""

from __future__ import annotations

import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from .actions import KILL_SCHEDULER, KILL_TRIGGERER, Action, SharedAction
from .scene import Scene
from .seen import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .rows import Row
    from .stage import Stage

Outcome = Seen | str
"""What was seen, or why nothing could be seen."""
_AT_ONCE = 10  # more would start at once than a small machine starts in time


def play(stage: Stage, rows: Sequence[Row]) -> dict[str, Outcome]:
    """Return each row's outcome by its name."""
    outcomes = _play(stage, [row for row in rows if isinstance(row.action, Action)], None)
    for shared in (KILL_TRIGGERER, KILL_SCHEDULER):
        outcomes |= _play(stage, [row for row in rows if row.action is shared], shared)
    return outcomes


def _play(stage: Stage, rows: Sequence[Row], shared: SharedAction | None) -> dict[str, Outcome]:
    playing = {row.name: _Playing(Scene(stage, row)) for row in rows}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        if shared is None:
            _all(pool, playing.values(), _Playing.whole)
        elif playing:
            _all(pool, playing.values(), _Playing.reach)
            since = time.monotonic()
            shared.act(stage, [found.scene for found in playing.values() if found.failure is None])
            _all(pool, playing.values(), lambda found: found.finish(since))
        _all(pool, playing.values(), _Playing.settle)
        # Looked at last of all: what comes late, such as one call more of a process that was left, is seen too.
        _all(pool, playing.values(), _Playing.look)
    return {name: found.outcome() for name, found in playing.items()}


class _Playing:
    """A scene and its outcome; a failure ends this scene only."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.failure: str | None = None
        self._seen: Seen | None = None

    def reach(self) -> None:
        self.scene.begin()
        self.scene.row.point.reach(self.scene)

    def whole(self) -> None:
        self.reach()
        action = self.scene.row.action
        assert isinstance(action, Action)
        since = time.monotonic()
        action.act(self.scene)
        self.finish(since)

    def finish(self, since: float) -> None:
        self.scene.finish(since=since)

    def settle(self) -> None:
        self.scene.settle()

    def look(self) -> None:
        self._seen = self.scene.seen()
        self.scene.clean_up()

    def outcome(self) -> Outcome:
        if self.failure is None:
            assert self._seen is not None
            return self._seen
        self.scene.clean_up()
        return self.failure

    def attempt(self, step: Callable[[_Playing], None]) -> None:
        if self.failure is None:
            try:
                step(self)
            except Exception:  # noqa: BLE001  # reported as the row's outcome
                self.failure = f"{traceback.format_exc()}\n{self._log()}"

    def _log(self) -> str:
        try:
            return f"{self.scene.task()}\n{self.scene.line.passed()[-30:]}\n{self.scene.log()}"
        except Exception as error:  # noqa: BLE001  # it is the other failure that counts
            return f"no log: {error!r}"


def _all(pool: ThreadPoolExecutor, playing: Iterable[_Playing], step: Callable[[_Playing], None]) -> None:
    for future in [pool.submit(found.attempt, step) for found in playing]:
        future.result()
