"""References to outputs of other tasks: one that there won't be is an error when the DAG file is parsed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import task as tasks

from airflow_sm_processing import DefinitionError, ProcessingInput, ProcessingOutput, ScriptProcessingOperator

if TYPE_CHECKING:
    from collections.abc import Callable

CLEAN = ProcessingOutput(source="/opt/ml/processing/clean", output_name="clean")
UNNAMED = "/opt/ml/processing/unnamed"


@pytest.fixture
def make(dag, valid) -> Callable[..., Any]:
    def make(task_id: str = "clean", cls: type[Any] = ScriptProcessingOperator, **parameters: Any) -> Any:
        return cls(task_id=task_id, dag=dag, **{**valid, **parameters})

    return make


@pytest.mark.parametrize(
    ("outputs", "key", "has"),
    [
        ([CLEAN], "claen", "it has 'clean'"),
        ([CLEAN, UNNAMED], "unnamed", "it has 'clean', 'output-2'"),
        ([{"source": "/opt/ml/processing/a", "output_name": "a"}], "b", "it has 'a'"),
        ([{"OutputName": "a", "S3Output": {"LocalPath": "/opt/ml/processing/a"}}], "b", "it has 'a'"),
        (None, "clean", "it has no outputs"),
    ],
)
def test_an_output_that_the_task_has_not_got_is_an_error_where_it_is_named(make, outputs, key, has):
    clean = make(outputs=outputs)
    with pytest.raises(DefinitionError) as raised:
        clean.output[key]
    assert str(raised.value).endswith(f"task clean has no output {key!r}; {has}")
    assert len(str(raised.value).splitlines()) <= 3


@pytest.mark.parametrize("key", ["clean", "output-2", "metrics", "job_name", "return_value"])
def test_each_xcom_of_a_task_can_be_named(make, key):
    clean = make(outputs=[CLEAN, UNNAMED], result_files={"metrics": "clean/metrics.json"})
    assert clean.output[key].key == key


class OwnOperator(ScriptProcessingOperator):
    """A user's own, whose XComs nobody knows."""


@pytest.mark.parametrize(
    "parameters",
    [
        {"outputs": "{{ params.outputs }}"},
        {"outputs": [{"source": "/opt/ml/processing/a", "output_name": "{{ params.name }}"}]},
        {"result_files": "{{ params.files }}"},
        {"post_execute": print},
        {"on_success_callback": print},
        {"cls": OwnOperator},
    ],
)
def test_what_only_a_run_knows_is_no_error(make, parameters):
    clean = make(**{"outputs": [CLEAN], **parameters})
    assert clean.output["claen"].key == "claen"


def test_a_mapped_tasks_outputs_are_checked_where_a_job_reads_them(dag, valid, make):
    mapped = ScriptProcessingOperator.partial(task_id="mapped", dag=dag, **valid, outputs=[CLEAN]).expand(
        arguments=[["a"], ["b"]]
    )
    make("reads", inputs=[ProcessingInput(mapped.output["clean"], "/opt/ml/processing/in")])
    with pytest.raises(DefinitionError, match="task mapped has no output 'claen'; it has 'clean'"):
        make("wrong", inputs=[ProcessingInput(mapped.output["claen"], "/opt/ml/processing/in")])
    over = ScriptProcessingOperator.partial(task_id="over", dag=dag, **valid).expand(outputs=[[CLEAN], [UNNAMED]])
    make("knows", inputs=[ProcessingInput(over.output["claen"], "/opt/ml/processing/in")])


def test_a_functions_outputs_are_checked_where_a_job_reads_them(dag, valid, make):
    parameters = {name: value for name, value in valid.items() if name != "code"}

    @tasks.sm_processing(**parameters, outputs=[CLEAN])
    def one(x):
        return x

    @tasks.sm_processing(**parameters, outputs=[CLEAN], multiple_outputs=True)
    def many(x):
        return {"claen": x}

    with dag:
        result, results = one(1), many(1)
    make("reads", inputs=[ProcessingInput(result["clean"], "/opt/ml/processing/in")])
    make("knows", inputs=[ProcessingInput(results["claen"], "/opt/ml/processing/in")])
    with pytest.raises(DefinitionError, match="task one has no output 'claen'; it has 'clean'"):
        make("wrong", inputs=[ProcessingInput(result["claen"], "/opt/ml/processing/in")])


def test_other_tasks_xcoms_are_theirs(dag, make):
    other = PythonOperator(task_id="other", dag=dag, python_callable=print)
    task = make(inputs=[ProcessingInput(other.output["anything"], "/opt/ml/processing/in")])
    assert task.upstream_task_ids == {"other"}


def test_other_operators_may_refer_to_an_output(dag, make):
    clean = make(outputs=[CLEAN])
    with pytest.raises(DefinitionError, match="no output 'claen'"):
        PythonOperator(task_id="reads", dag=dag, python_callable=print, op_args=[clean.output["claen"]])
    reads = PythonOperator(task_id="is_right", dag=dag, python_callable=print, op_args=[clean.output["clean"]])
    assert reads.upstream_task_ids == {"clean"}
