"""From an operator's parameters to a job definition.

Parameters are kept as plain dicts and lists, which Airflow templates, resolves, serialises and shows by itself. They
become definition objects twice: when the DAG is parsed, as far as they are known, and when the task runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_sm_processing.operators.assets import with_uris
from airflow_sm_processing.operators.input_lists import one_for_each_source
from airflow_sm_processing.processing import parsing
from airflow_sm_processing.processing.parsing import DEFINITION_PARAMETERS
from airflow_sm_processing.processing.values import LATE, to_plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_sm_processing.processing.definition import JobDefinition

__all__ = ["DEFINITION_PARAMETERS", "DefinitionReader"]


class DefinitionReader(parsing.DefinitionReader):
    """Reads a definition from a task's parameters, in which assets stand for their URIs."""

    def read(self, parameters: Mapping[str, Any]) -> JobDefinition:
        """Return the definition; a parameter that can't be read is left out and noted in `problems`."""
        inputs = with_uris(to_plain(parameters.get("inputs")))
        return super().read({**parameters, "inputs": self._one_for_each_source(inputs)})

    def _one_for_each_source(self, inputs: Any) -> Any:
        if inputs is None or inputs is LATE:
            return inputs
        items = enumerate(self.structure("inputs", inputs, "list"))
        return [
            fields for index, item in items for fields in one_for_each_source(f"inputs[{index}]", item, self.problems)
        ]
