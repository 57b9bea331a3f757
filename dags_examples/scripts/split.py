"""Split scikit-learn's handwritten digits into one CSV file for each digit that is asked for."""

import argparse
from pathlib import Path

from sklearn.datasets import load_digits

PARTITIONS = Path("/opt/ml/processing/partitions")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--digits", type=int, nargs="+", required=True)
    arguments = parser.parse_args()

    images = load_digits(as_frame=True).frame
    for digit in arguments.digits:
        partition = images[images["target"] == digit]
        partition.to_csv(PARTITIONS / f"digit-{digit}.csv", index=False)
        print(f"digit {digit}: {len(partition)} images")


if __name__ == "__main__":
    main()
