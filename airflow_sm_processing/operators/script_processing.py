"""Runs a script as a processing job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_processing.operators.base import BaseProcessingOperator
from airflow_sm_processing.operators.folder_references import with_folder_references
from airflow_sm_processing.processing.values import to_plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePath

    from airflow_sm_processing.processing.values import Late

__all__ = ["ScriptProcessingOperator"]


class ScriptProcessingOperator(BaseProcessingOperator):
    """Runs a script in a container image as a SageMaker processing job: the SDK's `ScriptProcessor` as a task."""

    template_fields: Sequence[str] = ("code", "script_name", "command", *BaseProcessingOperator.template_fields)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **BaseProcessingOperator.template_fields_renderers,
        "command": "json",
    }

    def __init__(
        self,
        *,
        code: str | PurePath | Late = "",
        command: Sequence[str] | Late = ("python3",),
        script_name: str | Late | None = None,
        **kwargs: Any,
    ) -> None:
        """Take what every processing operator takes, and the script.

        Args:
            code: The script, or a folder with `script_name` in it: a path relative to the DAG file's folder, an
                absolute one, `file://` or `s3://`. What is local is uploaded.
            command: Runs the script.
            script_name: The script's path in the folder, if `code` is one.
            kwargs: Those of `BaseProcessingOperator`.
        """
        super().__init__(**kwargs)
        self.code = with_folder_references(to_plain(code), "code")
        self.command = command
        self.script_name = script_name
        self._check_early()
