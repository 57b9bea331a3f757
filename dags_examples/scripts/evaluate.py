"""Measure the model on the test set; write the metrics as JSON, and the main one as the job's exit message.

A processing job's model is a file in its output; a training job's comes packed, as model.tar.gz.
"""

import json
import tarfile
from pathlib import Path

import joblib
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

FOLDER = Path("/opt/ml/processing")


def main() -> None:
    packed = FOLDER / "model" / "model.tar.gz"
    if packed.exists():
        with tarfile.open(packed) as archive:
            archive.extract("model.joblib", packed.parent)
    model = joblib.load(FOLDER / "model" / "model.joblib")
    table = pd.read_csv(FOLDER / "test" / "test.csv", header=None)
    labels, features = table.iloc[:, 0], table.iloc[:, 1:]
    metrics = {
        "rows": len(table),
        "accuracy": accuracy_score(labels, model.predict(features)),
        "f1": f1_score(labels, model.predict(features)),
        "roc_auc": roc_auc_score(labels, model.predict_proba(features)[:, 1]),
    }
    (FOLDER / "evaluation" / "evaluation.json").write_text(json.dumps(metrics))
    # SageMaker shows this file's first kilobyte as the job's ExitMessage.
    Path("/opt/ml/output").mkdir(parents=True, exist_ok=True)
    Path("/opt/ml/output/message").write_text(f"accuracy {metrics['accuracy']:.3f}")
    print(json.dumps(metrics))


if __name__ == "__main__":
    main()
