"""Fit a logistic regression to the training set, and save it with joblib.

It runs as a processing job, and as a training job in script mode, which says in SM_… variables where things are.
"""

import argparse
import os
from pathlib import Path

import joblib
import pandas as pd
from sklearn.linear_model import LogisticRegression


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--regularisation", type=float, default=1.0, help="larger fits more loosely")
    parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN", "/opt/ml/processing/train"))
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR", "/opt/ml/processing/model"))
    arguments = parser.parse_args()

    table = pd.read_csv(Path(arguments.train) / "train.csv", header=None)
    labels, features = table.iloc[:, 0], table.iloc[:, 1:]
    model = LogisticRegression(C=1 / arguments.regularisation, max_iter=1000)
    model.fit(features, labels)
    joblib.dump(model, Path(arguments.model_dir) / "model.joblib")
    print(f"fitted {model} to {len(table)} rows: accuracy {model.score(features, labels):.4f}")


if __name__ == "__main__":
    main()
