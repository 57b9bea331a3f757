"""Functions in each mode, one after the other, as a DAG's tasks."""

from airflow.sdk import dag, task

from airflow_sm_processing import ProcessingInput, ProcessingOutput

common = {
    "role": "SageMakerRole",
    "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3",
    "instance_type": "ml.m5.xlarge",
    "poll_interval": 1,
}


@dag(schedule=None, default_args=common)
def functions():  # noqa: C901  # many small tasks
    @task
    def sizes():
        return [1, 2]

    @task.sm_processing(deferrable=True, outputs=[ProcessingOutput("/opt/ml/processing/text", output_name="text")])
    def write(size: int, run_id=None) -> dict:
        import pathlib

        pathlib.Path("/opt/ml/processing/text/size.txt").write_text("x" * size)
        print("wrote", size)
        return {"size": size, "run": run_id}

    @task.sm_processing
    def measure(text, written, expected: "list[int]"):
        return [len((text / "size.txt").read_text()), written, expected]

    @task.sm_processing(deferrable=True, end_from_trigger=True, max_xcom_bytes=10)
    def large(factor):
        return ["x" * 10] * factor

    @task.sm_processing
    def count(results):
        return [len(result) for result in results]

    @task
    def seen(results):
        return [result["kind"] for result in results]

    @task.sm_processing(deferrable=True, env={"PASSWORD": "a-password-of-ours"})
    def fail(number):
        import os

        raise ValueError(f"no {number} with {os.environ['PASSWORD']}")

    @task.sm_processing(deferrable=True, skip_on_exit_code=99)
    def skip():
        raise SystemExit(99)

    written = write(3)
    known = sizes()
    measure(ProcessingInput(written["text"]), written, known)
    larges = large.expand(factor=known)
    count(larges)
    seen(larges)
    fail(7)
    skip()


functions()
