"""Fires whenever a processing job has completed: the trigger of an asset's watcher."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_sm_processing.exceptions import DefinitionError, Problem
from airflow_sm_processing.hooks.connection import AwsConnection
from airflow_sm_processing.processing.values import ValueReader
from airflow_sm_processing.watcher.completions import JobFilter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["CompletedJobsTrigger"]

_POLL_INTERVAL = 30.0


class CompletedJobsTrigger(BaseEventTrigger):
    """Fires once for each processing job that completes, whoever started it; for an `AssetWatcher`.

    An event's payload is what our operators return: `job_name`, `job_arn`, `status`, `outputs` and so on. It begins
    with what completes after the DAG was first loaded, and goes on where it was after the triggerer was away.
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
        poll_interval: float = _POLL_INTERVAL,
    ) -> None:
        """Accept which jobs are meant, all conditions together, and how to ask for them; nothing is templated.

        A mapping may be given as its JSON text, too.

        Args:
            job_name_prefix: What the name begins with.
            job_name_pattern: A regular expression that matches the whole name.
            tags: The tags that the job has, and may have beside others; None stands for any value. They are asked for
                once, when the job has completed.
            aws_conn_id: Airflow connection; None uses boto3's own configuration chain.
            region_name: AWS region; the connection's if None.
            verify: Whether TLS certificates are checked, or the path of a CA bundle.
            botocore_config: Keyword arguments of `botocore.config.Config`.
            poll_interval: Seconds between two looks.

        Raises:
            DefinitionError: No job is told from others, or a value can't be right.
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

        They are the same for equal triggers, by which Airflow tells triggers apart, and have no mapping in them:
        Airflow 3.2 hands one over as something else.
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
        """Which AWS is asked."""
        return AwsConnection(
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            botocore_config=self.botocore_config,
        )

    @property
    def job_filter(self) -> JobFilter:
        """Which jobs are meant."""
        return JobFilter(job_name_prefix=self.job_name_prefix, job_name_pattern=self.job_name_pattern, tags=self.tags)

    @property
    def store_key(self) -> str:
        """Under which key the trigger's memory is: the same whatever the pace, and however AWS is reached."""
        jobs = (self.job_name_prefix, self.job_name_pattern, self.tags, self.aws_conn_id, self.region_name)
        return f"sm_processing_completions_{hashlib.sha256(json.dumps(jobs).encode()).hexdigest()[:16]}"

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each completion, for ever."""
        from airflow_sm_processing.triggers.completion_delivery import CompletionEmitter, store_of
        from airflow_sm_processing.triggers.shared_watcher import shared_watcher

        async with shared_watcher(self.connection) as shared:
            store = store_of(self, shared.in_thread)
            emitter = CompletionEmitter(
                shared.calls, self.job_filter, store, key=self.store_key, poll_interval=self.poll_interval
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
    )  # a proxy's password may be in it
    raise DefinitionError([problem], subject=CompletedJobsTrigger.__name__)


def _text(mapping: Mapping[str, Any] | None) -> str | None:
    return json.dumps(mapping) if mapping else None


def _problems(trigger: CompletedJobsTrigger) -> list[Problem]:
    problems = []
    if not (trigger.job_name_prefix or trigger.job_name_pattern or trigger.tags):
        rule = "one of job_name_prefix, job_name_pattern and tags must be given"
        problems.append(Problem("job_name_prefix", trigger.job_name_prefix, rule))
    try:
        re.compile(trigger.job_name_pattern or "")
    except re.error as error:
        problems.append(Problem("job_name_pattern", trigger.job_name_pattern, f"is no regular expression: {error}"))
    if not trigger.poll_interval > 0:
        problems.append(Problem("poll_interval", trigger.poll_interval, "must be more than 0 seconds"))
    return problems
