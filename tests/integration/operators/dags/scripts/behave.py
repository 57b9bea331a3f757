"""Does what its arguments say, as scripts for the real service do it."""

import os
import signal
import sys
import time
from pathlib import Path

behaviour = sys.argv[1]
output = Path("/opt/ml/processing/output")

if behaviour == "succeed":
    for number in range(3):
        print(f"line {number}", flush=True)
    (output / "result.txt").write_text("a result")
elif behaviour == "fail":
    print("about to fail", flush=True)
    Path("/opt/ml/output").mkdir(parents=True, exist_ok=True)
    Path("/opt/ml/output/message").write_text("the data is too old")
    sys.exit(3)
elif behaviour == "write nothing":
    pass
elif behaviour == "die":
    os.kill(os.getpid(), signal.SIGKILL)
elif behaviour == "not utf-8":
    sys.stdout.buffer.write(b"caf\xe9 \xff end\n")
elif behaviour == "1 MB line":
    print("x" * 1024 * 1024 + "END")
elif behaviour == "sleep":
    print("sleeping", flush=True)
    time.sleep(600)
else:
    sys.exit(f"unknown behaviour {behaviour}")
