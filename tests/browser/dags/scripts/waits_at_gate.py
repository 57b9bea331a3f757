"""Write a numbered line a second until the file is there that the first argument names."""

import sys
import time
from pathlib import Path

gate = Path(sys.argv[1])
number = 0
while not gate.exists():
    number += 1
    print(f"line {number}", flush=True)
    time.sleep(1)
