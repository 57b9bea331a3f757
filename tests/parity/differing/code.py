"""Scripts of any name, and folders of them."""

from __future__ import annotations

from typing import Any

from tests.parity.case import FOLDER, Case
from tests.parity.difference import Difference, left_behind, outcome, specification

SCRIPT = {"script.py": "print(1)", "src/main.py": "print(2)", "src/helper.py": ""}


def _script(name: str, code: str, **more: Any) -> Case:
    run = {"code": code, **more.pop("run", {})}
    return Case(name=name, processor="ScriptProcessor", runs=(run,), files={**SCRIPT, **more.pop("files", {})}, **more)


DIFFERENCES = (
    Difference(
        case=_script("code in a folder", "src", run={"script_name": "main.py"}),
        reason="a script has modules beside it",
        see=specification,
        sdk=("TypeError", []),
        ours=("created", [{"ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/main.py"]}]),
    ),
    Difference(
        case=_script("code by a file URL with a space", f"file://{FOLDER}/my%20script.py", files={"my script.py": ""}),
        reason="the SDK uploads `my script.py` and runs `my%20script.py`, which isn't there",
        see=specification,
        sdk=("created", [{"ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/my%20script.py"]}]),
        ours=("created", [{"ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/my script.py"]}]),
    ),
    Difference(
        case=_script("code with a number sign in its name", "script#1.py", files={"script#1.py": ""}),
        reason="a local path is no URL: the SDK looks for a file named `script`",
        see=outcome,
        sdk="ValueError",
        ours="created",
    ),
    Difference(
        case=_script("code without a command", "script.py", init={"command": None}),
        reason="the SDK fails on None + list, after the upload",
        see=left_behind,
        sdk=("TypeError", 1),
        ours=("DefinitionError", 0),
    ),
    Difference(
        case=_script("logs of a script without waiting", "script.py", run={"logs": True}),
        reason="Processor.run refuses it, ScriptProcessor.run shows no logs and doesn't say so",
        see=outcome,
        sdk="created",
        ours="DefinitionError",
    ),
)
