"""Profile one partition: how many images, and how much ink."""

import argparse
import json
from pathlib import Path

import pandas as pd

FOLDER = Path("/opt/ml/processing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partition", required=True, help="the file's name")
    arguments = parser.parse_args()

    images = pd.read_csv(FOLDER / "partitions" / arguments.partition)
    ink = images.drop(columns="target").sum(axis="columns")
    profile = {"partition": arguments.partition, "images": len(images), "mean_ink": round(ink.mean(), 2)}
    (FOLDER / "profile" / "profile.json").write_text(json.dumps(profile))
    print(json.dumps(profile))


if __name__ == "__main__":
    main()
