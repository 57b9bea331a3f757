"""The trigger of completed jobs, on the local SageMaker."""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing import CompletedJobsTrigger
from airflow_sm_processing.assets.listener import ACKNOWLEDGEMENT
from tests.time_limits import HANGS_AFTER_SECONDS
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from airflow_sm_processing.hooks.processing import ProcessingHook
    from airflow_sm_processing.local import LocalSageMaker


class Store:
    """An asset's state store, of Airflow 3.3.2."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.saved = asyncio.Event()

    def _single_accessor(self) -> Store:
        return self

    async def aget(self, key: str) -> Any:
        return self.values.get(key)

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = value
        self.saved.set()

    async def adelete(self, key: str) -> None:
        self.values.pop(key, None)


class Events:
    """What a trigger yields; each is stored at once, with its receipt."""

    def __init__(self, store: Store, **arguments: Any) -> None:
        self.trigger = CompletedJobsTrigger(poll_interval=0.2, **arguments)
        self.trigger.asset_state_store = store  # type: ignore[assignment]  # as a triggerer does
        self.store = store

    async def take(self, events: AsyncGenerator[Any, None]) -> dict[str, Any]:
        payload: dict[str, Any] = (await asyncio.wait_for(anext(events), HANGS_AFTER_SECONDS)).payload
        self.store.values[payload[ACKNOWLEDGEMENT]] = True
        return payload

    def run(self) -> AsyncGenerator[Any, None]:
        return self.trigger.run()  # type: ignore[return-value]  # Airflow says iterator


class Jobs:
    """Starts jobs, whose names begin alike."""

    def __init__(self, hook: ProcessingHook, common: dict[str, Any]) -> None:
        self.prefix = f"watched-{uuid.uuid4().hex[:8]}"
        self._hook = hook
        self._fields = {name: value for name, value in common.items() if name != "poll_interval"}

    async def start(self, name: str, line: str = "pass", **more: Any) -> str:
        def start() -> None:
            processor = self._hook.processor(**self._fields, **more)
            processor.run(arguments=[line], job_name=f"{self.prefix}-{name}", wait=False, logs=False)

        await asyncio.to_thread(start)
        return f"{self.prefix}-{name}"


@pytest.fixture
def jobs(hook: ProcessingHook, common: dict[str, Any]) -> Jobs:
    return Jobs(hook, common)


def test_each_completion_is_told_once_over_two_lives_and_nothing_else_is(jobs: Jobs) -> None:
    async def told() -> list[set[str]]:
        store = Store()
        first, second = (Events(store, job_name_prefix=jobs.prefix) for _ in range(2))
        async with aclosing(first.run()) as events:
            taking = asyncio.ensure_future(first.take(events))
            await store.saved.wait()
            for name, line in (("fails", "raise SystemExit(1)"), ("a", "pass"), ("b", "pass")):
                await jobs.start(name, line)
            early = [await taking, await first.take(events)]
        await jobs.start("c")  # completes while nobody looks
        async with aclosing(second.run()) as events:
            late = [await second.take(events)]
            await jobs.start("d")
            late.append(await second.take(events))
        return [{payload["job_name"].removeprefix(f"{jobs.prefix}-") for payload in part} for part in (early, late)]

    assert asyncio.run(told()) == [{"a", "b"}, {"c", "d"}]


def test_an_event_is_what_the_operators_return_without_what_must_not_be_shown(jobs: Jobs) -> None:
    async def event() -> dict[str, Any]:
        store = Store()
        watching = Events(store, job_name_prefix=jobs.prefix)
        async with aclosing(watching.run()) as events:
            taking = asyncio.ensure_future(watching.take(events))
            await store.saved.wait()
            line = "open('/opt/ml/output/message', 'w').write('the word is swordfish')"
            await jobs.start("a", line, env={"WORD": "swordfish"})
            return await taking

    payload = asyncio.run(event())
    times = {payload.pop(name) is None for name in ("started_at", "ended_at", "duration_seconds", "instance_seconds")}
    completion, receipt = payload.pop("completion"), payload.pop(ACKNOWLEDGEMENT)
    assert times == {False}
    assert completion.startswith(f"{jobs.prefix}-a@")
    assert receipt.endswith(f"_{completion}")
    assert payload == {
        "job_name": f"{jobs.prefix}-a",
        "job_arn": f"arn:aws:sagemaker:us-east-1:123456789012:processing-job/{jobs.prefix}-a",
        "status": "Completed",
        "outputs": {},
        "exit_message": "the word is ***",
        "failure_reason": None,
    }


def test_tags_are_those_that_the_job_has(jobs: Jobs) -> None:
    async def meant_and_told() -> tuple[str, str]:
        store = Store()
        watching = Events(store, job_name_pattern=f"{jobs.prefix}-.", tags={"team": "ml", "stage": None})
        async with aclosing(watching.run()) as events:
            taking = asyncio.ensure_future(watching.take(events))
            await store.saved.wait()
            await jobs.start("a", tags=[{"Key": "team", "Value": "ops"}, {"Key": "stage", "Value": "x"}])
            name = await jobs.start("b", tags=[{"Key": "team", "Value": "ml"}, {"Key": "stage", "Value": ""}])
            return name, (await taking)["job_name"]

    meant, told = asyncio.run(meant_and_told())
    assert told == meant


REFUSED = "Can't read completed jobs for now; none is lost"


def test_refusals_are_waited_out(jobs: Jobs, sagemaker: LocalSageMaker, caplog: pytest.LogCaptureFixture) -> None:
    async def told() -> str:
        store = Store()
        watching = Events(store, job_name_prefix=jobs.prefix)
        async with aclosing(watching.run()) as events:
            taking = asyncio.ensure_future(watching.take(events))
            await store.saved.wait()
            sagemaker.set_faults("ListProcessingJobs:error=ThrottlingException")
            await jobs.start("a")
            is_refused = lambda: REFUSED in caplog.text  # noqa: E731
            await asyncio.to_thread(wait_until, is_refused, shows=lambda: caplog.text)
            sagemaker.set_faults()
            return str((await taking)["job_name"])

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(told()) == f"{jobs.prefix}-a"
