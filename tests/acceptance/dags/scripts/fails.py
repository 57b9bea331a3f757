import sys
import time
from pathlib import Path

print("the column age is missing", flush=True)
# See dags/ends.py: no deferral is short.
time.sleep(10)
Path("/opt/ml/output").mkdir(parents=True, exist_ok=True)
Path("/opt/ml/output/message").write_text("bad input: no column age")
sys.exit(3)
