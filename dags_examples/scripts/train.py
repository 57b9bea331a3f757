"""Fit a logistic regression to the training set, and save it with joblib."""

import argparse
from pathlib import Path

import joblib
import pandas as pd
from sklearn.linear_model import LogisticRegression


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--regularisation", type=float, default=1.0, help="larger fits more loosely")
    arguments = parser.parse_args()

    table = pd.read_csv("/opt/ml/processing/train/train.csv", header=None)
    model = LogisticRegression(C=1 / arguments.regularisation, max_iter=1000)
    model.fit(table.iloc[:, 1:], table.iloc[:, 0])
    joblib.dump(model, Path("/opt/ml/processing/model/model.joblib"))
    print(f"fitted {model} to {len(table)} rows")


if __name__ == "__main__":
    main()
