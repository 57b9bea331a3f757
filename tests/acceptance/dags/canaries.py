"""Tasks that are given secrets in every way there is, and whose jobs tell all of them.

What a variable or a connection holds is planted by the test; what stands here in plain text, anybody can read here.
"""

from airflow.sdk import dag

from airflow_sm_processing import ProcessingInput, ProcessingOperator, ScriptProcessingOperator

TOLD = {
    "CANARY_LITERAL": "canary-that-stands-in-the-dag-file",
    "CANARY_VARIABLE": "{{ var.value.canary_word }}",
    "CANARY_LINES": "{{ var.value.canary_lines }}",
    "CANARY_JSON": "{{ var.value.canary_json }}",
    "CANARY_URL": "{{ var.value.canary_url }}",
    "CANARY_CONNECTION": "{{ conn.canary_database.password }}",
}
COMMON = {
    "role": "SageMakerRole",
    "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/any:1",
    "instance_count": 1,
    "instance_type": "ml.m5.large",
    "code": "scripts/tells.py",
    "aws_conn_id": "canary_aws",
    "poll_interval": 1,
}
GATE = "{{ dag_run.conf['gate'] }}"


def tells(task_id, *arguments, **options):
    ScriptProcessingOperator(
        task_id=task_id, arguments=[*arguments], env=TOLD, base_job_name=f"canaries-{task_id}", **COMMON, **options
    )


def canaries(dag_id, **options):
    @dag(dag_id=dag_id, schedule=None)
    def definition():
        tells("completes", 0, GATE, **options)
        tells("fails", 3, GATE, **options)

    return definition()


canaries("canaries_in_worker", deferrable=False)
canaries("canaries_deferred", deferrable=True)
canaries("canaries_from_trigger", deferrable=True, end_from_trigger=True)


@dag(dag_id="canaries_other", schedule=None)
def other():
    ScriptProcessingOperator.partial(
        task_id="mapped", arguments=[0], base_job_name="canaries-mapped", deferrable=True, **COMMON
    ).expand(env=[{"CANARY_MAPPED": "{{ var.value.canary_mapped }}"}])
    tells("is_refused", 0)
    # With a script, so long a variable would be no error: a command of ours would take it in pieces.
    ProcessingOperator(
        task_id="is_wrong",
        env={"CANARY_LONG": "{{ var.value.canary_word * 20 }}"},
        inputs=[ProcessingInput("{{ var.value.canary_url }}", "/opt/ml/processing/input/data")],
        **{name: value for name, value in COMMON.items() if name != "code"},
    )


other()
