"""The demo's child processes: none outlives its starter, however that one ends."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo.airflow_home import CHECKOUT, AirflowHome, HomeInUseError
from demo.ports import free_port
from demo.processes import ProcessError, Processes
from tests.waiting import wait_until

if TYPE_CHECKING:
    from demo.processes import Child

# Ignores SIGINT, and starts a process in a session of its own, as Airflow's task processes are.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""
# It is ended by SIGINT, which is ignored where the tests themselves are a shell script's background command.
STARTER = """
import signal, sys, time
from pathlib import Path
from demo.processes import Processes
signal.signal(signal.SIGINT, signal.default_int_handler)
with Processes(logs=Path(sys.argv[1])) as processes:
    processes.start("sleeper", [sys.executable, "-c", sys.argv[2]], {})
    time.sleep(600)
"""
ASSIGNED = Path("/proc/sys/net/ipv4/ip_local_port_range")
COUNTER = "import itertools, time; [print(n, flush=True) or time.sleep(0.01) for n in itertools.count()]"
# Prints for how many milliseconds Airflow waits for its database's lock: outside of an event loop, and in one.
WAITS = """
import asyncio
from airflow import settings
from sqlalchemy import text
settings.initialize()
def milliseconds():
    with settings.Session() as session:
        return session.execute(text("PRAGMA busy_timeout")).scalar_one()
async def main():
    return milliseconds()
print(milliseconds(), asyncio.run(main()))
"""
ORDERLY = STUBBORN.replace("signal.signal(signal.SIGINT, signal.SIG_IGN)", "")


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return tmp_path / "logs"


def first_line(log: Path) -> str:
    """Return the first line of a log when it is written."""
    text_of = lambda: log.read_text() if log.exists() else ""  # noqa: E731
    wait_until(lambda: "\n" in text_of(), shows=text_of)
    return text_of().partition("\n")[0]


def until_frozen(child: Child) -> None:
    state = lambda: process_state(child.pid)  # noqa: E731
    wait_until(lambda: state() == "T", shows=state)


def is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_blocks_end_ends_the_children_and_their_children(logs: Path) -> None:
    with Processes(logs=logs) as processes:
        processes.start("sleeper", [sys.executable, "-c", ORDERLY], {})
        grandchild = int(first_line(logs / "sleeper.log"))
        assert is_alive(grandchild)
    assert not is_alive(grandchild)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["SIGKILL", "SIGINT"])
def test_the_starters_end_ends_them_too(logs: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", STARTER, str(logs), ORDERLY]
    with subprocess.Popen(command, cwd=CHECKOUT, stderr=subprocess.DEVNULL) as starter:
        grandchild = int(first_line(logs / "sleeper.log"))
        starter.send_signal(number)
        starter.wait(timeout=300)
    wait_until(lambda: not is_alive(grandchild), shows=lambda: process_state(grandchild))


def test_a_child_that_ignores_sigint_is_killed(logs: Path) -> None:
    with Processes(logs=logs) as processes:
        child = processes.start("sleeper", [sys.executable, "-c", STUBBORN], {"DEMO_GRACE_SECONDS": "0.5"})
        grandchild = int(first_line(logs / "sleeper.log"))
    assert child.guard.returncode == 128 + signal.SIGKILL
    assert not is_alive(grandchild)


def process_state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_frozen_child_stands_still_and_then_goes_on(logs: Path) -> None:
    with Processes(logs=logs) as processes:
        child = processes.start("counter", [sys.executable, "-c", COUNTER], {})
        first_line(child.log)
        with child.frozen():
            until_frozen(child)
            count = len(child.log.read_text())
        wait_until(lambda: len(child.log.read_text()) > count, shows=child.log.read_text)


def test_a_child_is_frozen_again_elsewhere_until_it_stands_where_it_may(logs: Path) -> None:
    counts: list[int] = []
    with Processes(logs=logs) as processes:
        child = processes.start("counter", [sys.executable, "-c", COUNTER], {})
        first_line(child.log)

        def stands_elsewhere() -> bool:
            until_frozen(child)
            length = len(child.log.read_text())
            if length not in counts:  # it goes on in between, which a busy machine may need some time for
                counts.append(length)
            return len(counts) == 3

        with child.frozen(stands_elsewhere):
            assert process_state(child.pid) == "T"
        assert counts == sorted(set(counts))
        with pytest.raises(ProcessError, match="counter was frozen"), child.frozen(lambda: False):
            raise AssertionError("frozen")


def test_a_database_that_somebody_writes_to_is_not_writable(tmp_path: Path) -> None:
    home = AirflowHome(path=tmp_path / "airflow", port=0)
    with home.created():
        home.use_write_ahead_log()
        assert home.is_writable()
        with closing(sqlite3.connect(home.path / "airflow.db")) as database:
            assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            database.execute("BEGIN IMMEDIATE")
            assert not home.is_writable()
        assert home.is_writable()


def test_airflow_waits_less_for_its_databases_lock_in_an_event_loop(tmp_path: Path, logs: Path) -> None:
    home = AirflowHome(path=tmp_path / "airflow", port=0)
    with home.created(), Processes(logs=logs) as processes:
        processes.run("waits", [sys.executable, "-c", WAITS], home.environment())
    assert (logs / "waits.log").read_text().splitlines()[-1] == "60000 2000"


def test_a_child_that_ends_by_itself_is_told_with_the_end_of_its_log(logs: Path) -> None:
    with Processes(logs=logs) as processes:
        processes.start("failing", [sys.executable, "-c", "print('no such table'); exit(3)"], {})
        with pytest.raises(ProcessError, match=r"(?s)failing ended by itself with exit code 3.*no such table"):
            processes.wait_until(lambda: False, within=300, what="It")


def test_what_is_never_ready_is_told_with_the_time(logs: Path) -> None:
    with Processes(logs=logs) as processes, pytest.raises(ProcessError, match=r"Nothing wasn't ready after 0 s"):
        processes.wait_until(lambda: False, within=0, what="Nothing")


def test_two_cannot_have_the_same_airflow_home(tmp_path: Path) -> None:
    home = AirflowHome(path=tmp_path / "airflow", port=1)
    with home.created(), pytest.raises(HomeInUseError, match="Another process uses"), home.created():
        pass


def test_a_long_wait_is_not_silent(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo.processes._SILENT_SECONDS", 0.0)
    said: list[str] = []
    with Processes(logs=logs) as processes:
        processes.wait_until(lambda: len(said) > 1, within=300, what="Airflow", say=said.append)
    assert said[0].startswith("Airflow isn't ready yet, after ")


@pytest.mark.skipif(not ASSIGNED.exists(), reason="only Linux has this file")
def test_a_free_port_is_none_that_the_system_may_assign_to_a_connection():
    """On a busy machine, one in thousands of connections would get it before Airflow listens on it."""
    first, last = map(int, ASSIGNED.read_text().split())
    assert [port for port in (free_port() for _ in range(20)) if first <= port <= last] == []
