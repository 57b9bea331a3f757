"""Read the call, install what it needs, run the function, and write its result or error."""

from __future__ import annotations

import inspect
import json
import os
import pathlib
import signal
import sys
from typing import TYPE_CHECKING, Any

from .function import load_function
from .outcome import Outcome
from .requirements import install
from .values import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["main"]

_CODE = pathlib.Path(os.path.abspath(__file__)).parents[1]  # noqa: PTH100  # as it was started, without resolving links
_ML = _CODE.parents[2]
"""The container's `/opt/ml`: the code is in `/opt/ml/processing/input/code`."""
_INSTALLED = "--requirements-are-installed"
_FIRST_HOST = "algo-1"
_KILLED = 128


def main() -> None:
    """Run the call; the process's exit code tells SageMaker whether it succeeded."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # so that prints appear at once
    signal.signal(signal.SIGTERM, _end)
    host = _host()
    outcome = Outcome(_ML / "processing" / "outcome", host)
    try:
        call = json.loads((_CODE / "call.json").read_text(encoding="utf-8"))
        if call["requirements"] and _INSTALLED not in sys.argv:
            install([_here(line) for line in call["requirements"]])
            os.execv(sys.executable, [sys.executable, *sys.argv, _INSTALLED])  # noqa: S606  # so that it sees new packages
        value = _result_of(call)
        if host == _FIRST_HOST:
            outcome.put_result(value, multiple_outputs=call["multiple_outputs"], max_xcom_bytes=call["max_xcom_bytes"])
    except BaseException as error:
        text = outcome.put_error(error, _ML / "output" / "message")
        print(text, end="", file=sys.stderr, flush=True)
        if isinstance(error, SystemExit):
            raise
        sys.exit(1)


def _result_of(call: Mapping[str, Any]) -> Any:
    function = load_function(call)
    arguments = {name: decode(plain, _SPECIAL) for name, plain in call["arguments"].items()}
    bound = inspect.BoundArguments(inspect.signature(function), arguments)
    try:
        return function(*bound.args, **bound.kwargs)
    except SystemExit as error:
        if error.code not in {0, None}:
            raise
        return None


def _here(text: str) -> str:
    """Return a text with the real path in place of `/opt/ml`, which is another folder on the local SageMaker."""
    return text.replace("/opt/ml/", f"{_ML}/")


def _encoded_result(path: str) -> Any:
    return decode(json.loads(pathlib.Path(_here(path)).read_text(encoding="utf-8")))


_SPECIAL: dict[str, Callable[[Any], Any]] = {
    "path": lambda path: pathlib.Path(_here(path)),
    "result": _encoded_result,
}


def _host() -> str:
    try:
        config = json.loads((_ML / "config" / "resourceconfig.json").read_text(encoding="utf-8"))
    except OSError:  # not on SageMaker: somebody runs the call by hand
        return _FIRST_HOST
    return str(config["current_host"])


def _end(number: int, _: object) -> None:
    """Exit on SIGTERM as on an error: a container's first process would ignore it, and so `finally` blocks run."""
    sys.exit(_KILLED + number)
