"""The policies hold, tried in a process and an account of their own.

Which calls tasks make depends on what is there already, such as the default bucket that another test has made.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_policies_allow_what_tasks_call():
    checks = Path(__file__).with_name("policy_holds.py")
    options = ("-q", "--show-capture=no", "-p", "no:cacheprovider", "--timeout=900")
    command = [sys.executable, "-m", "pytest", *options, str(checks)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    reasons = [line for line in run.stdout.splitlines() if line.startswith(("E  ", "FAILED", "ERROR"))]
    assert run.returncode == 0, f"{'; '.join(reasons)}\n{run.stdout[-5000:]}"  # of a failure, CI shows the first line
    assert " passed" in run.stdout
