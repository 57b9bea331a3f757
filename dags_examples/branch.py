"""A join after a branch: one job reads what ran, whichever branch it was.

The run's parameter `full` chooses a branch, and the other one is skipped. An input with `optional=True` is left out of
the job if the task that it refers to was skipped: so `train` reads what ran, and both inputs may have the same folder.
`none_failed_min_one_success` is Airflow's trigger rule for such a join: without it, `train` would be skipped too.
"""

from airflow.sdk import dag, task

from airflow_sm_processing import ProcessingInput, ProcessingOutput, ScriptProcessingOperator

DEFAULT_ARGS = {
    "role": "SageMakerRole",
    "image_uri": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
    "command": ["python3"],
    "instance_count": 1,
    "instance_type": "ml.m5.large",
}


@dag(
    dag_id="sm_branch",
    schedule=None,
    params={"full": False},
    default_args=DEFAULT_ARGS,
    tags=["sagemaker", "example"],
    doc_md=__doc__,
)
def branch():
    @task.branch
    def choose(params=None):
        return "full" if params["full"] else "daily"

    full, daily = (
        ScriptProcessingOperator(
            task_id=name,
            code="scripts/preprocess.py",
            arguments=["--test-size", test_size],
            outputs=[
                ProcessingOutput(source="/opt/ml/processing/train", output_name="train"),
                ProcessingOutput(source="/opt/ml/processing/test", output_name="test"),
            ],
        )
        for name, test_size in (("full", "0.25"), ("daily", "0.5"))
    )
    ScriptProcessingOperator(
        task_id="train",
        code="scripts/train.py",
        arguments=["--regularisation", "1.0"],
        inputs=[
            ProcessingInput(source=made.output["train"], destination="/opt/ml/processing/train", optional=True)
            for made in (full, daily)
        ],
        outputs=[ProcessingOutput(source="/opt/ml/processing/model", output_name="model")],
        trigger_rule="none_failed_min_one_success",
    )
    choose() >> [full, daily]


branch()
