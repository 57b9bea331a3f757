"""Definition objects in `.partial()` and `.expand()`."""

from __future__ import annotations

import json
import warnings

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.serialization.serialized_objects import DagSerialization

from airflow_sm_processing import ProcessingInput, ProcessingOutput, ScriptProcessingOperator
from tests.task_parameters import read_task

INPUT = ProcessingInput("s3://b/{{ ds }}", "/opt/ml/processing/in")
PLAIN = {"source": "s3://b/{{ ds }}", "destination": "/opt/ml/processing/in"}


def test_objects_and_dicts_expand_alike(dag, valid):
    partial = {**valid, "outputs": [ProcessingOutput("/opt/ml/processing/out")]}
    objects = ScriptProcessingOperator.partial(task_id="objects", **partial).expand(inputs=[[INPUT], []])
    dicts = ScriptProcessingOperator.partial(task_id="dicts", **partial).expand(inputs=[[PLAIN], []])
    assert objects.expand_input.value == dicts.expand_input.value == {"inputs": [[PLAIN], []]}
    assert objects.partial_kwargs["outputs"] == [{"source": "/opt/ml/processing/out"}]


def test_whole_keyword_dicts_expand(dag, valid):
    mapped = ScriptProcessingOperator.partial(task_id="mapped", **valid).expand_kwargs(
        [{"inputs": [INPUT], "arguments": ["a"]}, {"arguments": ["b"]}]
    )
    assert mapped.expand_input.value == [{"inputs": [PLAIN], "arguments": ["a"]}, {"arguments": ["b"]}]


def test_a_reference_inside_makes_the_dependency(dag, valid, task_factory):
    upstream = task_factory(task_id="upstream", outputs=[ProcessingOutput("/opt/ml/processing/o", None, "train")])
    source = ProcessingInput(upstream.output["train"], "/opt/ml/processing/in")
    in_partial = ScriptProcessingOperator.partial(task_id="in_partial", inputs=[source], **valid).expand(
        arguments=[["a"], ["b"]]
    )
    in_expand = ScriptProcessingOperator.partial(task_id="in_expand", **valid).expand(inputs=[[source], [PLAIN]])
    in_kwargs = ScriptProcessingOperator.partial(task_id="in_kwargs", **valid).expand_kwargs([{"inputs": [source]}])
    over_xcom = ScriptProcessingOperator.partial(task_id="over_xcom", **valid).expand(inputs=upstream.output)
    assert [task.upstream_task_ids for task in (in_partial, in_expand, in_kwargs, over_xcom)] == [{"upstream"}] * 4


@pytest.mark.parametrize("way", ["partial", "expand", "expand_kwargs"])
def test_only_what_the_job_reads_gets_a_folders_slash(runner, dag, valid, task_factory, way):
    """A variable that is called `source` is text, in a mapped task as in any other."""
    upstream = task_factory(task_id="upstream", outputs=[ProcessingOutput("/opt/ml/processing/o", None, "train")])
    runner.supervisor.xcoms["upstream", -1] = {"train": "s3://b/train"}
    train = upstream.output["train"]
    env, inputs = {"source": train}, [{"source": train, "destination": "/opt/ml/processing/in"}]
    begin = ScriptProcessingOperator.partial
    if way == "partial":
        mapped = begin(task_id="mapped", env=env, inputs=inputs, **valid).expand(arguments=[["a"]])
    elif way == "expand":
        mapped = begin(task_id="mapped", **valid).expand(env=[env], inputs=[inputs])
    else:
        mapped = begin(task_id="mapped", **valid).expand_kwargs([{"env": env, "inputs": inputs}])
    definition, _ = read_task(runner.rendered(mapped, map_index=0))
    assert definition.env == {"source": "s3://b/train"}
    assert [item.source for item in definition.inputs] == ["s3://b/train/"]


def test_mapped_tasks_survive_airflows_serialisation(dag, valid, task_factory):
    upstream = task_factory(task_id="upstream", outputs=[ProcessingOutput("/opt/ml/processing/o", None, "train")])
    ScriptProcessingOperator.partial(task_id="mapped", **valid).expand(
        inputs=[[ProcessingInput(upstream.output["train"], "/opt/ml/processing/in")], [INPUT]]
    )
    serialised = json.loads(json.dumps(DagSerialization.to_dict(dag)))
    mapped = DagSerialization.from_dict(serialised).get_task("mapped")
    assert mapped.get_parse_time_mapped_ti_count() == 2


def test_a_task_that_is_never_mapped_is_warned_of(dag, valid):
    with pytest.warns(UserWarning, match="'lonely' was never mapped"):
        ScriptProcessingOperator.partial(task_id="lonely", **valid)


def test_a_mapped_task_isnt_warned_of(dag, valid):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ScriptProcessingOperator.partial(task_id="mapped", **valid).expand(arguments=[["a"]])


@pytest.mark.parametrize("text", ["{{ ds ", "{# no comment", "{% no block"])
def test_data_that_looks_like_a_broken_template_reaches_the_job_as_it_is(runner, dag, valid, text):
    """Airflow renders no data that a task is mapped over."""
    names = EmptyOperator(task_id="names", dag=dag)
    runner.supervisor.xcoms["names", -1] = {"return_value": [[text]]}
    mapped = ScriptProcessingOperator.partial(task_id="mapped", dag=dag, **valid).expand(arguments=names.output)
    definition, _ = read_task(runner.rendered(mapped, map_index=0))
    assert definition.arguments == [text]
