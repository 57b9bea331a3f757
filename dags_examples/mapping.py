"""One job for each partition: `.partial(…).expand(…)` makes as many as there are, known only at run time or not.

`profile_known` is mapped over a list in this file. `profile_all` is mapped over what `partitions` finds under the S3
prefix that `split` wrote. Every mapped task is a processing job of its own, and `.output["profile"]` of a mapped
operator is the list of all their outputs.
"""

import json
from urllib.parse import urlsplit

from airflow.sdk import dag, task

from airflow_sm_processing import ProcessingInput, ProcessingOutput, ScriptProcessingOperator

DEFAULT_ARGS = {
    "role": "SageMakerRole",
    "image": "sklearn:1.2-1",  # its URI follows from the region when the task runs
    "command": ["python3"],
    "instance_count": 1,
    "instance_type": "ml.m5.large",
}


@task
def partitions(s3_uri):
    """List the partitions, as the arguments that each job takes."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    place = urlsplit(s3_uri)
    keys = S3Hook().list_keys(place.netloc, prefix=place.path.strip("/") + "/")
    return [["--partition", key.rpartition("/")[2]] for key in keys]


@task
def total_images(profiles):
    """Add up what the jobs wrote."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    s3 = S3Hook()
    places = [urlsplit(f"{uri}/profile.json") for uri in profiles]
    texts = [s3.read_key(place.path.lstrip("/"), place.netloc) for place in places]
    return sum(json.loads(text)["images"] for text in texts)


@dag(dag_id="sm_mapping", schedule=None, default_args=DEFAULT_ARGS, tags=["sagemaker", "example"], doc_md=__doc__)
def mapping():
    split = ScriptProcessingOperator(
        task_id="split",
        code="scripts/split.py",
        arguments=["--digits", "0", "1", "2"],
        outputs=[ProcessingOutput(source="/opt/ml/processing/partitions", output_name="partitions")],
    )
    profile = {
        "code": "scripts/profile.py",
        "inputs": [
            ProcessingInput(source=split.output["partitions"], destination="/opt/ml/processing/partitions"),
        ],
        "outputs": [ProcessingOutput(source="/opt/ml/processing/profile", output_name="profile")],
        # What the UI calls each mapped task, instead of a number.
        "map_index_template": "{{ task.arguments[-1] }}",
    }
    ScriptProcessingOperator.partial(task_id="profile_known", **profile).expand(
        arguments=[["--partition", "digit-0.csv"], ["--partition", "digit-1.csv"]]
    )
    profile_all = ScriptProcessingOperator.partial(task_id="profile_all", **profile).expand(
        arguments=partitions(split.output["partitions"])
    )
    total_images(profile_all.output["profile"])


mapping()
