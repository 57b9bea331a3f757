"""The trigger for an asset's watcher, which fires for each job that completes, without losing or repeating any."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Protocol

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_sm_processing.assets.listener import ACKNOWLEDGEMENT
from airflow_sm_processing.exceptions import DefinitionError, JobNotFoundError, Problem, TransientError
from airflow_sm_processing.hooks.connection import AwsConnection
from airflow_sm_processing.processing.aws_calls import answer_read, jittered
from airflow_sm_processing.processing.description import JobDescription
from airflow_sm_processing.processing.secrets import JobSecrets
from airflow_sm_processing.processing.values import ValueReader
from airflow_sm_processing.watcher.client import now
from airflow_sm_processing.watcher.completions import CompletionHistory, JobFilter, beginning, look_for_completions
from airflow_sm_processing.watcher.queries import status_of
from airflow_sm_processing.xcoms import ended_result

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from airflow_sm_processing.watcher.client import AwsCalls
    from airflow_sm_processing.watcher.completions import Completion

    InThread = Callable[..., Awaitable[Any]]

__all__ = ["AssetStore", "CompletedJobsTrigger", "CompletionEmitter", "DeliveryStore", "VariableStore", "store_of"]


log = logging.getLogger(__name__)


_POLL_INTERVAL = 30.0


class CompletedJobsTrigger(BaseEventTrigger):
    """Fires once for each processing job that completes, no matter what started it; for an `AssetWatcher`.

    An event's payload is the operators' result: `job_name`, `job_arn`, `status`, `outputs` and so on. The first
    events are for jobs that complete after the DAG was first loaded. After a triggerer's restart, no job is missed.
    """

    def __init__(
        self,
        *,
        job_name_prefix: str | None = None,
        job_name_pattern: str | None = None,
        tags: Mapping[str, str | None] | str | None = None,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | str | None = None,
        poll_interval: float | None = None,
    ) -> None:
        """Set the conditions, all of which jobs have to meet, and the connection; nothing is templated.

        Mappings may also be JSON text.

        Args:
            job_name_prefix: The beginning of the job's name.
            job_name_pattern: A regular expression that matches the job's whole name.
            tags: Tags that the job has to have; a value of None means any value. They are read once, when the job has
                completed.
            aws_conn_id: Airflow connection; None uses boto3's own configuration chain.
            region_name: AWS region; the connection's if None.
            verify: Whether TLS certificates are checked, or the path of a CA bundle.
            botocore_config: Keyword arguments of `botocore.config.Config`.
            poll_interval: How often jobs are listed, in seconds; `[sm_processing] poll_interval` if None, which is 30
                by default.

        Raises:
            DefinitionError: There is no condition, or a value is invalid.
        """
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's is untyped
        self.job_name_prefix = job_name_prefix
        self.job_name_pattern = job_name_pattern
        reader = ValueReader()
        given = sorted((_mapping("tags", tags) or {}).items())
        self.tags: dict[str, str | None] = {key: reader.optional_text(f"tags[{key!r}]", value) for key, value in given}
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = _mapping("botocore_config", botocore_config)
        self.poll_interval = poll_interval
        problems = [*reader.problems, *_problems(self)]
        if problems:
            raise DefinitionError(problems, subject=type(self).__name__)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that make an equal trigger.

        Airflow distinguishes triggers by the arguments, so they are the same for equal triggers. They contain no
        mapping, which Airflow 3.2 would pass on as something else.
        """
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "job_name_prefix": self.job_name_prefix,
            "job_name_pattern": self.job_name_pattern,
            "tags": _text(self.tags),
            "aws_conn_id": self.aws_conn_id,
            "region_name": self.region_name,
            "verify": self.verify,
            "botocore_config": _text(self.botocore_config),
            "poll_interval": self.poll_interval,
        }

    @property
    def connection(self) -> AwsConnection:
        """The AWS connection."""
        return AwsConnection(
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            botocore_config=self.botocore_config,
        )

    @property
    def job_filter(self) -> JobFilter:
        """The conditions for jobs."""
        return JobFilter(job_name_prefix=self.job_name_prefix, job_name_pattern=self.job_name_pattern, tags=self.tags)

    @property
    def store_key(self) -> str:
        """The key of the trigger's stored state, which doesn't depend on the poll interval or how AWS is reached."""
        jobs = (self.job_name_prefix, self.job_name_pattern, self.tags, self.aws_conn_id, self.region_name)
        return f"sm_processing_completions_{hashlib.sha256(json.dumps(jobs).encode()).hexdigest()[:16]}"

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each completion, without end."""
        from airflow_sm_processing.airflow_compat import configured_poll_interval
        from airflow_sm_processing.triggers.shared_watcher import shared_watcher

        interval = configured_poll_interval(_POLL_INTERVAL) if self.poll_interval is None else self.poll_interval
        async with shared_watcher(self.connection) as shared:
            store = store_of(self, shared.in_thread)
            emitter = CompletionEmitter(
                shared.calls, self.job_filter, store, key=self.store_key, poll_interval=interval
            )
            async with aclosing(emitter.payloads()) as payloads:
                async for payload in payloads:
                    yield TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow's is untyped


def _mapping(name: str, given: Mapping[str, Any] | str | None) -> dict[str, Any] | None:
    try:
        loaded = json.loads(given) if isinstance(given, str) else given
    except ValueError:
        loaded = given
    if loaded is None or isinstance(loaded, Mapping):
        return None if loaded is None else dict(loaded)
    problem = Problem(
        name, type(given), "must be a mapping, or the JSON text of one"
    )  # it may contain a proxy's password
    raise DefinitionError([problem], subject=CompletedJobsTrigger.__name__)


def _text(mapping: Mapping[str, Any] | None) -> str | None:
    return json.dumps(mapping) if mapping else None


def _problems(trigger: CompletedJobsTrigger) -> list[Problem]:
    problems = []
    if not (trigger.job_name_prefix or trigger.job_name_pattern or trigger.tags):
        rule = "one of job_name_prefix, job_name_pattern and tags is required"
        problems.append(Problem("job_name_prefix", trigger.job_name_prefix, rule))
    try:
        re.compile(trigger.job_name_pattern or "")
    except re.error as error:
        problems.append(Problem("job_name_pattern", trigger.job_name_pattern, f"isn't a regular expression: {error}"))
    if trigger.poll_interval is not None and not trigger.poll_interval > 0:
        problems.append(Problem("poll_interval", trigger.poll_interval, "must be more than 0 seconds"))
    return problems


class DeliveryStore(Protocol):
    """Stores plain JSON by key."""

    is_acknowledged: bool
    """Whether Airflow writes an acknowledgement to it for each stored event."""

    async def load(self, key: str) -> Any:
        """Return what was saved; None if nothing was."""

    async def save(self, key: str, value: Any) -> None:
        """Store a value."""

    async def delete(self, key: str) -> None:
        """Remove it."""


class AssetStore:
    """The state store of the asset that the trigger watches (Airflow 3.3 and newer)."""

    is_acknowledged = True

    def __init__(self, store: Any, in_thread: InThread) -> None:
        self._store = store
        self._in_thread = in_thread

    async def load(self, key: str) -> Any:
        """Return what was saved; None if nothing was."""
        return await self._ask("get", key)

    async def save(self, key: str, value: Any) -> None:
        """Store a value."""
        await self._ask("set", key, value)

    async def delete(self, key: str) -> None:
        """Remove it."""
        await self._ask("delete", key)

    async def _ask(self, method: str, *args: Any) -> Any:
        asynchronous = getattr(self._store, f"a{method}", None)  # since Airflow 3.3.2
        if asynchronous is None:
            return await self._in_thread(getattr(self._store, method), *args)
        return await asyncio.shield(asyncio.ensure_future(asynchronous(*args)))


class VariableStore:
    """Airflow variables, for Airflow before 3.3 and for a trigger that several assets share."""

    is_acknowledged = False

    def __init__(self, in_thread: InThread) -> None:
        self._in_thread = in_thread

    async def load(self, key: str) -> Any:
        """Return what was saved; None if nothing was."""
        from airflow.sdk import Variable

        return await self._in_thread(lambda: Variable.get(key, default=None, deserialize_json=True))

    async def save(self, key: str, value: Any) -> None:
        """Store a value."""
        from airflow.sdk import Variable

        description = "The completions that a CompletedJobsTrigger has reported; without it, it starts again."
        await self._in_thread(lambda: Variable.set(key, value, description=description, serialize_json=True))

    async def delete(self, key: str) -> None:
        """Remove it."""
        from airflow.sdk import Variable

        await self._in_thread(Variable.delete, key)


def store_of(trigger: BaseEventTrigger, in_thread: InThread) -> DeliveryStore:
    """Return an event trigger's store, and log if it is the less reliable one.

    Args:
        trigger: The trigger, prepared by the triggerer.
        in_thread: Runs a blocking function.
    """
    store = getattr(trigger, "asset_state_store", None)
    lesser = "A completion is reported twice if the triggerer is killed within seconds of the first report"
    if store is None:
        log.info("%s: this Airflow has no state store for assets, so its state is in an Airflow variable.", lesser)
        return VariableStore(in_thread)
    if not _is_of_one_asset(store):
        log.info("%s: several assets share this trigger, so its state is in an Airflow variable.", lesser)
        return VariableStore(in_thread)
    return AssetStore(store, in_thread)


def _is_of_one_asset(store: Any) -> bool:
    """Return whether the trigger has the store of one asset, rather than of several."""
    try:
        store._single_accessor()  # noqa: SLF001  # Airflow has no public way to find out
    except ValueError:
        return False
    return True


_LONGEST_WAIT = 30.0  # for a receipt; Airflow stores an event within about a second
_WAIT_WITHOUT_ACKNOWLEDGEMENTS = 3.0
"""The number of seconds after which an event counts as stored, where there are no receipts."""
_BETWEEN_QUESTIONS = 0.3
_SAVED_EACH = 60.0  # seconds, while there are no completions
_LONGEST_PAUSE = 300.0  # seconds, after errors, unless the poll interval is longer anyway


class CompletionEmitter:
    """Emits new completions, and saves each emitted one when Airflow has stored its event.

    It isn't saved earlier: if the triggerer dies, the next one finds the completion again, and the receipt shows
    whether it was emitted.
    """

    def __init__(
        self, calls: AwsCalls, job_filter: JobFilter, store: DeliveryStore, *, key: str, poll_interval: float
    ) -> None:
        """Set the connection, the filter, the store and the key in it, and the poll interval."""
        self._calls = calls
        self._filter = job_filter
        self._store = store
        self._key = key
        self._poll_interval = poll_interval
        self._history: CompletionHistory | None = None
        self._unstored: list[tuple[float, Completion]] = []
        self._spent: list[str] = []
        self._saved_at = 0.0
        self._acknowledgements_come = store.is_acknowledged

    async def payloads(self) -> AsyncGenerator[dict[str, Any], None]:
        """Poll without end, and yield the payload of each new completion; retry on any error."""
        troubles = 0
        while True:
            try:
                history = await self._known()
                look = await look_for_completions(self._calls, self._filter, history)
                for completion in look.news:
                    if not await self._was_told(history, completion):
                        yield await self._payload(completion)
                        history.note(completion)
                        self._unstored.append((now(), completion))
                        await self._remember_meanwhile(history)
                history.advance(look.began_at)
                await self._remember(history)
                troubles = 0
            except Exception as error:  # noqa: BLE001  # a trigger that ends would be started again at once
                troubles += 1
                text = str(error) if isinstance(error, TransientError) else repr(error)
                log.warning("Can't read completed jobs for now; none is lost: %s", text)
                await self._remember_before_the_pause()
            await asyncio.sleep(self._pause(troubles))

    def _pause(self, troubles: int) -> float:
        longest = max(_LONGEST_PAUSE, self._poll_interval)
        return jittered(min(self._poll_interval * 2.0 ** min(troubles, 10), longest))

    async def _known(self) -> CompletionHistory:
        if self._history is not None:
            return self._history
        plain = await self._store.load(self._key)
        if plain is not None:
            self._spent = list(plain["spent_receipts"])
            self._history = CompletionHistory.from_plain(plain)
            return self._history
        history = await beginning(self._calls)
        await self._save(history)
        log.info("Watching for jobs that complete from now on.")
        self._history = history
        return history

    async def _was_told(self, history: CompletionHistory, completion: Completion) -> bool:
        """Check the receipt, then the saved history: a receipt is deleted only after its completion was saved."""
        acknowledgement = self._acknowledgement(completion)
        if self._store.is_acknowledged and await self._store.load(acknowledgement) is not None:
            history.note(completion)
            self._spent.append(acknowledgement)
            return True
        saved = await self._store.load(self._key)
        if saved is not None:
            history.known.update(saved["known"])
        return completion.id in history.known

    async def _payload(self, completion: Completion) -> dict[str, Any]:
        asks_for = {ACKNOWLEDGEMENT: self._acknowledgement(completion)} if self._store.is_acknowledged else {}
        return {**await self._result(completion), "completion": completion.id, **asks_for}

    async def _result(self, completion: Completion) -> dict[str, Any]:
        request = {"ProcessingJobName": completion.job_name}
        try:
            answer = await self._calls.sagemaker("describe_processing_job", completion.job_name, request)
            with answer_read("DescribeProcessingJob", completion.job_name):
                status_of(completion.job_name, answer)
                description = JobDescription.from_response(answer)
        except JobNotFoundError:  # the job's record was deleted meanwhile, so its outputs are unknown
            return ended_result(completion.to_description())
        return ended_result(description.without(JobSecrets()))

    async def _remember_before_the_pause(self) -> None:
        """After an error, save what was emitted, since the pause may be long."""
        if self._history is None or not self._unstored or self._acknowledgements_come:
            return
        await asyncio.sleep(_WAIT_WITHOUT_ACKNOWLEDGEMENTS)
        try:
            await self._remember_meanwhile(self._history)
        except Exception as error:  # noqa: BLE001  # the store itself may be failing
            log.warning("Can't save which completions were delivered, for now: %r", error)

    async def _remember_meanwhile(self, history: CompletionHistory) -> None:
        """Without receipts, save what was emitted some seconds ago, since one poll may find many completions."""
        ripe_at = now() - _WAIT_WITHOUT_ACKNOWLEDGEMENTS
        if self._acknowledgements_come or self._saved_at > ripe_at:
            return
        unripe = [item for item in self._unstored if item[0] > ripe_at]
        if len(unripe) < len(self._unstored):
            await self._save(history.without(completion for _, completion in unripe))
            self._unstored = unripe

    async def _remember(self, history: CompletionHistory) -> None:
        """Save what was emitted, once Airflow has stored all of it."""
        if not self._unstored and not self._spent and now() - self._saved_at < _SAVED_EACH:
            return
        self._spent += await self._stored([self._acknowledgement(completion) for _, completion in self._unstored])
        self._unstored = []
        await self._save(history)
        for acknowledgement in list(self._spent):
            await self._store.delete(acknowledgement)
            self._spent.remove(acknowledgement)

    async def _stored(self, acknowledgements: list[str]) -> list[str]:
        """Wait until Airflow has stored these events, and return the receipts that were found."""
        give_up_at = now() + (_LONGEST_WAIT if self._acknowledgements_come else _WAIT_WITHOUT_ACKNOWLEDGEMENTS)
        missing = list(acknowledgements)
        while missing and now() < give_up_at:
            await asyncio.sleep(_BETWEEN_QUESTIONS)
            if self._store.is_acknowledged:
                missing = [
                    acknowledgement for acknowledgement in missing if await self._store.load(acknowledgement) is None
                ]
        if missing and self._store.is_acknowledged:
            log.warning(
                "No acknowledgement of %d events came. Is the plugin airflow_sm_processing_assets loaded?", len(missing)
            )
        if acknowledgements:
            self._acknowledgements_come = self._store.is_acknowledged and not missing
        return [acknowledgement for acknowledgement in acknowledgements if acknowledgement not in missing]

    async def _save(self, history: CompletionHistory) -> None:
        await self._store.save(self._key, {**history.to_plain(), "spent_receipts": list(self._spent)})
        self._saved_at = now()

    def _acknowledgement(self, completion: Completion) -> str:
        return f"{self._key}_{completion.id}"
