"""Acknowledge asset events: record that Airflow has stored an event of a trigger.

A triggerer that dies between sending an event and its being stored leaves no trace of how far it came. So a listener
writes an acknowledgement into the asset's state store, in the database transaction that stores the event: there are
both, or neither, whenever the triggerer is killed. Airflow 3.3 is the first with such a store.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl

if TYPE_CHECKING:
    from airflow.listeners.types import AssetEvent


__all__ = ["ACKNOWLEDGEMENT", "on_asset_event_emitted"]


log = logging.getLogger(__name__)

ACKNOWLEDGEMENT = "sm_processing_receipt"
"""Of an event's payload: the key, in the asset's state store, under which the receipt is to be."""


@hookimpl
def on_asset_event_emitted(asset_event: AssetEvent) -> None:
    """Write the receipt that an event asks for (Airflow's listener; in the triggerer's supervisor)."""
    payload = (asset_event.extra or {}).get("payload")
    key = payload.get(ACKNOWLEDGEMENT) if isinstance(payload, dict) else None
    if not isinstance(key, str) or not asset_event.extra.get("from_trigger"):
        return
    try:
        _write(asset_event.asset.name, asset_event.asset.uri, key)
    except Exception as error:  # noqa: BLE001  # of many kinds; without a receipt, an event may come a second time
        log.warning("No receipt was written for an event of asset %s: %r", asset_event.asset.name, error)


def _write(name: str, uri: str, key: str) -> None:
    """Write within the transaction that is open: Airflow's own session of this thread, in which it adds the event."""
    from airflow import settings
    from airflow.models.asset import AssetModel
    from airflow.state import AssetScope, get_state_backend
    from sqlalchemy import select

    session: Any = settings.Session and settings.Session()
    with session.begin_nested():  # a failure here must not undo the event
        asset_id = session.scalar(select(AssetModel.id).where(AssetModel.name == name, AssetModel.uri == uri))
        get_state_backend().set(AssetScope(asset_id=asset_id), key, json.dumps(True), session=session)  # noqa: FBT003  # any JSON
