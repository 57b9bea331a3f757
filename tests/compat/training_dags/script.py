import sys
from pathlib import Path

print("a line", flush=True)
Path("/opt/ml/processing/output/result.txt").write_text("a result")
sys.exit(3 if "fail" in sys.argv else 0)
