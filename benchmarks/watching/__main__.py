"""Run the scenarios that the command line names."""

import sys

from benchmarks.watching.command import run

run(sys.argv[1:])
