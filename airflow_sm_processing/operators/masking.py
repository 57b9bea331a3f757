"""Keeps out of sight what a task gives its job in `env`, and presigned URLs anywhere in its parameters."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import Problem
from airflow_sm_processing.operators.templating import hide_unresolved, is_resolved
from airflow_sm_processing.processing.secrets import JobSecrets, secret_forms, strings_in
from airflow_sm_processing.processing.values import BOOLEANS
from airflow_sm_processing.redaction import signed_queries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_sm_processing.processing.secrets import Mask

__all__ = ["MASK_PARAMETER", "job_secrets", "mask_in_airflow", "mask_problems", "trigger_mask"]

MASK_PARAMETER = "mask_env"


def job_secrets(env: Any, mask_env: Any) -> JobSecrets:
    """Return what must not be shown of a job whose parameters are rendered."""
    return JobSecrets(_environment(env), mask=_mask(mask_env))


def trigger_mask(mask_env: Any, secrets: JobSecrets) -> bool | list[str]:
    """Return which variables a trigger has to hide, not what they hold; False if there is nothing to hide."""
    mask = _mask(mask_env) if secrets.forms else False
    return mask if isinstance(mask, bool) else list(mask)


def mask_in_airflow(env: Any, mask_env: Any, fields: Iterable[Any]) -> None:
    """Register with Airflow's masker the secret values of `env`, and the presigned queries in any of the fields."""
    found = {
        *secret_forms(_environment(env), _mask(mask_env)),
        *(query for text in strings_in(fields) for query in signed_queries(text)),
    }
    if found:
        from airflow.sdk.log import mask_secret

        mask_secret([*sorted(found)])


def mask_problems(mask_env: Any, env: Any) -> Iterator[Problem]:
    """Yield what is wrong with `mask_env`; a name that isn't in `env` would leave the one that was meant unmasked."""
    mask_env, env = hide_unresolved(mask_env), hide_unresolved(env)
    if not is_resolved(mask_env):
        return
    try:
        mask = read_mask(mask_env)
    except ValueError as error:
        yield Problem(MASK_PARAMETER, mask_env, str(error))
        return
    environment = _environment(env)
    if isinstance(environment, Mapping) and environment and not isinstance(mask, bool):
        for name in mask:
            if name not in environment:
                rule = f"is no variable of env, which has {', '.join(map(str, environment))}"
                yield Problem(MASK_PARAMETER, name, rule)


def read_mask(value: Any) -> Mask:
    """Return which variables are secret, from what a template may have written as a string.

    Raises:
        ValueError: It can't be read.
    """
    if value is None or value == "":
        return True
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return BOOLEANS[value.lower()] if value.lower() in BOOLEANS else _names(_from_json(value, otherwise=[value]))
    return _names(value)


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, Collection) or not all(isinstance(name, str) for name in value):
        raise ValueError("must be true, false or a list of names of variables in env")
    return tuple(value)


def _mask(value: Any) -> Mask:
    try:
        return read_mask(value)
    except ValueError:
        return True  # it is reported as a problem of the definition, whose values aren't shown meanwhile


def _environment(env: Any) -> Any:
    return _from_json(env, otherwise=env) if isinstance(env, str) else env


def _from_json(text: str, *, otherwise: Any) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return otherwise
