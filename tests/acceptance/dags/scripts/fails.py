import sys
import time
from pathlib import Path

print("the column age is missing", flush=True)
# Airflow 3.3.2 may fail a deferral that is shorter than its scheduler's loop (apache/airflow#67287).
time.sleep(8)
Path("/opt/ml/output").mkdir(parents=True, exist_ok=True)
Path("/opt/ml/output/message").write_text("bad input: no column age")
sys.exit(3)
