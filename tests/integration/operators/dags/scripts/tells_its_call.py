"""Writes the arguments and the environment that it got to its output."""

import json
import os
import pathlib
import sys

call = {"arguments": sys.argv[1:], "env": {name: os.environ.get(name) for name in ("VERSION", "FLAG", "NUMBER")}}
pathlib.Path("/opt/ml/processing/output/call.json").write_text(json.dumps(call), encoding="utf-8")
