"""A receipt is in Airflow's database if, and only if, its event is."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.assets import listener as module
from airflow_sm_processing.assets.listener import ACKNOWLEDGEMENT

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def listener(airflow_database: None) -> Iterator[None]:
    """The listener as a triggerer has it."""
    from airflow.listeners.listener import get_listener_manager

    manager = get_listener_manager()
    manager.add_listener(module)
    yield
    manager.pm.unregister(module)


@pytest.fixture
def asset(airflow_database: None) -> str:
    """The name of an asset that Airflow knows."""
    from airflow.models.asset import AssetModel
    from airflow.utils.session import create_session

    name = f"asset-{uuid.uuid4().hex}"
    with create_session() as session:
        session.add(AssetModel(name=name, uri=name))
    return name


def emit(asset: str, extra: dict[str, Any], *, kept: bool) -> None:
    """Do what Airflow does with a trigger's event, in one transaction."""
    from airflow.assets.manager import AssetManager
    from airflow.models.asset import AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        model = session.scalars(select(AssetModel).where(AssetModel.name == asset)).one()
        AssetManager.register_asset_change(asset=model, extra=extra, session=session)
        if not kept:
            session.rollback()


def stored(asset: str) -> tuple[int, list[tuple[str, str]]]:
    """Count the asset's events, and return its store."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.models.asset_state_store import AssetStateStoreModel
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    with create_session() as session:
        number = session.scalar(select(AssetModel.id).where(AssetModel.name == asset))
        count = session.scalar(select(func.count()).select_from(AssetEvent).where(AssetEvent.asset_id == number))
        rows = session.scalars(select(AssetStateStoreModel).where(AssetStateStoreModel.asset_id == number))
        return count, [(row.key, row.value) for row in rows]


@pytest.mark.usefixtures("listener")
@pytest.mark.parametrize(("kept", "found"), [(True, (1, [("a-receipt", "true")])), (False, (0, []))])
def test_both_are_stored_or_neither(asset: str, kept: bool, found: tuple[int, list[tuple[str, str]]]) -> None:
    emit(asset, {"from_trigger": True, "payload": {ACKNOWLEDGEMENT: "a-receipt"}}, kept=kept)
    assert stored(asset) == found


@pytest.mark.usefixtures("listener")
@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"from_trigger": True, "payload": "text"},
        {"from_trigger": True, "payload": {"job_name": "a"}},
        {"payload": {ACKNOWLEDGEMENT: "a-receipt"}},
    ],
)
def test_events_of_others_leave_none(asset: str, extra: dict[str, Any]) -> None:
    emit(asset, extra, kept=True)
    assert stored(asset) == (1, [])


@pytest.mark.usefixtures("listener")
def test_an_event_is_stored_also_where_its_receipt_can_not_be(
    asset: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW__STATE_STORE__BACKEND", "airflow.no_such_module.Backend")
    monkeypatch.setattr("airflow.state._backend_instance", None)
    emit(asset, {"from_trigger": True, "payload": {ACKNOWLEDGEMENT: "a-receipt"}}, kept=True)
    assert stored(asset) == (1, [])
    assert f"No receipt was written for an event of asset {asset}" in caplog.text
