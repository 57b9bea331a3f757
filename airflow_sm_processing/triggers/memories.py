"""What an event trigger remembers beyond its triggerer's life."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow.triggers.base import BaseEventTrigger

    InThread = Callable[..., Awaitable[Any]]

__all__ = ["AssetMemory", "Memory", "VariableMemory", "memory_of"]

log = logging.getLogger(__name__)


class Memory(Protocol):
    """Keeps plain JSON by key, and knows which events Airflow has stored."""

    gives_receipts: bool
    """Whether a stored event leaves a receipt."""

    async def load(self, key: str) -> Any:
        """Give what was saved; None if nothing was."""

    async def save(self, key: str, value: Any) -> None:
        """Keep a value."""

    async def delete(self, key: str) -> None:
        """Keep it no longer."""


class AssetMemory:
    """The state store of the asset that the trigger watches (Airflow 3.3 and newer)."""

    gives_receipts = True

    def __init__(self, store: Any, in_thread: InThread) -> None:
        self._store = store
        self._in_thread = in_thread

    async def load(self, key: str) -> Any:
        """Give what was saved; None if nothing was."""
        return await self._ask("get", key)

    async def save(self, key: str, value: Any) -> None:
        """Keep a value."""
        await self._ask("set", key, value)

    async def delete(self, key: str) -> None:
        """Keep it no longer."""
        await self._ask("delete", key)

    async def _ask(self, method: str, *args: Any) -> Any:
        asynchronous = getattr(self._store, f"a{method}", None)  # since Airflow 3.3.2
        if asynchronous is None:
            return await self._in_thread(getattr(self._store, method), *args)
        return await asyncio.shield(asyncio.ensure_future(asynchronous(*args)))


class VariableMemory:
    """Airflow variables, for Airflow before 3.3 and for a trigger that several assets share."""

    gives_receipts = False

    def __init__(self, in_thread: InThread) -> None:
        self._in_thread = in_thread

    async def load(self, key: str) -> Any:
        """Give what was saved; None if nothing was."""
        from airflow.sdk import Variable

        return await self._in_thread(lambda: Variable.get(key, default=None, deserialize_json=True))

    async def save(self, key: str, value: Any) -> None:
        """Keep a value."""
        from airflow.sdk import Variable

        description = "What a CompletedJobsTrigger has told; without it, it begins anew."
        await self._in_thread(lambda: Variable.set(key, value, description=description, serialize_json=True))

    async def delete(self, key: str) -> None:
        """Keep it no longer."""
        from airflow.sdk import Variable

        await self._in_thread(Variable.delete, key)


def memory_of(trigger: BaseEventTrigger, in_thread: InThread) -> Memory:
    """Give an event trigger's memory, and say so where it is the lesser one.

    Args:
        trigger: As the triggerer has prepared it.
        in_thread: Runs a function that blocks.
    """
    store = getattr(trigger, "asset_state_store", None)
    lesser = "A completion is told twice if the triggerer is killed within seconds after it was told the first time"
    if store is None:
        log.info("%s: this Airflow has no state store for assets, so a variable has the memory.", lesser)
        return VariableMemory(in_thread)
    if not _is_of_one_asset(store):
        log.info("%s: several assets share this trigger, so a variable has the memory.", lesser)
        return VariableMemory(in_thread)
    return AssetMemory(store, in_thread)


def _is_of_one_asset(store: Any) -> bool:
    """Tell whether there is one store, and not one for each of several assets."""
    try:
        store._single_accessor()  # noqa: SLF001  # Airflow says it in no other way than by what fails later
    except ValueError:
        return False
    return True
