"""What a watcher's trigger is told, and how it is told from others."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import Asset, AssetWatcher
from airflow.serialization.encoders import encode_trigger
from airflow.triggers.base import BaseEventTrigger

from airflow_sm_processing import CompletedJobsTrigger, DefinitionError
from airflow_sm_processing.hooks.connection import AwsConnection
from airflow_sm_processing.triggers.completions import AssetStore, VariableStore, store_of
from airflow_sm_processing.watcher.completions import JobFilter

EVERYTHING: dict[str, Any] = {
    "job_name_prefix": "features-",
    "job_name_pattern": "features-[0-9]+",
    "tags": {"stage": None, "team": "ml"},
    "aws_conn_id": "aws_other",
    "region_name": "eu-west-1",
    "verify": False,
    "botocore_config": {"connect_timeout": 5},
    "poll_interval": 12.5,
}


def hashed(trigger: CompletedJobsTrigger) -> int:
    encoded = encode_trigger(trigger)
    return BaseEventTrigger.hash(encoded["classpath"], encoded["kwargs"])


@pytest.mark.parametrize("arguments", [{"job_name_prefix": "a"}, {"tags": {"a": "b"}}, EVERYTHING])
def test_a_trigger_is_made_again_as_it_was(arguments: dict[str, Any]) -> None:
    trigger = CompletedJobsTrigger(**arguments)
    path, sent = trigger.serialize()
    again = CompletedJobsTrigger(**json.loads(json.dumps(sent)))
    assert path == "airflow_sm_processing.triggers.completions.CompletedJobsTrigger"
    assert (again.serialize(), hashed(again)) == (trigger.serialize(), hashed(trigger))


def test_what_airflow_stores_of_a_trigger_is_plain_all_through() -> None:
    # Airflow 3.2 does not decode what it has encoded: where it encodes nothing, there is nothing to decode.
    config = {"retries": {"max_attempts": 3}, "inject_host_prefix": False}
    trigger = CompletedJobsTrigger(tags={"team": "ml", "stage": None}, botocore_config=config)
    encoded = encode_trigger(trigger)["kwargs"]
    assert encoded == trigger.serialize()[1]
    again = CompletedJobsTrigger(**encoded)
    assert (again.tags, again.botocore_config) == ({"stage": None, "team": "ml"}, config)


def test_every_argument_has_its_use() -> None:
    trigger = CompletedJobsTrigger(**EVERYTHING)
    texts = {"tags": '{"stage": null, "team": "ml"}', "botocore_config": '{"connect_timeout": 5}'}
    assert trigger.serialize()[1] == {**EVERYTHING, **texts}
    assert trigger.job_filter == JobFilter(
        job_name_prefix="features-", job_name_pattern="features-[0-9]+", tags={"stage": None, "team": "ml"}
    )
    assert trigger.connection == AwsConnection(
        aws_conn_id="aws_other", region_name="eu-west-1", verify=False, botocore_config={"connect_timeout": 5}
    )


def test_airflow_takes_triggers_for_the_same_whatever_the_order_of_their_tags() -> None:
    one, other = CompletedJobsTrigger(tags={"a": "1", "b": "2"}), CompletedJobsTrigger(tags={"b": "2", "a": "1"})
    assert hashed(one) == hashed(other)
    assert hashed(one) != hashed(CompletedJobsTrigger(tags={"a": "1", "b": "3"}))


def test_a_trigger_keeps_its_memory_when_its_pace_changes_and_not_when_its_jobs_do() -> None:
    key = CompletedJobsTrigger(job_name_prefix="a").store_key
    assert CompletedJobsTrigger(job_name_prefix="a", poll_interval=5, verify=False).store_key == key
    others = [{"job_name_pattern": "a"}, {"job_name_prefix": "b"}, {"job_name_prefix": "a", "region_name": "x"}]
    assert len({CompletedJobsTrigger(**other).store_key for other in others} | {key}) == 4


def test_what_can_not_be_right_is_said_at_once() -> None:
    with pytest.raises(DefinitionError) as caught:
        CompletedJobsTrigger(job_name_pattern="", poll_interval=0)
    assert [problem.rule for problem in caught.value.problems] == [
        "one of job_name_prefix, job_name_pattern and tags is required",
        "must be more than 0 seconds",
    ]
    with pytest.raises(DefinitionError, match=r"job_name_pattern='\(': isn't a regular expression: missing \)"):
        CompletedJobsTrigger(job_name_pattern="(")


@pytest.mark.parametrize("given", ["team=ml", "[1]", "3", 3])
@pytest.mark.parametrize("name", ["tags", "botocore_config"])
def test_what_is_no_mapping_is_refused(name: str, given: Any) -> None:
    with pytest.raises(DefinitionError, match=f"{name}=<class '.*'>: must be a mapping, or the JSON text of one"):
        CompletedJobsTrigger(job_name_prefix="a", **{name: given})


@pytest.mark.parametrize(
    ("job_filter", "name", "tags", "fits"),
    [
        (JobFilter(job_name_prefix="a-"), "a-1", {}, True),
        (JobFilter(job_name_prefix="a-"), "A-1", {}, False),
        (JobFilter(job_name_prefix="a-"), "b-a-1", {}, False),
        (JobFilter(job_name_pattern="a-[0-9]"), "a-1", {}, True),
        (JobFilter(job_name_pattern="a-[0-9]"), "a-12", {}, False),
        (JobFilter(tags={"team": "ml"}), "any", {"team": "ml", "more": ""}, True),
        (JobFilter(tags={"team": "ml"}), "any", {"team": "ops"}, False),
        (JobFilter(tags={"team": None}), "any", {"team": ""}, True),
        (JobFilter(tags={"team": None}), "any", {}, False),
    ],
)
def test_which_jobs_are_meant(job_filter: JobFilter, name: str, tags: dict[str, str], fits: bool) -> None:
    assert (job_filter.fits_name(name) and job_filter.fits_tags(tags)) is fits


def test_an_asset_takes_it_as_its_watcher() -> None:
    trigger = CompletedJobsTrigger(job_name_prefix="a")
    assert Asset("a", watchers=[AssetWatcher(name="w", trigger=trigger)]).watchers[0].trigger is trigger


def test_the_memory_is_the_assets_store_where_there_is_one_asset_with_one() -> None:
    from airflow.sdk.execution_time.context import AssetStateStoreAccessors

    async def in_thread(*_: Any) -> None: ...

    trigger = CompletedJobsTrigger(job_name_prefix="a")
    assert type(store_of(trigger, in_thread)) is VariableStore  # as before Airflow 3.3
    trigger.asset_state_store = AssetStateStoreAccessors(inlets=[Asset("a")])
    assert type(store_of(trigger, in_thread)) is AssetStore
    trigger.asset_state_store = AssetStateStoreAccessors(inlets=[Asset("a"), Asset("b")])
    assert type(store_of(trigger, in_thread)) is VariableStore
