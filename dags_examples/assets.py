"""Let a job's output schedule another DAG: an outlet that has the output's name is told where it is.

`sm_assets` writes training data to a new place in each run. Its outlet, the alias `cancer-train`, gets an asset event
at success, with the job, the output's URI and its size. `sm_assets_reader` is scheduled by that alias, and trains on
what the event names. With `emit_assets=True` instead of outlets, each output is an event.
"""

from airflow.sdk import AssetAlias, dag

from airflow_sm_processing import ProcessingInput, ProcessingOutput, ScriptProcessingOperator

DEFAULT_ARGS = {
    "role": "SageMakerRole",
    "image_uri": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
    "command": ["python3"],
    "instance_count": 1,
    "instance_type": "ml.m5.large",
}
TRAIN = AssetAlias("cancer-train")


@dag(dag_id="sm_assets", schedule=None, default_args=DEFAULT_ARGS, tags=["sagemaker", "example"], doc_md=__doc__)
def assets():
    ScriptProcessingOperator(
        task_id="preprocess",
        code="scripts/preprocess.py",
        arguments=["--test-size", "0.25"],
        outputs=[
            ProcessingOutput(source="/opt/ml/processing/train", output_name="cancer-train"),
            ProcessingOutput(source="/opt/ml/processing/test", output_name="cancer-test"),
        ],
        outlets=[TRAIN],
    )


@dag(
    dag_id="sm_assets_reader",
    schedule=[TRAIN],
    default_args=DEFAULT_ARGS,
    tags=["sagemaker", "example"],
    doc_md=__doc__,
)
def reader():
    ScriptProcessingOperator(
        task_id="train",
        code="scripts/train.py",
        inputs=[
            ProcessingInput(
                source="{{ (triggering_asset_events.values() | first | last).extra['uri'] }}",
                destination="/opt/ml/processing/train",
            )
        ],
        outputs=[ProcessingOutput(source="/opt/ml/processing/model", output_name="model")],
    )


assets()
reader()
