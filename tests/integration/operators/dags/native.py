"""A native DAG, in which text is what its author wrote, and a template's result what Airflow makes of it."""

from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, task

from airflow_sm_processing import ProcessingOutput, ScriptProcessingOperator

job = {
    "role": "SageMakerRole",
    "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/sklearn:1",
    "instance_count": 1,
    "instance_type": "ml.m5.xlarge",
    "poll_interval": 1,
    "retries": 1,
    "retry_delay": timedelta(seconds=1),
}
script = job | {
    "code": Path("scripts/tells_its_call.py"),
    "outputs": [ProcessingOutput("/opt/ml/processing/output", output_name="told")],
    "result_files": "{{ {'call': 'told/call.json'} | tojson }}",
    "mask_env": False,
}
TEXTS = ["1.10", "2024_01", "0x10", "1e5", "[1, 2]", "True", "ends with a line\n"]
SAFE = TEXTS[:-1]  # SageMaker takes no line's end in an argument

with DAG(
    "native",
    schedule=None,
    render_template_as_native_obj=True,
    params={"version": "1.10", "env": {"VERSION": "1.10", "NUMBER": 0.5, "FLAG": True}},
):
    ScriptProcessingOperator(task_id="literals", arguments=SAFE, env={"VERSION": TEXTS[0], "FLAG": TEXTS[-1]}, **script)
    ScriptProcessingOperator(
        task_id="templates",
        arguments=[
            "{{ params.version | tojson }}",
            "'{{ params.version }}'",
            "{{ params.version | float }}",
            "{{ 7 }}",
        ],
        env="{{ params.env | tojson }}",
        **script,
    )
    ScriptProcessingOperator.partial(task_id="mapped", **script).expand(arguments=[["1.10"], ["2024_01"]])
    ScriptProcessingOperator(task_id="ambiguous", arguments=["--version", "{{ params.version }}"], **script)

    @task.sm_processing(**job)
    def returned(value):
        return value

    returned(["1.10", "{{ params.version | tojson }}"])
