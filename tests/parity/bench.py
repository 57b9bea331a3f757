"""The place where cases are carried out: both libraries before one recording endpoint."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .case import FOLDER, Case
from .wire import Wire

if TYPE_CHECKING:
    from pathlib import Path

    from .endpoint.server import RecordingEndpoint
    from .side import Side


@dataclass
class Bench:
    """Carries a case out with the SDK and with ours, each in an account of its own."""

    endpoint: RecordingEndpoint
    sides: tuple[Side, Side]
    scratch: Path

    def __post_init__(self) -> None:
        self._numbers = itertools.count()

    def compare(self, case: Case) -> tuple[Wire, Wire]:
        """Return what the SDK and what we put on the wire."""
        sdk, ours = (self._carry_out(side, case) for side in self.sides)
        return sdk, ours

    def ours(self, case: Case) -> Wire:
        """Return what we put on the wire."""
        return self._carry_out(self.sides[1], case)

    def parameters(self, name: str) -> list[list[list[str]]]:
        """Return the name, default and kind of each parameter of a class or method, with the SDK and with ours."""
        order = {"parameters of": name, "access_key": f"AKIA{next(self._numbers)}"}
        return [side.carry_out(order)["parameters"] for side in self.sides]

    def _carry_out(self, side: Side, case: Case) -> Wire:
        folder = self._furnished_folder(case)
        access_key = f"AKIA{side.name.upper()}{next(self._numbers)}"
        account = self.endpoint.accounts[access_key] = case.account()
        order = json.loads(json.dumps(case.order()).replace(FOLDER, str(folder)))
        answer = side.carry_out({**order, "folder": str(folder), "access_key": access_key})
        return Wire(account, answer)

    def _furnished_folder(self, case: Case) -> Path:
        folder = self.scratch / f"case-{next(self._numbers)}"
        folder.mkdir()
        for name, content in case.files.items():
            _make_file(folder / name, content, is_folder=name.endswith("/"))
        for name, target in case.links.items():
            (folder / name).symlink_to(target)
        return folder


def _make_file(path: Path, content: str | bytes, *, is_folder: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_folder:
        path.mkdir()
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
