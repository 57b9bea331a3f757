import sys
from pathlib import Path

print("the column age is missing", flush=True)
Path("/opt/ml/output").mkdir(parents=True, exist_ok=True)
Path("/opt/ml/output/message").write_text("bad input: no column age")
sys.exit(3)
