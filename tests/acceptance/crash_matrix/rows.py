"""The rows of the crash matrix: the point, what happens there, and the expected outcome of the task and its jobs.

The rule that they test: a task instance has one job per generation and per job that ended badly, and no job goes on
without a task.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import actions as do
from . import points as at
from .points import Point
from .seen import Seen

if TYPE_CHECKING:
    from .actions import Action, SharedAction

IN_WORKER, DEFERRED = "in_worker", "deferred"


@dataclass(frozen=True, kw_only=True)
class Row:
    """What happens, when, and the expected outcome."""

    point: Point
    action: Action | SharedAction
    mode: str
    """Where the task waits for its job."""
    expected: Seen
    kind: str = ""
    """The kind of DAG, such as `_once` for one without retries."""
    finishes: bool = True
    """Whether the job ends by itself when the task waits for it after the action."""
    meanwhile: Action | None = None
    """What happens to the task before the part of Airflow that was killed is started again."""
    within: float = 600.0
    """Seconds for each wait of the row."""

    @property
    def name(self) -> str:
        """Name the row; jobs' names begin with it."""
        return "-".join([_SHORT[self.mode], self.point.key, *(action.key for action in self._actions)])

    @property
    def text(self) -> str:
        """Return what happens when."""
        return f"{self.point.text}: {', '.join(action.text for action in self._actions)}"

    @property
    def _actions(self) -> list[Action | SharedAction]:
        return [self.action] if self.meanwhile is None else [self.action, self.meanwhile]

    @property
    def dag_id(self) -> str:
        """The DAG whose run it is."""
        return f"matrix_{self.mode}{self.kind}"


_SHORT = {IN_WORKER: "worker", DEFERRED: "deferred"}


def _completed(*, calls: int = 1, tries: int = 2) -> Seen:
    """One job for the whole task, and its own result."""
    return Seen(calls=calls, jobs=("Completed",), state="success", tries=tries, names="1", result="1")


def _replaced(first: str, *, state: str = "success") -> Seen:
    """A second job after the first's end, and the second's result."""
    return Seen(calls=2, jobs=(first, "Completed"), state=state, tries=2, names="2", result="2")


def _stopped(state: str) -> Seen:
    """One job, which no task waits for any more."""
    return Seen(calls=1, jobs=("Stopped",), state=state, tries=1, names="1")


def _both(
    point: Point | dict[str, Point],
    action: Action | SharedAction,
    expected: Seen,
    *,
    kind: str = "",
    finishes: bool = True,
) -> list[Row]:
    """The same with the wait in a worker and deferred."""
    return [
        Row(
            point=point if isinstance(point, Point) else point[mode],
            action=action,
            mode=mode,
            expected=expected,
            kind=kind,
            finishes=finishes,
        )
        for mode in (IN_WORKER, DEFERRED)
    ]


