"""Measure training jobs' models on the test set, and write which one is the best as JSON."""

import json
import tarfile
from pathlib import Path

import joblib
import pandas as pd

FOLDER = Path("/opt/ml/processing")


def main() -> None:
    table = pd.read_csv(FOLDER / "test" / "test.csv", header=None)
    labels, features = table.iloc[:, 0], table.iloc[:, 1:]
    folders = sorted((FOLDER / "models").iterdir(), key=lambda folder: int(folder.name))
    accuracies = [load(folder).score(features, labels) for folder in folders]
    index = accuracies.index(max(accuracies))
    best = {"index": index, "accuracy": accuracies[index], "accuracies": accuracies}
    (FOLDER / "comparison" / "best.json").write_text(json.dumps(best))
    print(json.dumps(best))


def load(folder):
    """Return the model that a training job has packed."""
    with tarfile.open(folder / "model.tar.gz") as archive:
        return joblib.load(archive.extractfile("model.joblib"))


if __name__ == "__main__":
    main()
