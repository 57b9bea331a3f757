"""Count the words of all files in a folder with Spark, and write the counts as one CSV file."""

import csv
import sys
from operator import add
from pathlib import Path

from pyspark.sql import SparkSession
from words import words_of


def main(source: str, target: str) -> None:
    spark = SparkSession.builder.appName("count words").getOrCreate()
    # The service's hosts have the input in their own folders; HDFS is Spark's default there.
    lines = spark.sparkContext.textFile(f"file://{source}")
    counts = lines.flatMap(words_of).map(lambda word: (word, 1)).reduceByKey(add).sortByKey().collect()
    with (Path(target) / "counts.csv").open("w", newline="") as file:
        csv.writer(file).writerows(counts)
    print(f"{len(counts)} different words")
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
