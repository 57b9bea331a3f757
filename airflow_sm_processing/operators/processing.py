"""Runs a container image as a processing job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_processing.operators.base import BaseProcessingOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_sm_processing.processing.values import Late

__all__ = ["ProcessingOperator"]


class ProcessingOperator(BaseProcessingOperator):
    """Runs a container image as a SageMaker processing job: the SDK's `Processor` as a task."""

    template_fields: Sequence[str] = ("entrypoint", *BaseProcessingOperator.template_fields)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **BaseProcessingOperator.template_fields_renderers,
        "entrypoint": "json",
    }

    def __init__(self, *, entrypoint: Sequence[str] | Late | None = None, **kwargs: Any) -> None:
        """Take what every processing operator takes.

        Args:
            entrypoint: The command that the container runs instead of the image's own.
            kwargs: Those of `BaseProcessingOperator`.
        """
        super().__init__(**kwargs)
        self.entrypoint = entrypoint
        self._check_early()
