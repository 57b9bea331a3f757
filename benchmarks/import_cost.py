"""What the imports of a DAG file cost in CPU time, in fresh interpreters with `airflow.sdk` loaded.

Every parse of every DAG file pays this: Airflow pre-imports only modules of its own.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

RUNS = 15
HEAVY = ("boto3", "botocore")
BASELINE = "a light operator of Airflow's own"
CONTENDERS = {
    "ours: the operators and what they are given": (
        "from airflow_sm_processing import NetworkConfig, ProcessingInput, ProcessingOperator, ProcessingOutput, "
        "ScriptProcessingOperator"
    ),
    BASELINE: "from airflow.providers.standard.operators.bash import BashOperator",
    "the amazon provider's SageMaker operators": (
        "from airflow.providers.amazon.aws.operators.sagemaker import SageMakerProcessingOperator"
    ),
}
PROGRAM = """
import sys, time
from airflow.sdk import DAG, BaseOperator
started = time.process_time()
{statement}
milliseconds = (time.process_time() - started) * 1000
own = sum(name.startswith("airflow_sm_processing") for name in sys.modules)
print(milliseconds, own, *(name for name in {heavy} if name in sys.modules))
"""


def measure(statement: str) -> tuple[float, int, str]:
    """Return the CPU milliseconds of a statement, the modules of ours that it loads, and the heavy ones."""
    program = PROGRAM.format(statement=statement, heavy=HEAVY)
    # Compiled files are kept, as they are where Airflow runs.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment)
    milliseconds, own, *loaded = run.stdout.split()
    return float(milliseconds), int(own), ", ".join(loaded) or "nothing heavy"


def main() -> None:
    """Measure the contenders in turn, and print their medians and their ratio to BashOperator's."""
    times: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    own: dict[str, int] = {}
    loaded: dict[str, str] = {}
    for turn in range(RUNS + 1):
        for name, statement in CONTENDERS.items():
            milliseconds, own[name], loaded[name] = measure(statement)
            if turn:  # the first writes the compiled files
                times[name].append(milliseconds)
    light = statistics.median(times[BASELINE])
    print(
        f"{'import (CPU time)':<46}{'median':>9}{'min':>9}{'max':>9}{'ratio':>8}  our modules, and what else is loaded"
    )
    for name, values in times.items():
        median = statistics.median(values)
        print(
            f"{name:<46}{median:>6.1f} ms{min(values):>6.1f} ms{max(values):>6.1f} ms{median / light:>8.1f}"
            f"  {own[name]}, {loaded[name]}"
        )
