"""Preprocess, train, evaluate, with the amazon provider's training operator in the middle.

`channel` makes an output a channel of the training job, and `model_artifacts` makes the training job's model an input
of `evaluate`; both make the task that they name upstream. The script is the same as in `pipeline.py`: AWS's
scikit-learn image runs it in script mode, with the hyperparameters as options.

`make demo` runs this DAG on the local SageMaker, `airflow dags trigger sm_training` on yours. With Airflow's
`[operators] default_deferrable`, all three tasks wait in the triggerer; `train` then needs
`apache-airflow-providers-amazon[aiobotocore]`.
"""

import json
from pathlib import Path

from airflow.configuration import conf
from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTrainingOperator  # noqa: TID253  # it is what this file shows
from airflow.sdk import dag

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
CODE = "{{ ti.xcom_pull('preprocess', key='job_name') }}/train/sourcedir.tar.gz"


@dag(dag_id="sm_training", schedule=None, default_args=DEFAULT_ARGS, tags=["sagemaker", "example"], doc_md=__doc__)
def training():
    preprocess = ScriptProcessingOperator(
        task_id="preprocess",
        code="scripts/preprocess.py",
        outputs=[
            ProcessingOutput(source="/opt/ml/processing/train", output_name="train"),
            ProcessingOutput(source="/opt/ml/processing/test", output_name="test"),
        ],
    )
    train = SageMakerTrainingOperator(
        task_id="train",
        config={
            "TrainingJobName": "breast-cancer",
            "RoleArn": "SageMakerRole",
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "train:accuracy", "Regex": "accuracy ([0-9.]+)"}],
            },
            "HyperParameters": {
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": f"s3://{BUCKET}/{CODE}",
                "regularisation": json.dumps(1.0),
            },
            "InputDataConfig": [channel("train", preprocess.output["train"], content_type="text/csv")],
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/sm_training/models"},
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
        },
        check_interval=max(1, int(POLL_SECONDS)),
        print_log=False,  # with the log, the operator looks at the job's status each 30 seconds only
    )
    ScriptProcessingOperator(
        task_id="evaluate",
        code="scripts/evaluate.py",
        inputs=[
            ProcessingInput(source=model_artifacts(train), destination="/opt/ml/processing/model"),
            ProcessingInput(source=preprocess.output["test"], destination="/opt/ml/processing/test"),
        ],
        outputs=[ProcessingOutput(source="/opt/ml/processing/evaluation", output_name="evaluation")],
    )


training()
