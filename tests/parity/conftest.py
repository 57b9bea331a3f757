from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .bench import Bench
from .endpoint.server import recording_endpoint
from .sdk_environment import sdk_python
from .side import side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    scratch = tmp_path_factory.mktemp("parity")
    with (
        recording_endpoint() as endpoint,
        side("sdk", sdk_python(), scratch, endpoint.url) as sdk,
        side("ours", Path(sys.executable), scratch, endpoint.url) as ours,
    ):
        yield Bench(endpoint, (sdk, ours), scratch)


@pytest.fixture
def proven(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Note the cases that a test found equal; the terminal's summary adds them up, across xdist's processes too."""

    def note(*, written: int = 0, generated: int = 0) -> None:
        record_property("parity", (written, generated))

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    by_file: dict[str, list[tuple[int, int]]] = {}
    for report in terminalreporter.getreports("passed"):
        for name, count in getattr(report, "user_properties", []):
            if name == "parity" and report.when == "call":
                by_file.setdefault(Path(report.fspath).stem, []).append(count)
    if by_file:
        sums = {name: [sum(kind) for kind in zip(*counts, strict=True)] for name, counts in by_file.items()}
        written, generated = (sum(kind) for kind in zip(*sums.values(), strict=True))
        unequal = len(terminalreporter.getreports("failed")) + len(terminalreporter.getreports("error"))
        terminalreporter.write_line(
            f"wire parity: {written + generated} cases ({written} written, {generated} generated), "
            + ("all equal" if not unequal else f"equal; {unequal} tests failed")
        )
        for name, (by_hand, drawn) in sorted(sums.items()):
            terminalreporter.write_line(f"  {name}: {by_hand} written, {drawn} generated")
