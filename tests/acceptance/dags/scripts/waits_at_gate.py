"""Write numbered lines until the file is there that the first argument names.

The first three come a second apart, the others every three seconds: dozens of such jobs run at a time.
"""

import sys
import time
from pathlib import Path

gate = Path(sys.argv[1])
second = number = 0
while not gate.exists():
    if second < 3 or second % 3 == 0:
        number += 1
        print(f"line {number}", flush=True)
    second += 1
    time.sleep(1)
