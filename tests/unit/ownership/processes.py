"""Processes of a task instance that stop at each call, so that a test can decide the outcome of call and process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ReadTimeoutError
from greenlet import getcurrent, greenlet

from .sagemaker import RefusedError, SageMaker

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing.ownership.claim import Claimed
    from airflow_sm_processing.ownership.owner import Intent


class Fate(Enum):
    """What becomes of a call."""

    ANSWERED = "answered"
    LOST = "carried out, the answer lost"
    CUT = "not carried out"
    THROTTLED = "throttled"
    BROKEN = "5xx"
    DIES_BEFORE = "the process is killed before the call is carried out"
    DIES_AFTER = "the process is killed when the call has been carried out"

    @property
    def is_carried_out(self) -> bool:
        return self in {Fate.ANSWERED, Fate.LOST, Fate.DIES_AFTER}

    @property
    def is_deadly(self) -> bool:
        return self in {Fate.DIES_BEFORE, Fate.DIES_AFTER}


POINTS = ("read", "write", "CreateProcessingJob", "StopProcessingJob", "DescribeProcessingJob", "ListTags", "sleep")
_FORBIDDEN_TO_ORPHANS = frozenset({"write", "CreateProcessingJob"})


class KilledError(BaseException):
    """The process is gone: nothing that it still does has an effect."""


@dataclass(eq=False)
class Process:
    """One process of a task instance."""

    generation: int
    account: SteppedSageMaker
    claim: Callable[[Process], Claimed]
    is_orphan: bool = False
    point: str | None = None
    """The call that it waits for."""
    claimed: Claimed | None = None
    error: Exception | None = None
    is_dead: bool = False

    def __post_init__(self) -> None:
        self._greenlet = greenlet(self._run)
        self._go(None)

    @property
    def is_running(self) -> bool:
        return self.point is not None

    def step(self, fate: Fate = Fate.ANSWERED) -> None:
        """Let the call that it waits at have this outcome, and the process go on to its next call."""
        self._go(fate)

    def die(self) -> None:
        """Die now, wherever it is."""
        self.is_dead = True
        if self.is_running:
            self._go(Fate.DIES_BEFORE)

    def finish(self) -> None:
        """Go on to the end, undisturbed."""
        while self.is_running:
            self.step()

    def come_as_far_as(self, point: str) -> None:
        """Go on undisturbed to a call, or to the end if it makes none of that kind any more."""
        while self.is_running and self.point != point:
            self.step()

    def asks(self, point: str) -> Fate:
        """Wait for the fate of a call; called by the process itself."""
        if self.is_dead:
            raise KilledError
        assert not (self.is_orphan and point in _FORBIDDEN_TO_ORPHANS), f"an orphan asked for {point}"
        self.point = point
        fate: Fate = self._greenlet.parent.switch()
        if fate is Fate.DIES_BEFORE:
            self.is_dead = True
            raise KilledError
        return fate

    def _go(self, fate: Fate | None) -> None:
        self.point = None
        self._greenlet.parent = getcurrent()
        self._greenlet.switch(*([] if fate is None else [fate]))

    def _run(self, *_: Any) -> None:
        self._greenlet.process = self  # type: ignore[attr-defined]  # a greenlet is a place of its own
        try:
            self.claimed = self.claim(self)
        except KilledError:
            pass
        except AssertionError:
            raise
        except Exception as error:  # noqa: BLE001  # what the task would fail with
            self.error = error


def current() -> Process:
    """Return the process that runs."""
    process: Process = getcurrent().process  # type: ignore[attr-defined]  # as above
    return process


@cache
def _client() -> Any:
    """Give the one client, which reaches the account of the process that calls: making one takes longer than a test."""
    client = SageMaker(lambda: 0.0)._client
    client.meta.events.register_first("before-send.sagemaker.*", _answered)
    return client


def _answered(**request: Any) -> Any:
    return current().account._answer(**request)


class SteppedSageMaker(SageMaker):
    """An account whose calls have the outcome that the test decides; a stop takes as long as a process sleeps."""

    on_made: Callable[[Process, str], None]
    on_stopped: Callable[[Process, str], None]
    forbids_tags = False

    @cached_property
    def _client(self) -> Any:
        return _client()

    def _answer(self, request: Any, **options: Any) -> Any:
        operation = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
        process = current()
        fate = process.asks(operation)
        if fate is Fate.THROTTLED:
            self.refusals.append((operation, RefusedError("ThrottlingException")))
        elif fate is Fate.BROKEN:
            self.refusals.append((operation, RefusedError("InternalFailure", status=500)))
        elif fate is Fate.CUT:
            raise ReadTimeoutError(endpoint_url=request.url)
        elif self.forbids_tags and operation == "CreateProcessingJob" and json.loads(request.body).get("Tags"):
            denial = RefusedError("AccessDeniedException", "no policy allows the sagemaker:AddTags action")
            self.refusals.append((operation, denial))
        answer = super()._answer(request, **options)
        if fate is Fate.DIES_AFTER:
            process.is_dead = True
            raise KilledError
        if fate is Fate.LOST:
            raise ReadTimeoutError(endpoint_url=request.url)
        return answer

    def _CreateProcessingJob(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802  # the operation's name
        answer = super()._CreateProcessingJob(body)
        self.on_made(current(), body["ProcessingJobName"])
        return answer

    def _StopProcessingJob(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        was = self._job(body)["ProcessingJobStatus"]
        answer = super()._StopProcessingJob(body)
        self._job(body)["ProcessingJobStatus"] = "Stopping"
        if was == "InProgress":
            self.on_stopped(current(), body["ProcessingJobName"])
        return answer


@dataclass
class SteppedNotes:
    """Airflow's `task_state_store`, whose requests have the outcome that the test decides."""

    is_there: bool
    kept: dict[str, Any]
    available: bool = True

    def __post_init__(self) -> None:
        self.available = self.is_there

    def read(self) -> Intent | None:
        if not self.is_there:
            return None
        self._ask("read")
        return self.kept.get("intent") if self.available else None

    def write(self, intent: Intent) -> bool:
        fate = self._ask("write")
        if fate.is_carried_out:
            self.kept["intent"] = intent
        if fate is Fate.DIES_AFTER:
            current().is_dead = True
            raise KilledError
        return self.available

    def _ask(self, what: str) -> Fate:
        fate = current().asks(what)
        if current().is_orphan and not fate.is_deadly:
            fate = Fate.CUT  # its supervisor, which carries what a task asks of Airflow, is gone
        if not fate.is_carried_out or fate is Fate.LOST:
            self.available = False
        return fate
