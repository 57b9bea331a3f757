"""The example DAGs as Airflow's DAG processor meets them: each in a process that forks when Airflow is loaded."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "dags_examples"
FILES = sorted(file.name for file in EXAMPLES.glob("*.py"))
SCRIPTS = sorted((EXAMPLES / "scripts").glob("*.py"))
HEAVY = ("boto3", "botocore", "airflow.providers.amazon.aws")
TRAINING = ("training.py", "tuning.py")
"""They show an operator of the amazon provider, and pay for its import."""

GRAPHS = {
    "asset_watcher.py": [("sm_asset_watcher", {"accuracies": []}, ["nightly_validation"])],
    "assets.py": [
        ("sm_assets", {"preprocess": []}, None),
        ("sm_assets_reader", {"train": []}, ["cancer-train"]),
    ],
    "branch.py": ("sm_branch", {"choose": ["daily", "full"], "daily": ["train"], "full": ["train"], "train": []}),
    "decorator.py": ("sm_decorator", {"accuracy": ["best"], "best": [], "write_wine": ["accuracy"]}),
    "deferrable.py": ("sm_deferrable", {"validate_linear": [], "validate_tree": []}),
    "mapping.py": (
        "sm_mapping",
        {
            "partitions": ["profile_all"],
            "profile_all": ["total_images"],
            "profile_known": [],
            "split": ["partitions", "profile_all", "profile_known"],
            "total_images": [],
        },
    ),
    "pipeline.py": ("sm_pipeline", {"evaluate": [], "preprocess": ["evaluate", "train"], "train": ["evaluate"]}),
    "result_files.py": (
        "sm_result_files",
        {"choose": [], "validate_linear": ["choose"], "validate_tree": ["choose"]},
    ),
    "sdk_style.py": ("sm_sdk_style", {"deepest_useful_tree": []}),
    "sensor.py": ("sm_sensor", {"accuracy": [], "another_team": [], "validation": ["accuracy"]}),
    "spark.py": ("sm_spark", {"count_words": []}),
    "training.py": ("sm_training", {"evaluate": [], "preprocess": ["evaluate", "train"], "train": ["evaluate"]}),
    "tuning.py": (
        "sm_tuning",
        {"choose": [], "compare": ["choose"], "preprocess": ["compare", "train"], "train": ["choose", "compare"]},
    ),
}

# What Airflow itself warns of isn't the example's: its modules come first.
PROGRAM = """
import json, os, runpy, sys, warnings
from airflow.sdk import DAG, dag, task
from airflow.sdk.definitions._internal.contextmanager import DagContext


def load(file):
    if file.endswith(("training.py", "tuning.py")):
        import airflow.providers.amazon.aws.operators.sagemaker
    DagContext.current_autoregister_module_name = "__main__"  # as Airflow's own DagBag does
    warnings.simplefilter("error")
    runpy.run_path(file)
    dags = sorted((dag for dag, _ in DagContext.autoregistered_dags), key=lambda dag: dag.dag_id)  # Airflow has a set
    print(json.dumps({
        "file": os.path.basename(file),
        "dags": [
            {
                "dag_id": dag.dag_id,
                "schedule": dag.schedule and [asset.name for asset in dag.schedule],
                "tags": sorted(dag.tags),
                "doc": dag.doc_md,
                "graph": {task_id: sorted(task.downstream_task_ids) for task_id, task in sorted(dag.task_dict.items())},
            }
            for dag in dags
        ],
        "modules": sorted(sys.modules),
    }), flush=True)


for file in sys.argv[1:]:
    if (child := os.fork()) == 0:
        load(file)
        sys.exit()
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{file} can't be loaded")
"""


@dataclass(frozen=True)
class Loaded:
    """What loading a file brought."""

    dags: list[dict[str, object]]
    modules: set[str]


@pytest.fixture(scope="session")
def loaded_examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Loaded]:
    """Every example, loaded with warnings as errors."""
    home = str(tmp_path_factory.mktemp("home"))
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, *(str(EXAMPLES / name) for name in FILES)],
        env={"PATH": os.environ["PATH"], "HOME": home, "AIRFLOW_HOME": home},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    found = [json.loads(line) for line in process.stdout.splitlines() if line.startswith("{")]
    return {text["file"]: Loaded(text["dags"], set(text["modules"])) for text in found}


def test_every_example_is_known_here():
    assert sorted(GRAPHS) == FILES


@pytest.mark.parametrize("name", FILES)
def test_an_example_waits_to_be_triggered_or_for_an_asset_and_explains_itself(
    name: str, loaded_examples: dict[str, Loaded]
):
    expected = GRAPHS[name]
    assert loaded_examples[name].dags == [
        {
            "dag_id": dag_id,
            "schedule": schedule,
            "tags": ["example", "sagemaker"],
            "doc": ast.get_docstring(ast.parse((EXAMPLES / name).read_text()), clean=False),
            "graph": graph,
        }
        for dag_id, graph, schedule in (expected if isinstance(expected, list) else [(*expected, None)])
    ]


@pytest.mark.parametrize("name", [name for name in FILES if name not in TRAINING])
def test_parse_law_an_example_loads_neither_boto3_nor_the_amazon_provider(
    name: str, loaded_examples: dict[str, Loaded]
):
    assert [module for module in loaded_examples[name].modules if module.startswith(HEAVY)] == []


@pytest.mark.parametrize("name", TRAINING)
def test_the_parse_law_could_be_broken(name: str, loaded_examples: dict[str, Loaded]):
    assert set(HEAVY) <= loaded_examples[name].modules


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_is_python_for_the_image_that_it_runs_in(script: Path):
    # sagemaker-scikit-learn:1.2-1 has Python 3.8.
    tree = ast.parse(script.read_text(), feature_version=(3, 8))
    assert ast.get_docstring(tree)
