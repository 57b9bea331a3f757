import time
from pathlib import Path

print("first line", flush=True)
# Airflow 3.3.2 may fail a deferral that is shorter than its scheduler's loop (apache/airflow#67287).
time.sleep(8)
Path("/opt/ml/processing/result/result.txt").write_text("all of it")
Path("/opt/ml/output").mkdir(parents=True, exist_ok=True)
Path("/opt/ml/output/message").write_text("one file written")
print("last line")
