"""Serve the plan that the command line gives."""

import asyncio
import sys

from benchmarks.fake_sagemaker.plan import Plan
from benchmarks.fake_sagemaker.server import serve

asyncio.run(serve(Plan.from_json(sys.argv[1])))
