"""Play the rows: first those that share nothing, side by side, then those for which a part of Airflow is killed."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from .actions import KILL_SCHEDULER, KILL_TRIGGERER, Action, SharedAction
from .scene import Scene
from .seen import Seen

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .rows import Row
    from .stage import Stage

Outcome = Seen | str
"""What was seen, or why nothing could be seen."""
_AT_ONCE = 12
"""More would start at once than a small machine starts in time."""


def play(stage: Stage, rows: Sequence[Row]) -> dict[str, Outcome]:
    """Return each row's outcome by its name.

    The rows for which a part of Airflow is killed get to their point while those before them end.
    """
    playing = [_Playing(Scene(stage, row)) for row in rows]
    # Those that wait for a time limit take longest, and begin first.
    alone = sorted(_with(Action, playing), key=lambda found: "timeout" not in found.scene.row.kind)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        steps = [(found, _Playing.whole) for found in alone]
        for shared in (KILL_TRIGGERER, KILL_SCHEDULER):
            killed = [found for found in _with(SharedAction, playing) if found.scene.row.action is shared]
            _all(pool, [*steps, *((found, _Playing.reach) for found in killed)])
            steps = []
            if killed:
                since = time.monotonic()
                shared.act(stage, [found.scene for found in killed if found.failure is None])
                steps = [(found, _finish(since)) for found in killed]
        _all(pool, steps)
        _all(pool, [(found, _Playing.settle) for found in playing])
        # Looked at last of all: what comes late, such as one call more of a process that was left, is seen too.
        _all(pool, [(found, _Playing.look) for found in playing])
    return {found.scene.row.name: found.outcome() for found in playing}


def _with(kind: type[Action | SharedAction], playing: Iterable[_Playing]) -> list[_Playing]:
    return [found for found in playing if isinstance(found.scene.row.action, kind)]


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


_Step = Callable[[_Playing], None]


def _finish(since: float) -> _Step:
    return lambda found: found.finish(since)


def _all(pool: ThreadPoolExecutor, steps: Iterable[tuple[_Playing, _Step]]) -> None:
    for future in [pool.submit(found.attempt, step) for found, step in steps]:
        future.result()
