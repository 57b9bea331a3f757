"""Fail the first time; the file that the first argument names tells the times apart."""

import sys
from pathlib import Path

been_here = Path(sys.argv[1])
if been_here.exists():
    print("second try: the data is there", flush=True)
else:
    been_here.touch()
    Path("/opt/ml/output").mkdir(parents=True, exist_ok=True)
    Path("/opt/ml/output/message").write_text("first try: yesterday's data is late")
    sys.exit(1)
