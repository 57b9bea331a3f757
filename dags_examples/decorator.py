"""Python functions as processing jobs: `@task.sm_processing` sends a function to SageMaker, and gives what it returns.

`write_wine` writes a table to an output. `accuracy` reads it, as a folder of its container, once for each depth: a
mapped task, whose arguments reach each job and whose results are XComs like any other task's. No script, no S3 URI.
"""

from airflow.sdk import dag, task

from airflow_sm_processing import ProcessingInput, ProcessingOutput

DEPTHS = [1, 2, 8]
DEFAULT_ARGS = {
    "role": "SageMakerRole",
    "image_uri": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
    "instance_type": "ml.m5.large",
}


@task.sm_processing(outputs=[ProcessingOutput(source="/opt/ml/processing/wine", output_name="wine")])
def write_wine():
    """Write scikit-learn's wine data, and tell how many wines it has."""
    from sklearn.datasets import load_wine

    table = load_wine(as_frame=True).frame
    table.to_csv("/opt/ml/processing/wine/wine.csv", index=False)
    return len(table)


@task.sm_processing(deferrable=True)
def accuracy(wine, depth: int) -> float:
    """Cross-validate a decision tree on what `write_wine` wrote."""
    import pandas as pd
    from sklearn.model_selection import cross_val_score
    from sklearn.tree import DecisionTreeClassifier

    table = pd.read_csv(wine / "wine.csv")
    print(f"{len(table)} wines, depth {depth}")
    tree = DecisionTreeClassifier(max_depth=depth, random_state=7)
    return round(float(cross_val_score(tree, table.drop(columns="target"), table["target"]).mean()), 3)


@task
def best(accuracies):
    return max(zip(DEPTHS, accuracies, strict=True), key=lambda found: found[1])[0]


@dag(dag_id="sm_decorator", schedule=None, default_args=DEFAULT_ARGS, tags=["sagemaker", "example"], doc_md=__doc__)
def decorator():
    written = write_wine()
    best(accuracy.partial(wine=ProcessingInput(written["wine"])).expand(depth=DEPTHS))


decorator()
