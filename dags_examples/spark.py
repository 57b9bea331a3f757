"""A Spark application of two files, which counts the words of a text.

AWS's image of Spark runs it on as many instances as `instance_count` says. On the local SageMaker, a pyspark that is
installed with the extra `[spark]` does, on one.
"""

from airflow.sdk import dag

from airflow_sm_processing import ProcessingInput, ProcessingOutput, SparkProcessingOperator

DEFAULT_ARGS = {
    "role": "SageMakerRole",
    "image": "spark:3.5",
    "instance_count": 1,
    "instance_type": "ml.m5.xlarge",
}


@dag(dag_id="sm_spark", schedule=None, default_args=DEFAULT_ARGS, tags=["sagemaker", "example"], doc_md=__doc__)
def spark():
    SparkProcessingOperator(
        task_id="count_words",
        submit_app="scripts/count_words.py",
        submit_py_files=["scripts/words.py"],
        configuration={"Classification": "spark-defaults", "Properties": {"spark.sql.shuffle.partitions": "8"}},
        inputs=[ProcessingInput(source="scripts/words.py", destination="/opt/ml/processing/input/text")],
        outputs=[ProcessingOutput(source="/opt/ml/processing/counts", output_name="counts")],
        arguments=["/opt/ml/processing/input/text", "/opt/ml/processing/counts"],
    )


spark()
