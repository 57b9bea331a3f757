"""Split scikit-learn's breast cancer data into scaled training and test sets.

A SageMaker processing script like any other: it runs in the image's Python, reads its arguments from the command line,
and writes to the container paths of the job's outputs. Each set is one CSV file in the form of SageMaker's built-in
algorithms: the label in the first column, no header.
"""

import argparse
from pathlib import Path

import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

OUTPUTS = Path("/opt/ml/processing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--test-size", type=float, default=0.25, help="the test set's share of all rows")
    arguments = parser.parse_args()

    data = load_breast_cancer(as_frame=True)
    train, test, train_labels, test_labels = train_test_split(
        data.data, data.target, test_size=arguments.test_size, random_state=7, stratify=data.target
    )
    scaler = StandardScaler().fit(train)
    save("train", scaler.transform(train), train_labels)
    save("test", scaler.transform(test), test_labels)


def save(name, features, labels) -> None:
    frame = pd.DataFrame(features)
    frame.insert(0, "label", labels.to_numpy())
    frame.to_csv(OUTPUTS / name / f"{name}.csv", header=False, index=False)
    print(f"{name}: {len(frame)} rows, {labels.mean():.1%} of them benign")


if __name__ == "__main__":
    main()
