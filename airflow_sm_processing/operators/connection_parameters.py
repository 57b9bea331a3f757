"""Reads which AWS a task talks to from parameters that a template may have written as strings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import DefinitionError, Problem
from airflow_sm_processing.operators.truths import TRUTHS
from airflow_sm_processing.processing.secrets import hidden
from airflow_sm_processing.processing.values import ValueReader, rule_of_structure

if TYPE_CHECKING:
    from airflow_sm_processing.hooks.connection import AwsConnection

__all__ = ["read_connection"]


def read_connection(*, subject: str, verify: Any, botocore_config: Any, **others: Any) -> AwsConnection:
    """Give the connection that a task's parameters describe.

    Raises:
        DefinitionError: One of them can't be right.
    """
    from airflow_sm_processing.hooks.connection import AwsConnection

    reader = ValueReader()
    texts = {name: reader.optional_text(name, value) for name, value in others.items()}
    if reader.problems:
        raise DefinitionError(reader.problems, subject=subject)
    return AwsConnection(verify=_truth_or_path(verify), botocore_config=_settings(botocore_config, subject), **texts)


def _truth_or_path(verify: Any) -> Any:
    return TRUTHS.get(verify.lower(), verify) if isinstance(verify, str) else verify


def _settings(value: Any, subject: str) -> dict[str, Any] | None:
    settings = _from_json(value) if isinstance(value, str) else value
    if settings is not None and not isinstance(settings, dict):
        rule = rule_of_structure(value, "dict")
        raise DefinitionError([Problem("botocore_config", hidden(value), rule)], subject=subject)
    return settings


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
