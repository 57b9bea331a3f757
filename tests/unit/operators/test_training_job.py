"""Channels and models: what chains a processing task with the amazon provider's training operator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTrainingOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import Asset, XComArg, task_group
from airflow.serialization.serialized_objects import DagSerialization

from airflow_sm_processing import (
    DefinitionError,
    ProcessingInput,
    ProcessingOutput,
    ScriptProcessingOperator,
    channel,
    model_artifacts,
)
from airflow_sm_processing.operators import training_job
from tests.task_parameters import read_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import DAG

    from tests.task_runner import Runner

OUTPUTS = [ProcessingOutput("/opt/ml/processing/train", output_name="train")]
MODEL = "/opt/ml/processing/model"


@pytest.fixture
def preprocess(task_factory: Callable[..., ScriptProcessingOperator], runner: Runner) -> ScriptProcessingOperator:
    """A task that has written its output."""
    runner.supervisor.xcoms["preprocess", -1] = {"train": "s3://b/train"}
    return task_factory(task_id="preprocess", outputs=OUTPUTS)


@pytest.fixture
def mapped(dag: DAG, valid: dict[str, Any]) -> Any:
    return ScriptProcessingOperator.partial(task_id="mapped", outputs=OUTPUTS, **valid).expand(arguments=[["a"], ["b"]])


def trainer(task_id: str = "train", **parameters: Any) -> SageMakerTrainingOperator:
    return SageMakerTrainingOperator(task_id=task_id, **({"config": {}} | parameters))


def trained(uri: str, status: str = "Completed") -> dict[str, Any]:
    return {"Training": {"TrainingJobStatus": status, "ModelArtifacts": {"S3ModelArtifacts": uri}}}


# Channels


def test_a_channel_reads_an_outputs_folder_and_makes_the_task_upstream(runner, preprocess):
    train = trainer(config={"InputDataConfig": [channel("train", preprocess.output["train"])]})
    assert train.upstream_task_ids == {"preprocess"}
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://b/train/", "S3DataDistributionType": "FullyReplicated"}
    assert runner.rendered(train).config == {
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}]
    }


def test_a_channel_has_each_of_the_sdks_settings(runner, preprocess):
    made = channel(
        "{{ dag.dag_id }}",
        "s3://b/{{ ds }}.manifest",
        distribution="ShardedByS3Key",
        compression="Gzip",
        content_type="text/csv",
        record_wrapping="RecordIO",
        s3_data_type="AugmentedManifestFile",
        input_mode="Pipe",
        attribute_names=("source-ref",),
    )
    train = trainer(config={"InputDataConfig": [{**made, "ShuffleConfig": {"Seed": 1}}]})
    (rendered,) = runner.rendered(train).config["InputDataConfig"]
    assert rendered == {
        "ChannelName": "a_dag",
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "AugmentedManifestFile",
                "S3Uri": "s3://b/2026-01-02.manifest",
                "S3DataDistributionType": "ShardedByS3Key",
                "AttributeNames": ["source-ref"],
            }
        },
        "ContentType": "text/csv",
        "CompressionType": "Gzip",
        "RecordWrapperType": "RecordIO",
        "InputMode": "Pipe",
        "ShuffleConfig": {"Seed": 1},
    }


def uri_of(rendered: Any) -> Any:
    return rendered.config["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]


@pytest.mark.parametrize("way", ["partial", "expand", "expand_kwargs"])
def test_channels_are_in_mapped_training_tasks_too(runner, dag, preprocess, way):
    config = {"InputDataConfig": [channel("train", preprocess.output["train"])]}
    if way == "partial":
        train = SageMakerTrainingOperator.partial(task_id="train", config=config).expand(check_interval=[1, 2])
    elif way == "expand":
        train = SageMakerTrainingOperator.partial(task_id="train").expand(config=[config, {}])
    else:
        train = SageMakerTrainingOperator.partial(task_id="train").expand_kwargs([{"config": config}, {"config": {}}])
    assert train.upstream_task_ids == {"preprocess"}
    assert uri_of(runner.rendered(train, map_index=0)) == "s3://b/train/"
    serialised = json.loads(json.dumps(DagSerialization.to_dict(dag)))
    assert DagSerialization.from_dict(serialised).get_task("train").get_parse_time_mapped_ti_count() == 2


@pytest.mark.parametrize(
    ("s3_data", "uri"),
    [
        ("s3://b/train", "s3://b/train"),
        ("{{ 's3://b/' ~ ds }}", "s3://b/2026-01-02"),
        (Asset("s3://b/train/"), "s3://b/train/"),
    ],
)
def test_a_channel_reads_what_is_named(runner, dag, s3_data, uri):
    assert uri_of(runner.rendered(trainer(config={"InputDataConfig": [channel("train", s3_data)]}))) == uri


def test_a_channel_reads_what_a_function_makes_of_a_reference(runner, dag):
    runner.supervisor.xcoms["list_uris", -1] = {"return_value": "s3://b/made/"}
    uris = XComArg(PythonOperator(task_id="list_uris", python_callable=print))
    assert uri_of(runner.rendered(trainer(config={"InputDataConfig": [channel("train", uris)]}))) == "s3://b/made/"


def test_a_channel_is_made_in_map_as_well(runner, mapped):
    for index, letter in enumerate("ab"):
        runner.supervisor.xcoms["mapped", index] = {"return_value": {"outputs": {"train": f"s3://b/{letter}"}}}
    configs = mapped.output.map(lambda result: {"InputDataConfig": [channel("t", f"{result['outputs']['train']}/")]})
    train = SageMakerTrainingOperator.partial(task_id="train").expand(config=configs)
    assert uri_of(runner.rendered(train, map_index=1)) == "s3://b/b/"


@pytest.mark.parametrize("place", ["", ["s3://b/a"], 1, "/local"])
def test_a_channel_whose_reference_resolves_to_no_uri_is_an_error(runner, preprocess, place):
    runner.supervisor.xcoms["preprocess", -1] = {"train": place}
    train = trainer(config={"InputDataConfig": [channel("train", preprocess.output["train"])]})
    with pytest.raises(DefinitionError, match=r"channel 'train':\n  - s3_data=.*must be an S3 URI.*preprocess"):
        runner.rendered(train)


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"channel_name": ""}, r"channel_name='': must match [A-Za-z0-9\.\-_]+"),
        ({"channel_name": "a/b"}, r"channel_name='a/b': must match [A-Za-z0-9\.\-_]+"),
        ({"channel_name": None}, r"channel_name=None: must match [A-Za-z0-9\.\-_]+"),
        ({"channel_name": "a" * 65}, "must be at most 64 characters, has 65"),
        ({"s3_data": "data/train.csv"}, "s3_data='data/train.csv': must be an S3 URI, or a reference to an output"),
        ({"s3_data": "s3:///train"}, "s3_data='s3:///train': must be an S3 URI, or a reference to an output"),
        ({"s3_data": None}, "s3_data=None: must be an S3 URI, or a reference to an output"),
        ({"distribution": "Sharded"}, "distribution='Sharded': must be one of FullyReplicated, ShardedByS3Key"),
        ({"compression": "gzip"}, "compression='gzip': must be one of None, Gzip"),
        ({"record_wrapping": 1}, "record_wrapping=1: must be one of None, RecordIO"),
        ({"s3_data_type": "Prefix"}, "s3_data_type='Prefix': must be one of ManifestFile, S3Prefix, "),
        ({"input_mode": "Fast"}, "input_mode='Fast': must be one of Pipe, File, FastFile"),
    ],
)
def test_a_wrong_channel_is_an_error_where_it_is_made(wrong, problem):
    with pytest.raises(DefinitionError) as raised:
        channel(**{"channel_name": "train", "s3_data": "s3://b/train"} | wrong)
    assert len(raised.value.problems) == 1
    assert problem in str(raised.value)


def test_all_that_is_wrong_with_a_channel_is_one_error():
    with pytest.raises(DefinitionError) as raised:
        channel("", "train", distribution="all")
    assert [problem.parameter for problem in raised.value.problems] == ["channel_name", "s3_data", "distribution"]


def test_an_output_that_there_is_not_is_an_error(preprocess, mapped):
    with pytest.raises(DefinitionError, match="task preprocess has no output 'trayn'; it has 'train'"):
        channel("train", preprocess.output["trayn"])
    with pytest.raises(DefinitionError, match="task mapped has no output 'trayn'; it has 'train'"):
        channel("train", mapped.output["trayn"])


def test_a_channel_cannot_read_the_list_of_a_mapped_tasks_outputs(mapped):
    with pytest.raises(DefinitionError, match="one element per instance of mapped, and a channel reads one place"):
        channel("train", mapped.output["train"])


def test_a_manifest_is_no_folder(preprocess):
    with pytest.raises(DefinitionError, match="s3_data_type='ManifestFile': needs a file's URI"):
        channel("train", preprocess.output["train"], s3_data_type="ManifestFile")
    in_it = channel("train", f"{preprocess.output['train']}/train.manifest", s3_data_type="ManifestFile")
    assert "xcom_pull" in in_it["DataSource"]["S3DataSource"]["S3Uri"]


def test_the_rules_are_those_of_botocores_model():
    shape = botocore.session.get_session().get_service_model("sagemaker").shape_for("Channel")
    source = shape.members["DataSource"].members["S3DataSource"].members
    assert {
        "distribution": tuple(source["S3DataDistributionType"].enum),
        "compression": tuple(shape.members["CompressionType"].enum),
        "record_wrapping": tuple(shape.members["RecordWrapperType"].enum),
        "s3_data_type": tuple(source["S3DataType"].enum),
        "input_mode": tuple(shape.members["InputMode"].enum),
    } == training_job._ENUMS
    name = shape.members["ChannelName"].metadata
    assert (name["min"], name["max"]) == (1, training_job._CHANNEL_NAME_LENGTH)
    assert name["pattern"] == training_job._CHANNEL_NAME
    assert source["S3Uri"].metadata["pattern"] == training_job._S3_URI


# Models


@pytest.mark.parametrize(
    "result",
    [trained("s3://b/m.tar.gz"), trained("s3://b/m.tar.gz", "Stopped"), trained("s3://b/m.tar.gz")["Training"]],
)
def test_a_model_is_an_input(runner, task_factory, result):
    runner.supervisor.xcoms["train", -1] = {"return_value": result}
    evaluate = task_factory(inputs=[ProcessingInput(model_artifacts(trainer()), MODEL)])
    assert evaluate.upstream_task_ids == {"train"}
    definition, _ = read_task(runner.rendered(evaluate))
    assert [item.source for item in definition.inputs] == ["s3://b/m.tar.gz"]


def test_a_tasks_output_names_the_task(runner, task_factory):
    runner.supervisor.xcoms["train", -1] = {"return_value": trained("s3://b/m.tar.gz")}
    evaluate = task_factory(inputs=[ProcessingInput(model_artifacts(trainer().output), MODEL)])
    assert runner.rendered(evaluate).inputs == [{"source": "s3://b/m.tar.gz", "destination": MODEL}]


@pytest.fixture
def mapped_trainer(dag: DAG, runner: Runner) -> Any:
    for index, letter in enumerate("ab"):
        runner.supervisor.xcoms["train", index] = {"return_value": trained(f"s3://b/{letter}.tar.gz")}
    return SageMakerTrainingOperator.partial(task_id="train").expand(config=[{}, {}])


def test_the_models_of_a_mapped_task_are_numbered_inputs(runner, task_factory, mapped_trainer):
    compare = task_factory(inputs=[ProcessingInput(model_artifacts(mapped_trainer), MODEL)])
    rendered = runner.rendered(compare)
    assert rendered.inputs == [{"source": ["s3://b/a.tar.gz", "s3://b/b.tar.gz"], "destination": MODEL}]
    definition, _ = read_task(rendered)
    assert [(item.source, item.destination) for item in definition.inputs] == [
        ("s3://b/a.tar.gz", f"{MODEL}/0"),
        ("s3://b/b.tar.gz", f"{MODEL}/1"),
    ]


def test_a_task_is_mapped_over_the_models_of_a_mapped_task(runner, valid, mapped_trainer):
    inputs = model_artifacts(mapped_trainer).map(lambda uri: [ProcessingInput(uri, MODEL)])
    evaluate = ScriptProcessingOperator.partial(task_id="evaluate", **valid).expand(inputs=inputs)
    assert evaluate.upstream_task_ids == {"train"}
    definition, _ = read_task(runner.rendered(evaluate, map_index=1))
    assert [item.source for item in definition.inputs] == ["s3://b/b.tar.gz"]


def test_a_model_is_inside_a_mapped_element(runner, valid, dag):
    runner.supervisor.xcoms["train", -1] = {"return_value": trained("s3://b/m.tar.gz")}
    model = ProcessingInput(model_artifacts(trainer()), MODEL)
    evaluate = ScriptProcessingOperator.partial(task_id="evaluate", **valid).expand(inputs=[[model], []])
    definition, _ = read_task(runner.rendered(evaluate, map_index=0))
    assert [item.source for item in definition.inputs] == ["s3://b/m.tar.gz"]


def test_training_and_evaluation_are_in_one_mapped_group(dag, valid):
    @task_group
    def tried(depth):
        train = SageMakerTrainingOperator(task_id="train", config={"HyperParameters": {"depth": depth}})
        ScriptProcessingOperator(task_id="evaluate", inputs=[ProcessingInput(model_artifacts(train), MODEL)], **valid)

    tried.expand(depth=["1", "2"])
    assert dag.get_task("tried.evaluate").upstream_task_ids == {"tried.train"}


def test_a_model_is_a_channel_of_the_next_training_job(runner, dag):
    runner.supervisor.xcoms["train", -1] = {"return_value": trained("s3://b/m.tar.gz")}
    again = trainer("again", config={"InputDataConfig": [channel("model", model_artifacts(trainer()))]})
    assert again.upstream_task_ids == {"train"}
    assert uri_of(runner.rendered(again)) == "s3://b/m.tar.gz"


def test_a_models_text_is_a_template(runner, dag):
    runner.supervisor.xcoms["train", -1] = {"return_value": trained("s3://b/m.tar.gz")}
    made = PythonOperator(task_id="x", python_callable=print, op_args=[f"{model_artifacts(trainer())}?"])
    assert runner.rendered(made).op_args == ["s3://b/m.tar.gz?"]


def optional_sources(runner, task_factory, train) -> list[Any]:
    made = task_factory(inputs=[ProcessingInput(model_artifacts(train), MODEL, optional=True)])
    definition, _ = read_task(runner.rendered(made))
    return [item.source for item in definition.inputs]


def test_the_model_of_a_skipped_task_is_left_out(runner, task_factory):
    runner.supervisor.states = {("train", -1): "skipped"}
    runner.supervisor.xcoms["train", -1] = {"return_value": trained("s3://b/earlier.tar.gz")}
    assert optional_sources(runner, task_factory, trainer()) == []


def test_the_models_of_the_instances_that_ran_are_inputs(runner, task_factory, mapped_trainer):
    runner.supervisor.states = {("train", 0): "skipped", ("train", 1): "success"}
    del runner.supervisor.xcoms["train", 0]
    assert optional_sources(runner, task_factory, mapped_trainer) == ["s3://b/b.tar.gz"]


@pytest.mark.parametrize(
    ("result", "rule"),
    [
        ("s3://b/model", "the task's result isn't a training job's"),
        ({"Processing": {"ProcessingJobStatus": "Completed"}}, "it must be what SageMakerTrainingOperator returns"),
        ({"Training": None}, "the task's result isn't a training job's"),
        ({"Training": {"TrainingJobStatus": 1}}, "the task's result isn't a training job's"),
        (trained("s3://b/m", "InProgress"), "hadn't ended (InProgress): set wait_for_completion=True"),
        ({"Training": {"TrainingJobStatus": "Failed"}}, "its training job is Failed and has no model"),
        (trained(""), "its training job is Completed and has no model"),
    ],
)
def test_what_has_no_model_is_an_error_that_says_what_to_do(runner, task_factory, result, rule):
    runner.supervisor.xcoms["train", -1] = {"return_value": result}
    evaluate = task_factory(inputs=[ProcessingInput(model_artifacts(trainer()), MODEL)])
    with pytest.raises(DefinitionError) as raised:
        runner.rendered(evaluate)
    assert str(raised.value).startswith(
        "1 problem in the definition of a reference to a model:\n  - model_artifacts='train'"
    )
    assert rule in str(raised.value)


def test_a_task_that_left_no_result_is_an_error_too(runner, task_factory):
    evaluate = task_factory(inputs=[ProcessingInput(model_artifacts(trainer()), MODEL)])
    with pytest.raises(DefinitionError, match="has no value"):
        read_task(runner.rendered(evaluate))


def test_a_processing_task_has_no_model(preprocess, mapped):
    for task in (preprocess, mapped, preprocess.output):
        with pytest.raises(DefinitionError, match=r"is a processing task, .* use (preprocess|mapped)\.output\[…\]"):
            model_artifacts(task)
