"""Asks for a job's environment, so that a triggerer can hide its values in the job's lines.

A trigger isn't told them: its arguments stand in Airflow's database and UI.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import ProcessingError, TransientError
from airflow_sm_processing.processing.aws_errors import is_throttle
from airflow_sm_processing.watcher.permits import Priority

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_sm_processing.processing.secrets import JobSecrets
    from airflow_sm_processing.watcher.calls import AwsCalls

__all__ = ["JobEnvironment"]

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0


class JobEnvironment:
    """One job's environment, which is asked for until it is known, can't be known, or isn't needed any more."""

    def __init__(self, calls: AwsCalls, job_name: str, secrets: JobSecrets, *, turn: asyncio.Lock, logger: Any) -> None:
        """Begin to ask, in the trigger's own context.

        Args:
            calls: Of the job's connection.
            job_name: The job's name.
            secrets: Learns the answer.
            turn: Shared by all who ask, one after the other: thousands that begin together don't hold up logs.
            logger: The task's log.
        """
        self._calls = calls
        self._turn = turn
        self._job_name = job_name
        self._secrets = secrets
        self._logger = logger
        self._known: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asking = asyncio.ensure_future(self._ask())

    async def is_known(self) -> bool:
        """Wait until that is clear."""
        return await asyncio.shield(self._known)

    def tell(self, environment: Mapping[str, str]) -> None:
        """Take what has been learnt elsewhere."""
        self._asking.cancel()
        self._take(environment)

    def give_up(self) -> None:
        """Ask no longer."""
        self._asking.cancel()
        self._settle(is_known=False)

    async def close(self) -> None:
        """Leave no task behind."""
        self.give_up()
        await asyncio.gather(self._asking, return_exceptions=True)

    def _take(self, environment: Mapping[str, str]) -> None:
        self._secrets.learn(environment)
        self._settle(is_known=True)

    def _settle(self, *, is_known: bool) -> None:
        if not self._known.done():
            self._known.set_result(is_known)

    async def _ask(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                self._take(await self._answer())
            except TransientError as error:
                if not is_throttle(error.code):  # the permits' pace answers those
                    await asyncio.sleep(random.uniform(0, pause))  # noqa: S311  # full jitter, no secret
                    pause = min(2 * pause, _LONGEST_PAUSE)
            except ProcessingError as error:
                self._logger.warning(
                    "The job's lines come at its end, from a worker: what to hide in them can't be known here. %s",
                    error,
                )
                self._settle(is_known=False)
                return
            else:
                return

    async def _answer(self) -> Mapping[str, str]:
        request = {"ProcessingJobName": self._job_name}
        async with self._turn:
            answer = await self._calls.sagemaker(
                "describe_processing_job", self._job_name, request, priority=Priority.LOGS
            )
        return answer.get("Environment") or {}