_CUT_IN_WORKER = [
    Row(point=at.FIRST_CALL, action=do.CUT, mode=IN_WORKER, expected=_completed(tries=1)),
    Row(point=at.UPLOADING, action=do.CUT, mode=IN_WORKER, kind="_uploading", expected=_completed(tries=1)),
    Row(point=at.BEFORE_CREATE, action=do.CUT, mode=IN_WORKER, expected=_completed(tries=1)),
    # The call is made again; SageMaker says that the name is in use, and the job is found to be the task's own.
    Row(point=at.BEFORE_ANSWER, action=do.CUT, mode=IN_WORKER, expected=_completed(calls=2, tries=1)),
    Row(point=at.UNRECORDED, action=do.CUT, mode=IN_WORKER, expected=_completed(tries=1)),
    Row(point=at.WAITS[IN_WORKER], action=do.CUT, mode=IN_WORKER, expected=_completed(tries=1)),
]
_CUT_DEFERRED = [
    Row(point=at.DEFERRING, action=do.CUT, mode=DEFERRED, expected=_completed(tries=1)),
    Row(point=at.WAITS[DEFERRED], action=do.CUT, mode=DEFERRED, expected=_completed(tries=1)),
    Row(point=at.RESUMING, action=do.CUT, mode=DEFERRED, expected=_completed(tries=1)),
]
_KILLED = [
    Row(point=at.UPLOADING, action=do.KILL_TASK, mode=IN_WORKER, kind="_uploading", expected=_completed()),
    *_both(at.BEFORE_CREATE, do.KILL_TASK, _completed()),
    *_both(at.BEFORE_ANSWER, do.KILL_TASK, _completed()),
    Row(point=at.BEFORE_CREATE, action=do.LATE_CALL, mode=IN_WORKER, expected=_completed(calls=2)),
    *_both(at.UNRECORDED, do.KILL_WORKER, _completed()),
    Row(point=at.WAITS[IN_WORKER], action=do.KILL_TASK, mode=IN_WORKER, expected=_completed()),
    Row(
        point=at.WAITS[IN_WORKER],
        action=do.KILL_WORKER_WHILE_THE_JOB_ENDS,
        mode=IN_WORKER,
        expected=_completed(),
    ),
    Row(point=at.DEFERRING, action=do.KILL_WORKER, mode=DEFERRED, expected=_completed()),
    *_both(at.BEFORE_XCOM, do.KILL_WORKER, _completed()),
    Row(point=at.WAITS[IN_WORKER], action=do.KILL_SUPERVISOR, mode=IN_WORKER, expected=_completed()),
    Row(point=at.BEFORE_CREATE, action=do.KILL_SUPERVISOR_AT_CALL, mode=IN_WORKER, expected=_completed(calls=2)),
]
_SHUT_DOWN = [
    Row(point=at.WAITS[IN_WORKER], action=do.SHUT_DOWN, mode=IN_WORKER, expected=_completed()),
    Row(
        point=at.WAITS[IN_WORKER],
        action=do.SHUT_DOWN_WITHOUT_RETRIES,
        mode=IN_WORKER,
        kind="_once",
        expected=_stopped("failed"),
        finishes=False,
    ),
    Row(point=at.BEFORE_ANSWER, action=do.SHUT_DOWN, mode=IN_WORKER, expected=_completed()),
    # The process ends a moment later, but it is the triggerer that waits for the job then.
    Row(point=at.BEFORE_ANSWER, action=do.SHUT_DOWN, mode=DEFERRED, expected=_completed(tries=1)),
    Row(point=at.DEFERRING, action=do.SHUT_DOWN, mode=DEFERRED, expected=_completed(tries=1)),
]
_USERS = [
    *_both(at.WAITS, do.CLEAR, _replaced("Stopped")),
    Row(
        point=at.WAITS[IN_WORKER],
        action=do.KILL_WORKER_AND_CLEAR,
        mode=IN_WORKER,
        expected=_replaced("Stopped"),
    ),
    *_both(at.SUCCEEDED, do.CLEAR, _replaced("Completed")),
    *_both(at.FAILED, do.CLEAR, _replaced("Failed"), kind="_once"),
    *_both(at.WAITS, do.MARK_FAILED, _stopped("failed"), finishes=False),
    *_both(at.WAITS, do.MARK_SUCCESS, _stopped("success"), finishes=False),
    *_both(at.JOB_FAILED, do.RETRY, _replaced("Failed")),
    *_both(at.WAITS, do.RUN_TIMES_OUT, _stopped("skipped"), kind="_dagrun_timeout", finishes=False),
    *_both(at.WAITS, do.TASK_TIMES_OUT, _stopped("failed"), kind="_execution_timeout", finishes=False),
]
_SHARED = [
    Row(point=at.WAITS[DEFERRED], action=do.KILL_TRIGGERER, mode=DEFERRED, expected=_completed(tries=1)),
    Row(
        point=at.WAITS[DEFERRED],
        action=do.KILL_TRIGGERER,
        mode=DEFERRED,
        expected=_completed(tries=1),
        meanwhile=do.JOB_ENDS,
    ),
    Row(
        point=at.WAITS[DEFERRED],
        action=do.KILL_TRIGGERER,
        mode=DEFERRED,
        expected=_replaced("Stopped"),
        meanwhile=do.CLEAR,
    ),
    Row(point=at.WAITS[IN_WORKER], action=do.KILL_SCHEDULER, mode=IN_WORKER, expected=_completed()),
    Row(point=at.WAITS[DEFERRED], action=do.KILL_SCHEDULER, mode=DEFERRED, expected=_completed(tries=1)),
]
ROWS = (*_CUT_IN_WORKER, *_CUT_DEFERRED, *_KILLED, *_SHUT_DOWN, *_USERS, *_SHARED)
