"""Child processes that log to files, are waited for until healthy, and never outlive us.

    with Processes(logs=folder) as processes:
        processes.start("scheduler", ["airflow", "scheduler"], environment)
        processes.wait_until(healthy, within=60)

At the end of the block all are stopped together, by SIGINT and then harder; `guard.py` says how, and what happens when
this process itself is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from demo.guard import GRACE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self

_GUARD = Path(__file__).with_name("guard.py")
_SILENT_SECONDS = 10.0
_LOOK_EVERY_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 1.0
_SHOWN_LINES = 15
_FREEZES = 20


class ProcessError(Exception):
    """A process ended too early, or didn't become healthy in time."""


@dataclass(frozen=True)
class Child:
    """One command, behind its guard."""

    name: str
    guard: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
        """Start the command; its stdout and stderr go to `log`."""
        with log.open("wb") as output:
            guard = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_GUARD), *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
            )
        return cls(name, guard, log)

    @property
    def pid(self) -> int:
        """The command's own process, behind its guard (on Linux)."""
        return _descendants(self.guard.pid)[0]

    def let_go(self) -> None:
        """Cut the lifeline: the guard ends the command."""
        assert self.guard.stdin is not None  # PIPE above
        self.guard.stdin.close()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to each of the command's processes, parents first (on Linux)."""
        for pid in _descendants(self.guard.pid):
            with contextlib.suppress(ProcessLookupError):  # its parent's end may have been its own
                os.kill(pid, number)

    @contextmanager
    def frozen(self, when: Callable[[], bool] = lambda: True) -> Iterator[None]:
        """Hold all of the command's processes, as a machine that is suspended does, until the block's end.

        Args:
            when: Asked while they are held. As long as the answer is no, they run for a moment and are held again.

        Raises:
            ProcessError: The answer was always no.
        """
        for _ in range(_FREEZES):
            self.signal(signal.SIGSTOP)
            try:
                if when():
                    yield
                    return
            finally:
                self.signal(signal.SIGCONT)
            time.sleep(_LOOK_EVERY_SECONDS)  # stopped at once, they would stand where they stood
        raise ProcessError(f"{self.name} was frozen {_FREEZES} times, and never where it may be")

    def tail(self) -> str:
        """Return the last lines of the log."""
        lines = self.log.read_text(errors="replace").splitlines()[-_SHOWN_LINES:]
        return "\n".join(f"    {line}" for line in lines)


class Processes:
    """The children of a block."""

    def __init__(self, *, logs: Path) -> None:
        self._logs = logs
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Start a command that runs until the block's end."""
        child = Child.start(name, command, environment, self._logs / f"{name}.log")
        self._children.append(child)
        return child

    def run(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Run a command to its end.

        Raises:
            ProcessError: It ended with another exit code than 0.
        """
        child = self.start(name, command, environment)
        if exit_code := child.guard.wait():
            raise ProcessError(f"{name} ended with exit code {exit_code}. Its log, {child.log}:\n{child.tail()}")
        child.let_go()
        self._children.remove(child)

    def stop_one(self, child: Child) -> None:
        """End one child before the others, as at the block's end; return when all of it is gone."""
        self._children.remove(child)
        child.let_go()
        child.guard.wait(GRACE_SECONDS * 2)

    def kill_one(self, child: Child) -> None:
        """End one child by SIGKILL, without a chance to say goodbye; return when all of it is gone."""
        self._children.remove(child)
        child.signal(signal.SIGKILL)
        child.guard.wait(GRACE_SECONDS)
        child.let_go()

    def wait_until(
        self, ready: Callable[[], bool], *, within: float, what: str, say: Callable[[str], None] | None = None
    ) -> None:
        """Wait until `ready`, at most `within` seconds; `say` is told of the wait every ten seconds.

        Raises:
            ProcessError: A child ended before, or the time is over.
        """
        started = time.monotonic()
        deadline, next_word = started + within, started + _SILENT_SECONDS
        while not ready():
            self.check()
            if say is not None and time.monotonic() > next_word:
                say(f"{what} isn't ready yet, after {time.monotonic() - started:.0f} s")
                next_word += _SILENT_SECONDS
            if time.monotonic() > deadline:
                raise ProcessError(f"{what} wasn't ready after {within:.0f} s. See the logs in {self._logs}.")
            # A look may be a request to a server that is busy: the longer the wait, the less a pause adds to it.
            time.sleep(min(_LONGEST_PAUSE_SECONDS, _LOOK_EVERY_SECONDS + (time.monotonic() - started) / 40))

    def check(self) -> None:
        """Raise ProcessError if a child has ended."""
        for child in self._children:
            if (exit_code := child.guard.poll()) is not None:
                message = f"{child.name} ended by itself with exit code {exit_code}. Its log, {child.log}:"
                raise ProcessError(f"{message}\n{child.tail()}")

    def stop(self) -> None:
        """End all children, together; return when they and their descendants are gone."""
        for child in self._children:
            child.let_go()
        while self._children:
            # The guard kills after its grace: it can't take much longer.
            self._children.pop().guard.wait(GRACE_SECONDS * 2)


def _descendants(pid: int) -> list[int]:
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # it has ended meanwhile
        return []
    return [found for child in children for found in (child, *_descendants(child))]
