"""Outputs as asset events, and inputs from assets."""

from airflow.sdk import DAG, Asset, AssetAlias

from airflow_sm_processing import ProcessingInput, ProcessingOutput, ScriptProcessingOperator

common = {
    "role": "SageMakerRole",
    "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/sklearn:1",
    "instance_count": 1,
    "instance_type": "ml.m5.xlarge",
    "code": "scripts/writes_results.py",
    "poll_interval": 1,
}
OUTPUT = "/opt/ml/processing/output"
REPORTS = Asset("s3://asset-reports/assets/")
RAW = Asset("raw", uri="s3://asset-raw/rows/")

with DAG("assets", schedule=None):
    produce = ScriptProcessingOperator(
        task_id="emits_all",
        arguments=["well"],
        outputs=[
            ProcessingOutput(OUTPUT, output_name="evaluation", destination="s3://asset-reports/{{ dag.dag_id }}/"),
            ProcessingOutput("/opt/ml/processing/nothing", output_name="nothing"),
        ],
        emit_assets=True,
        deferrable=True,
        end_from_trigger=True,
        **common,
    )
    by_name = ScriptProcessingOperator(
        task_id="by_name",
        arguments=["well"],
        outputs=[ProcessingOutput(OUTPUT, output_name="evaluation", destination="s3://asset-reports/by-name")],
        outlets=[
            AssetAlias("evaluation"),
            AssetAlias("no_output"),
            Asset("evaluation", uri="s3://asset-reports/any"),
            Asset("by_uri", uri="s3://asset-reports/by-name/"),
        ],
        **common,
    )
    ScriptProcessingOperator(
        task_id="fails",
        arguments=["no such mode"],
        command=["false"],
        outputs=[ProcessingOutput(OUTPUT, output_name="evaluation")],
        emit_assets=True,
        **common,
    )
    mapped = ScriptProcessingOperator.partial(
        task_id="mapped",
        inputs=[ProcessingInput(RAW, "/opt/ml/processing/raw")],
        outputs=[
            ProcessingOutput(
                OUTPUT, output_name="evaluation", destination="s3://asset-reports/mapped/{{ ti.map_index }}"
            )
        ],
        emit_assets=True,
        **common,
    ).expand(arguments=[["well"], ["well"]])
    reads = ScriptProcessingOperator(
        task_id="reads",
        arguments=["well"],
        inputs=[ProcessingInput(REPORTS, "/opt/ml/processing/reports"), ProcessingInput(RAW, "/opt/ml/processing/raw")],
        **common,
    )
    [produce, by_name] >> mapped >> reads
