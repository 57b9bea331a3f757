"""Reading batches of streams by FilterLogEvents."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import (
    AccessDeniedError,
    JobNotFoundError,
    MalformedResponseError,
    ServiceError,
    TransientError,
)
from airflow_sm_processing.processing.aws_calls import answer_read, new_token
from airflow_sm_processing.processing.log_events import readable_events
from airflow_sm_processing.processing.s3_uris import LOG_GROUP
from airflow_sm_processing.watcher.client import now
from airflow_sm_processing.watcher.log_streams import Batch
from airflow_sm_processing.watcher.queries import server_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from airflow_sm_processing.watcher.log_streams import Followed

    LogCall = Callable[[str, str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
    """Calls CloudWatch Logs once: the client's method, the subject for errors, and the request."""

__all__ = ["BatchReader"]

_COMPLETE_AFTER_MS = 2000
"""A token skips what comes late, so a reading doesn't follow it to where streams still get lines of that time."""
_PAGES = 5  # of a batch with a long backlog, before others have their turn


class BatchReader:
    """Reads batches to their end, and hands out what is new."""

    def __init__(self, call: LogCall) -> None:
        self._call = call
        self.calls = 0
        """How many calls were made."""

    async def read(self, batch: Batch) -> None:
        """Read a batch to its end; if that is far, read a part, and its streams count as not caught up.

        Raises:
            TransientError: A page couldn't be read. Reading again loses no line and repeats none.
        """
        alive = Batch([stream for stream in batch.streams if not stream.job.is_off])
        if not alive.streams:
            return
        try:
            await self._read_pages(alive)
        except MalformedResponseError:
            await self._read_halves(alive)
        except TransientError:
            raise
        except AccessDeniedError as error:
            for stream in alive.streams:
                stream.job.fail(error)
        except ServiceError as error:
            await self._isolate(alive, error)

    async def _read_pages(self, batch: Batch) -> None:
        began = now()
        start = reached = batch.start
        for stream in batch.streams:
            stream.memory.begin()
            await asyncio.sleep(0)  # a hundred busy streams have much to forget
        request: dict[str, Any] = {
            "logGroupName": LOG_GROUP,
            "logStreamNames": batch.names,
            "startTime": start,
        }
        pages, seen = 0, set[str]()
        # A page may be empty, or of one moment only: who stopped before it has come further would never get further.
        while pages < _PAGES or reached <= start:
            page = await self._page(batch, request)
            if page is None:
                break
            pages += 1
            with answer_read("FilterLogEvents", str(batch)):
                token = new_token(page.get("nextToken"), seen)
            await self._hand_out(batch, page["events"])
            reached = page["events"][-1]["timestamp"] if page["events"] else reached
            if token is None:
                batch.reached_the_end(began)
                return
            if reached > start and _is_still_being_written(reached, page):
                batch.left_the_newest()
                return
            request["nextToken"] = token
        batch.fell_behind(reached)

    async def _page(self, batch: Batch, request: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the next page; None if the token isn't good any more, so that reading has to begin anew."""
        self.calls += 1
        try:
            page = await self._call("filter_log_events", str(batch), request)
        except ServiceError as error:
            if "nextToken" in request and error.code == "InvalidParameterException":
                return None
            raise
        with answer_read("FilterLogEvents", str(batch)):
            _check(page)
        return page

    async def _hand_out(self, batch: Batch, events: Sequence[Mapping[str, Any]]) -> None:
        by_job: dict[Followed, list[Mapping[str, Any]]] = {stream.job: [] for stream in batch.streams}
        takers: dict[str, list[list[Mapping[str, Any]]]] = {}
        for stream in batch.streams:
            takers.setdefault(stream.name, []).append(by_job[stream.job])
        for event in events:
            for taken in takers.get(event["logStreamName"], ()):
                taken.append(event)
        for job, its_events in by_job.items():
            await job.hand_out(its_events)

    async def _read_halves(self, batch: Batch) -> None:
        """Read the halves of a batch whose answer can't be read: it may be of one stream alone.

        Raises:
            MalformedResponseError: One couldn't be read either.
        """
        if len(batch.streams) == 1:
            await self._read_pages(batch)
            return
        failure: MalformedResponseError | None = None
        for half in batch.halves():
            try:
                await self.read(half)
            except MalformedResponseError as error:
                failure = error
        if failure is not None:
            raise failure

    async def _isolate(self, batch: Batch, error: ServiceError) -> None:
        """Find the stream that a call fails for, so that the others don't suffer."""
        if len(batch.streams) > 1:
            for half in batch.halves():
                await self.read(half)
        elif isinstance(error, JobNotFoundError):
            batch.streams[0].job.drop(batch.streams[0])
        else:
            batch.streams[0].job.fail(error)


def _check(page: Mapping[str, Any]) -> None:
    """Raise ValueError if a page isn't what can be handed out."""
    if not isinstance(page, dict) or not isinstance(page.get("events"), list):
        raise ValueError("it has no list of events")  # noqa: TRY004  # read like the other faults
    if not isinstance(page.get("nextToken"), (str, type(None))):
        raise ValueError("its nextToken is no text")  # noqa: TRY004  # the same
    for event in readable_events(page["events"]):
        if not isinstance(event["message"], str) or not isinstance(event.get("logStreamName"), str):
            raise ValueError("an event has no text, or no stream")  # noqa: TRY004  # the same


def _is_still_being_written(reached: int, page: Mapping[str, Any]) -> bool:
    answered_at = server_time(page)
    return answered_at is not None and reached > answered_at * 1000 - _COMPLETE_AFTER_MS
