"""Acknowledge asset events: record that Airflow has stored an event of a trigger.

If a triggerer dies after sending an event, nothing shows whether the event was stored. So a listener writes an
acknowledgement into the asset's state store, in the same database transaction that stores the event: either both
exist or neither does, whenever the triggerer is killed. Airflow 3.3 is the first version with such a store.
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
"""A key of an event's payload; its value is the key in the asset's state store to write the receipt to."""


@hookimpl
def on_asset_event_emitted(asset_event: AssetEvent) -> None:
    """Write the receipt that an event asks for. Airflow calls this listener in the triggerer's supervisor."""
    payload = (asset_event.extra or {}).get("payload")
    key = payload.get(ACKNOWLEDGEMENT) if isinstance(payload, dict) else None
    if not isinstance(key, str) or not asset_event.extra.get("from_trigger"):
        return
    try:
        _write(asset_event.asset.name, asset_event.asset.uri, key)
    except Exception as error:  # noqa: BLE001  # of many kinds; without a receipt, an event may be repeated
        log.warning("No receipt was written for an event of asset %s: %r", asset_event.asset.name, error)


def _write(name: str, uri: str, key: str) -> None:
    """Write in the open transaction, that of the thread's Airflow session, in which the event is added too."""
    from airflow import settings
    from airflow.models.asset import AssetModel
    from airflow.state import AssetScope, get_state_backend
    from sqlalchemy import select

    session: Any = settings.Session and settings.Session()
    with session.begin_nested():  # a failure here must not undo the event
        asset_id = session.scalar(select(AssetModel.id).where(AssetModel.name == name, AssetModel.uri == uri))
        get_state_backend().set(AssetScope(asset_id=asset_id), key, json.dumps(True), session=session)  # noqa: FBT003  # any JSON
