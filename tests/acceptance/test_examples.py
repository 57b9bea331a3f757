"""The example DAGs, run by Airflow's own processes on the local SageMaker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from .runs import PATIENCE_SECONDS, Run

if TYPE_CHECKING:
    from airflow_sm_processing.local import LocalSageMaker
    from demo.airflow_services import RunningAirflow


def states(run: Run) -> dict[str, str | None]:
    return {task.label: task.state for task in run.ended()}


def read_json(sagemaker: LocalSageMaker, s3_uri: str) -> Any:
    place = urlsplit(s3_uri)
    return json.load(sagemaker.client("s3").get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))["Body"])


def test_the_pipeline_hands_each_output_to_the_next_job(examples: dict[str, Run], sagemaker: LocalSageMaker) -> None:
    run = examples["sm_pipeline"]
    assert states(run) == {"preprocess": "success", "train": "success", "evaluate": "success"}
    preprocess, train, evaluate = (run.xcoms(task_id) for task_id in ("preprocess", "train", "evaluate"))
    assert run.rendered("train")["inputs"] == [
        {"destination": "/opt/ml/processing/train", "source": f"{preprocess['train']}/"},
    ]
    assert run.rendered("evaluate")["inputs"] == [
        {"destination": "/opt/ml/processing/model", "source": f"{train['model']}/"},
        {"destination": "/opt/ml/processing/test", "source": f"{preprocess['test']}/"},
    ]
    metrics = read_json(sagemaker, f"{evaluate['evaluation']}/evaluation.json")
    assert metrics == {
        "rows": 143,
        "accuracy": pytest.approx(0.979, abs=0.01),
        "f1": pytest.approx(0.983, abs=0.01),
        "roc_auc": pytest.approx(0.9985, abs=0.005),
    }
    assert evaluate["return_value"]["exit_message"] == f"accuracy {metrics['accuracy']:.3f}"


def test_the_training_operator_trains_on_an_output_and_its_model_is_evaluated(
    examples: dict[str, Run], sagemaker: LocalSageMaker
) -> None:
    run = examples["sm_training"]
    assert states(run) == {"preprocess": "success", "train": "success", "evaluate": "success"}
    preprocess, train, evaluate = (run.xcoms(task_id) for task_id in ("preprocess", "train", "evaluate"))
    job = train["return_value"]["Training"]
    (channel,) = job["InputDataConfig"]
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == f"{preprocess['train']}/"
    (metric,) = job["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("train:accuracy", pytest.approx(0.988, abs=0.01))
    model = job["ModelArtifacts"]["S3ModelArtifacts"]
    inputs: Any = run.rendered("evaluate")["inputs"]
    assert [item["source"] for item in inputs] == [model, f"{preprocess['test']}/"]
    metrics = read_json(sagemaker, f"{evaluate['evaluation']}/evaluation.json")
    assert (metrics["rows"], metrics["accuracy"]) == (143, pytest.approx(0.979, abs=0.01))


def test_the_best_of_several_trained_models_is_chosen_by_a_result_file(examples: dict[str, Run]) -> None:
    run = examples["sm_tuning"]
    mapped = [f"train[{index}]" for index in range(3)]
    assert states(run) == dict.fromkeys(["preprocess", *mapped, "compare", "choose"], "success")
    jobs = [run.xcoms("train", map_index=index)["return_value"]["Training"] for index in range(3)]
    assert [job["HyperParameters"]["regularisation"] for job in jobs] == ["0.1", "1.0", "10000.0"]
    models = [job["ModelArtifacts"]["S3ModelArtifacts"] for job in jobs]
    inputs: Any = run.rendered("compare")["inputs"]
    assert inputs[0]["source"] == models
    best = run.xcoms("compare")["best"]
    assert best["accuracy"] == pytest.approx(0.979, abs=0.015)
    assert best["accuracies"][2] < best["accuracy"]
    assert run.xcoms("choose") == {"return_value": models[best["index"]]}


def test_mapping_makes_one_job_for_each_partition(examples: dict[str, Run], sagemaker: LocalSageMaker) -> None:
    run = examples["sm_mapping"]
    tasks = ["split", "partitions", "total_images"]
    mapped = ["profile_known[0]", "profile_known[1]", "profile_all[0]", "profile_all[1]", "profile_all[2]"]
    assert states(run) == dict.fromkeys([*tasks, *mapped], "success")
    uris = [run.xcoms("profile_all", map_index=index)["profile"] for index in range(3)]
    profiles = [read_json(sagemaker, f"{uri}/profile.json") for uri in uris]
    assert [(profile["partition"], profile["images"]) for profile in profiles] == [
        ("digit-0.csv", 178),
        ("digit-1.csv", 182),
        ("digit-2.csv", 177),
    ]
    assert run.xcoms("total_images") == {"return_value": 178 + 182 + 177}


def test_a_join_reads_what_the_branch_that_ran_wrote(examples: dict[str, Run]) -> None:
    run = examples["sm_branch"]
    assert states(run) == {"choose": "success", "full": "skipped", "daily": "success", "train": "success"}
    inputs: Any = run.rendered("train")["inputs"]
    assert [item["source"] for item in inputs] == [None, f"{run.xcoms('daily')['train']}/"]


def test_deferrable_tasks_give_their_jobs_outputs(examples: dict[str, Run], sagemaker: LocalSageMaker) -> None:
    run = examples["sm_deferrable"]
    assert states(run) == {"validate_linear": "success", "validate_tree": "success"}
    uris = [run.xcoms(task_id)["metrics"] for task_id in ("validate_linear", "validate_tree")]
    assert [read_json(sagemaker, f"{uri}/metrics.json") for uri in uris] == [
        {"model": "linear", "accuracy": pytest.approx(0.98, abs=0.02)},
        {"model": "tree", "accuracy": pytest.approx(0.9, abs=0.03)},
    ]


def test_sdk_style_jobs_decide_about_the_next(examples: dict[str, Run]) -> None:
    run = examples["sm_sdk_style"]
    assert states(run) == {"deepest_useful_tree": "success"}
    found = {"depth": 8, "accuracy": pytest.approx(0.91, abs=0.03)}
    assert run.xcoms("deepest_useful_tree") == {"return_value": found}


def test_a_sensor_waits_for_the_job_that_another_task_starts_meanwhile(examples: dict[str, Run]) -> None:
    run = examples["sm_sensor"]
    assert states(run) == {"another_team": "success", "validation": "success", "accuracy": "success"}
    result = run.xcoms("validation")["return_value"]
    assert (result["job_name"].startswith("nightly-validation-"), result["status"]) == (True, "Completed")
    assert run.xcoms("accuracy") == {"return_value": pytest.approx(0.98, abs=0.02)}


def test_a_result_file_decides_about_the_next_task(examples: dict[str, Run]) -> None:
    run = examples["sm_result_files"]
    assert states(run) == {"validate_linear": "success", "validate_tree": "success", "choose": "success"}
    assert run.xcoms("validate_tree")["found"] == {"model": "tree", "accuracy": pytest.approx(0.9, abs=0.05)}
    assert run.xcoms("choose") == {"return_value": "linear"}


def test_functions_give_what_they_return(examples: dict[str, Run]) -> None:
    run = examples["sm_decorator"]
    mapped = [f"accuracy[{index}]" for index in range(3)]
    assert states(run) == dict.fromkeys(["write_wine", *mapped, "best"], "success")
    assert run.xcoms("write_wine")["return_value"] == 178
    accuracies = [run.xcoms("accuracy", map_index=index)["return_value"] for index in range(3)]
    assert accuracies == [pytest.approx(expected, abs=0.05) for expected in (0.6, 0.85, 0.88)]
    assert run.xcoms("best") == {"return_value": [1, 2, 8][accuracies.index(max(accuracies))]}


def test_a_jobs_output_schedules_the_dag_that_reads_it(examples: dict[str, Run], airflow: RunningAirflow) -> None:
    run = examples["sm_assets"]
    assert states(run) == {"preprocess": "success"}
    reader = scheduled_run(airflow, "sm_assets_reader")
    assert states(reader) == {"train": "success"}
    source = run.xcoms("preprocess")["cancer-train"]
    assert reader.rendered("train")["inputs"] == [{"destination": "/opt/ml/processing/train", "source": source}]


def test_a_job_that_anybody_started_schedules_the_dag_that_watches(
    examples: dict[str, Run], airflow: RunningAirflow
) -> None:
    assert states(examples["sm_sensor"])["validation"] == "success"
    job_name = examples["sm_sensor"].xcoms("validation")["job_name"]
    run = scheduled_run(airflow, "sm_asset_watcher")
    assert states(run) == {"accuracies": "success"}
    assert run.xcoms("accuracies")["return_value"] == {job_name: pytest.approx(0.98, abs=0.02)}


def scheduled_run(airflow: RunningAirflow, dag_id: str) -> Run:
    """Return the run that an asset event has made."""
    airflow.processes.wait_until(
        lambda: bool(airflow.api.run_ids(dag_id)), within=PATIENCE_SECONDS, what=f"a run of {dag_id}"
    )
    return Run.made(airflow, dag_id, airflow.api.run_ids(dag_id)[0])
