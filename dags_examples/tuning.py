"""Train with several hyperparameters at once, and choose the best model by a result file.

`train`, the amazon provider's operator, is mapped over its configurations, each with the same channel. Its models are a
list, and as the source of one input they become a folder each: `models/0`, `models/1`, … `compare` measures them all on
the test set, and says in `best.json` which one is the best; `choose` returns that model's URI.
"""

import json
from pathlib import Path

from airflow.configuration import conf
from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTrainingOperator  # noqa: TID253  # it is what this file shows
from airflow.sdk import dag, task

from airflow_sm_processing import ProcessingInput, ProcessingOutput, ScriptProcessingOperator, channel, model_artifacts

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
POLL_SECONDS = float(conf.get("sm_processing", "poll_interval", fallback="") or 30)  # for the provider's operator
DEFAULT_ARGS = {
    "role": "SageMakerRole",
    "image_uri": IMAGE,
    "command": ["python3"],
    "instance_count": 1,
    "instance_type": "ml.m5.large",
}
# The default bucket, in which the outputs of preprocess are, and a place of this run's in it.
BUCKET = "{{ ti.xcom_pull('preprocess', key='train').split('/')[2] }}"
CODE = "{{ ti.xcom_pull('preprocess', key='job_name') }}/train-{{ ti.map_index }}/sourcedir.tar.gz"
REGULARISATIONS = (0.1, 1.0, 10000.0)


def config(train_data, regularisation):
    return {
        "TrainingJobName": "tuning-{{ ti.map_index }}",
        "RoleArn": "SageMakerRole",
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "HyperParameters": {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": f"s3://{BUCKET}/{CODE}",
            "regularisation": json.dumps(regularisation),
        },
        "InputDataConfig": [channel("train", train_data, content_type="text/csv")],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/sm_tuning/models"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        # What the operator uploads before it creates the job.
        "S3Operations": {
            "S3Upload": [
                {
                    "Path": str(Path(__file__).parent / "scripts" / "train.py"),
                    "Bucket": BUCKET,
                    "Key": CODE,
                    "Tar": True,
                }
            ]
        },
    }


@task
def choose(best, models):
    return models[best["index"]]


@dag(dag_id="sm_tuning", schedule=None, default_args=DEFAULT_ARGS, tags=["sagemaker", "example"], doc_md=__doc__)
def tuning():
    preprocess = ScriptProcessingOperator(
        task_id="preprocess",
        code="scripts/preprocess.py",
        outputs=[
            ProcessingOutput(source="/opt/ml/processing/train", output_name="train"),
            ProcessingOutput(source="/opt/ml/processing/test", output_name="test"),
        ],
    )
    train = SageMakerTrainingOperator.partial(
        task_id="train",
        check_interval=max(1, int(POLL_SECONDS)),
        print_log=False,  # with the log, the operator looks at the job's status each 30 seconds only
        map_index_template="{{ task.config['HyperParameters']['regularisation'] }}",
    ).expand(config=[config(preprocess.output["train"], regularisation) for regularisation in REGULARISATIONS])
    models = model_artifacts(train)
    compare = ScriptProcessingOperator(
        task_id="compare",
        code="scripts/compare.py",
        inputs=[
            ProcessingInput(source=models, destination="/opt/ml/processing/models"),
            ProcessingInput(source=preprocess.output["test"], destination="/opt/ml/processing/test"),
        ],
        outputs=[ProcessingOutput(source="/opt/ml/processing/comparison", output_name="comparison")],
        result_files={"best": "comparison/best.json"},
    )
    choose(compare.output["best"], models)


tuning()
