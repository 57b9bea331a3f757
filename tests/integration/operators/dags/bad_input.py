"""What users get wrong, and what goes wrong in their scripts: a task for each."""

from datetime import timedelta

from airflow.sdk import DAG

from airflow_sm_processing import ProcessingInput, ScriptProcessingOperator

common = {
    "role": "SageMakerRole",
    "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/sklearn:1",
    "instance_count": 1,
    "instance_type": "ml.m5.xlarge",
    "code": "scripts/behave.py",
    "arguments": ["succeed"],
    "outputs": ["/opt/ml/processing/output"],
    "poll_interval": 1,
    "retries": 1,
    "retry_delay": timedelta(seconds=1),
}
rows = {
    "missing_code": {"code": "scripts/absent.py"},
    "missing_input": {"inputs": [ProcessingInput("absent/", "/opt/ml/processing/in")]},
    "rejected_name": {"job_name": "{{ 'not_legal' }}"},
    "too_long_a_variable": {"env": {"SETTINGS": "{{ 'a' * 26000 }}"}},
    "unknown_instance_type": {"instance_type": "{{ 'ml.m5.xlarg' }}"},
    "unknown_role": {"role": "AbsentRole"},
    "denied_role": {"role": "arn:aws:iam::123456789012:role/DeniedRole"},
    "missing_bucket": {"default_bucket": "absent-bucket", "retries": 0},
    "missing_data": {
        "inputs": [ProcessingInput("s3://sagemaker-us-east-1-123456789012/absent/", "/opt/ml/processing/in")],
        "retries": 0,
    },
    "exits_3": {"arguments": ["fail"], "retries": 0},
    "killed": {"arguments": ["die"], "retries": 0},
    "retried": {"arguments": ["fail"]},
    "writes_nothing": {"arguments": ["write nothing"]},
    "not_utf8": {"arguments": ["not utf-8"]},
    "long_line": {"arguments": ["1 MB line"]},
}

with DAG("bad_input", schedule=None, render_template_as_native_obj=True):
    for task_id, parameters in rows.items():
        ScriptProcessingOperator(task_id=task_id, **{**common, **parameters})
