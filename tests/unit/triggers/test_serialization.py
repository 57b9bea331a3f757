"""What goes through Airflow's database arrives as it was sent."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest
from airflow.sdk.serde import deserialize, serialize

from airflow_sm_processing.hooks.connection import AwsConnection
from airflow_sm_processing.triggers.events import Deadline, JobEvent
from airflow_sm_processing.triggers.processing import ProcessingJobTrigger
from airflow_sm_processing.watcher.watches import JobOutcome

CONNECTION = AwsConnection(
    aws_conn_id="aws_other",
    region_name="eu-west-1",
    verify="/etc/ssl/company.pem",
    botocore_config={"retries": {"mode": "adaptive", "total_max_attempts": 7}, "connect_timeout": 5},
    default_bucket="a-bucket",
    default_bucket_prefix="a/prefix",
)


def through_airflow(value: Any) -> Any:
    """Send a value the way that a deferral's arguments go: Airflow's serde, and JSON in the database."""
    return deserialize(json.loads(json.dumps(serialize(value))))


@pytest.mark.parametrize(
    "arguments",
    [
        {"job_name": "a-job"},
        {
            "job_name": "a-job",
            "connection": CONNECTION.serialize(),
            "poll_interval": 12.5,
            "deadline": [1_800_000_000.25, "execution_timeout"],
            "max_transient_seconds": 90.0,
            "logs": True,
            "since": 1_799_999_000.5,
            "hosts": 2,
            "stop_on_kill": False,
            "end_task": True,
            "mask_env": ["PASSWORD"],
        },
        {"job_name": "a-job", "connection": AwsConnection(aws_conn_id=None, verify=False).serialize()},
    ],
    ids=["defaults", "everything", "no connection, no verification"],
)
def test_a_trigger_is_made_again_as_it_was(arguments):
    trigger = ProcessingJobTrigger(**arguments)
    path, sent = trigger.serialize()
    module, _, name = path.rpartition(".")
    again = getattr(import_module(module), name)(**through_airflow(sent))
    assert type(again) is ProcessingJobTrigger
    assert again.serialize() == trigger.serialize()
    assert sent | arguments == sent
    assert (again.connection, again.deadline) == (trigger.connection, trigger.deadline)


def test_every_argument_of_a_trigger_is_serialised():
    import inspect

    sent = ProcessingJobTrigger("a-job").serialize()[1]
    assert sent.keys() == inspect.signature(ProcessingJobTrigger.__init__).parameters.keys() - {"self"}


@pytest.mark.parametrize("deadline", [None, Deadline(1_800_000_000.25, "max_wait")])
@pytest.mark.parametrize("outcome", JobOutcome)
def test_an_event_is_read_as_it_was_sent(outcome, deadline):
    event = JobEvent(
        job_name="a-job",
        outcome=outcome,
        deadline=deadline,
        message="said",
        log_position={"a/algo-1": {"from": 1, "to": 2}},
        position_kept=True,
    )
    assert JobEvent.from_payload(through_airflow(event.to_payload())) == event
