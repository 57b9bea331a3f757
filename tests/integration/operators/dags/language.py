"""What Airflow's own language says: what mapped tasks left, and branches that didn't run."""

from airflow.sdk import DAG, task

from airflow_sm_processing import ProcessingInput, ProcessingOutput, ScriptProcessingOperator

common = {
    "role": "SageMakerRole",
    "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/sklearn:1",
    "instance_count": 1,
    "instance_type": "ml.m5.xlarge",
    "code": "scripts/writes_name.py",
    "poll_interval": 1,
}
outputs = [ProcessingOutput("/opt/ml/processing/output", output_name="o")]
IN = "/opt/ml/processing/in"


def as_input(result):
    uri = result["outputs"]["o"]
    return {"source": uri, "destination": f"{IN}/{uri.split('/')[-3]}"}


with DAG("language_lists", schedule=None):
    mapped = ScriptProcessingOperator.partial(task_id="mapped", outputs=outputs, **common).expand(
        arguments=[["a"], ["b"]]
    )
    ScriptProcessingOperator(task_id="arguments", arguments=mapped.output["o"], **common)
    ScriptProcessingOperator(task_id="inputs", inputs=mapped.output.map(as_input), **common)
    ScriptProcessingOperator(
        task_id="source", inputs=[ProcessingInput(mapped.output["o"], IN, "parts")], arguments=[IN], **common
    )

    @task.sm_processing(**{name: common[name] for name in ("role", "image_uri", "instance_type", "poll_interval")})
    def function(uris, folder):
        return [uris, sorted(file.read_text() for file in folder.rglob("name.txt"))]

    function(mapped.output["o"], ProcessingInput(mapped.output["o"]))

with DAG("language_branches", schedule=None):

    @task.branch
    def choose():
        return "taken"

    branches = [
        ScriptProcessingOperator(task_id=name, arguments=[name], outputs=outputs, **common)
        for name in ("taken", "left")
    ]
    choose() >> branches
    empty = ScriptProcessingOperator(  # skips itself, after its submission
        task_id="empty", outputs=outputs, **{**common, "command": ["false"], "skip_on_exit_code": 1, "deferrable": True}
    )
    joined = {**common, "trigger_rule": "none_failed_min_one_success", "arguments": [IN]}
    inputs = [ProcessingInput(made.output["o"], IN, optional=True) for made in (*branches, empty)]
    ScriptProcessingOperator(task_id="join", inputs=inputs, **joined)
    ScriptProcessingOperator.partial(task_id="mapped_join", **joined).expand(inputs=[inputs])
    pulled = "{{ ti.xcom_pull('left', key='o') }}"
    nothing = ScriptProcessingOperator(task_id="nothing", inputs=[ProcessingInput(pulled, IN)], **joined)
    branches >> nothing
