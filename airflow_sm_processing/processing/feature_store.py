"""Outputs that are records of a feature group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_sm_processing.processing.values import WireObject, value_object

if TYPE_CHECKING:
    from airflow_sm_processing.processing.values import Late

__all__ = ["FeatureStoreOutput"]


@value_object
class FeatureStoreOutput(WireObject):
    """A feature group that takes an output's records (SageMaker: ProcessingFeatureStoreOutput)."""

    feature_group_name: str | Late | None = None
