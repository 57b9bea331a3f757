"""When two wires count as equal."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.processing.definition import DefinitionReader, request_parameters
from airflow_sm_processing.processing.request import default_keys, plan_submission

if TYPE_CHECKING:
    from .case import Case
    from .wire import Wire

NAME_LENGTH = 63
CLOCK_TOLERANCE = timedelta(hours=1)  # both sides run within seconds, but a zone is off by more


def assert_equal(case: Case, sdk: Wire, ours: Wire) -> None:
    """Fail with the difference if a user of AWS could tell the two sides apart."""
    if case.refused:
        _assert_both_refused(case, sdk, ours)
    else:
        assert (sdk.refusal, sdk.message) == ([], ""), "the SDK refused the case"
        assert (ours.refusal, ours.message) == ([], ""), "we refused the case"
        assert ours.effects == with_slashes(sdk.effects, sdk)
        _assert_names_alike(sdk, ours)
        assert [made_again(request) for request in ours.account.jobs] == ours.account.jobs


def made_again(request: dict[str, Any]) -> dict[str, Any]:
    """Return the request that the definition makes which is read from a request."""
    reader = DefinitionReader()
    definition = reader.read(request_parameters(request))
    plan = plan_submission(definition, role_arn=str(definition.role), key=default_keys("bucket", None))
    assert (reader.problems, plan.uploads) == ([], ())
    return plan.request


def with_slashes(effects: Any, wire: Wire) -> Any:
    """Put a slash at the end of each input that is a folder in S3: the SDK's would bring what begins alike along."""
    if isinstance(effects, list):
        return [with_slashes(item, wire) for item in effects]
    if isinstance(effects, dict):
        return {key: with_slashes(item, wire) for key, item in effects.items()}
    return f"{effects}/" if wire.is_folder(effects) else effects


def _assert_both_refused(case: Case, sdk: Wire, ours: Wire) -> None:
    assert case.refused
    assert case.refused.sdk in sdk.refusal, sdk.message
    assert case.refused.ours in ours.refusal, ours.message
    assert (ours.account.jobs, ours.account.created) == (sdk.account.jobs, sdk.account.created) == ([], [])


def _assert_names_alike(sdk: Wire, ours: Wire) -> None:
    """Both sides tell the same time, in UTC, and keep to SageMaker's length."""
    assert all(len(name) <= NAME_LENGTH for name in sdk.job_names + ours.job_names)
    for theirs, our_time in zip(sdk.name_times, ours.name_times, strict=True):
        assert abs(theirs - our_time) < CLOCK_TOLERANCE
