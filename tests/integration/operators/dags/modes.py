"""The same jobs, waited for in a worker and in a trigger."""

from airflow.sdk import DAG

from airflow_sm_processing import ProcessingInput, ProcessingOutput, ScriptProcessingOperator

common = {
    "role": "SageMakerRole",
    "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/sklearn:1",
    "instance_count": "{{ params.instances }}",
    "instance_type": "ml.m5.xlarge",
    "code": "scripts/behave.py",
    "poll_interval": 1,
}
outputs = [ProcessingOutput("/opt/ml/processing/output", output_name="result")]

with DAG("modes", schedule=None, params={"instances": 1}):
    for mode, deferrable in (("wait", False), ("defer", True)):
        in_mode = {**common, "deferrable": deferrable}
        succeed = ScriptProcessingOperator(
            task_id=f"succeed_{mode}", arguments=["succeed"], outputs=outputs, env={"RUN": "{{ run_id }}"}, **in_mode
        )
        ScriptProcessingOperator(task_id=f"fail_{mode}", arguments=["fail"], outputs=outputs, **in_mode)
        ScriptProcessingOperator(task_id=f"max_wait_{mode}", arguments=["sleep"], max_wait=5, **in_mode)
        ScriptProcessingOperator(
            task_id=f"stopped_{mode}", arguments=["sleep"], max_runtime_in_seconds=1, on_stopped="fail", **in_mode
        )
        chained = [ProcessingInput(succeed.output["result"], "/opt/ml/processing/input/data")]
        ScriptProcessingOperator(
            task_id=f"chained_{mode}", arguments=["succeed"], inputs=chained, outputs=outputs, **in_mode
        )
    ScriptProcessingOperator(
        task_id="stopped_skip", arguments=["sleep"], max_runtime_in_seconds=1, on_stopped="skip", **common
    )
    ScriptProcessingOperator(
        task_id="stopped_succeed", arguments=["sleep"], max_runtime_in_seconds=1, on_stopped="succeed", **common
    )
    ScriptProcessingOperator(
        task_id="submit", arguments=["succeed"], wait_for_completion=False, outputs=outputs, **common
    )
    ScriptProcessingOperator.partial(task_id="mapped", arguments=["succeed"], outputs=outputs, **common).expand(
        inputs=[
            [ProcessingInput(succeed.output["result"], "/opt/ml/processing/input/data")],
            [
                {
                    "source": "{{ ti.xcom_pull('succeed_wait')['outputs']['result'] }}",
                    "destination": "/opt/ml/processing/x",
                }
            ],
        ]
    )
