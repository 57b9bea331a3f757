"""Cross-validate one model on scikit-learn's wine data."""

import argparse
import json
from pathlib import Path

from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=["linear", "tree"], required=True)
    parser.add_argument("--max-depth", type=int, help="of the tree")
    parser.add_argument("--repeats", type=int, default=1, help="more give a steadier figure, and take longer")
    arguments = parser.parse_args()

    if arguments.model == "linear":
        model = make_pipeline(StandardScaler(), LogisticRegression())
    else:
        model = DecisionTreeClassifier(max_depth=arguments.max_depth, random_state=7)
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=arguments.repeats, random_state=7)
    scores = cross_val_score(model, *load_wine(return_X_y=True), cv=folds)
    metrics = {"model": arguments.model, "accuracy": round(scores.mean(), 4)}
    Path("/opt/ml/processing/metrics/metrics.json").write_text(json.dumps(metrics))
    print(json.dumps(metrics))


if __name__ == "__main__":
    main()
