"""Tasks whose job tells the secret that it was given, which the test plants in an Airflow variable."""

from airflow.sdk import dag

from airflow_sm_processing import ProcessingOperator

TELLS = (
    "import os, time; told = os.environ['TOLD']; print('told:', told, flush=True); time.sleep(6); "
    "os.makedirs('/opt/ml/output', exist_ok=True); open('/opt/ml/output/message', 'w').write(told); 1 / 0"
)


@dag(dag_id="secret", schedule=None)
def secret():
    for mode, deferrable in (("worker", False), ("deferred", True)):
        ProcessingOperator(
            task_id=f"in_{mode}",
            role="SageMakerRole",
            image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/any:1",
            instance_count=1,
            instance_type="ml.m5.large",
            entrypoint=["python3", "-c"],
            arguments=[TELLS],
            env={"TOLD": "{{ var.value.told }}"},
            poll_interval=1,
            deferrable=deferrable,
        )


secret()
