"""Work that a signal's exception interrupts at any moment ends, and leaves no thread that waits for ever."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_sm_processing.processing.uploads.engines import Interruption, run_out_of_reach_of_signals

INTERRUPTED_OFTEN = """
import random, signal, threading
from concurrent.futures import ThreadPoolExecutor
from airflow_sm_processing.processing.uploads.engines import Interruption, run_out_of_reach_of_signals

class TimeoutOfATask(BaseException):
    pass

def work(interruption):
    with ThreadPoolExecutor(3) as pool:
        for number in range(2000):
            if interruption.is_requested:
                return
            pool.submit(str, number).add_done_callback(str)

def interrupt(*_):
    if is_interruptible:
        raise TimeoutOfATask

signal.signal(signal.SIGALRM, interrupt)
interrupted = 0
for _ in range(200):
    interruption = Interruption()
    is_interruptible = True
    signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0005, 0.02))
    try:
        run_out_of_reach_of_signals(lambda: work(interruption), interruption)
        is_interruptible = False
    except TimeoutOfATask:
        is_interruptible = False
        interrupted += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
print(interrupted > 100, [thread.name for thread in threading.enumerate()])
"""


def test_a_pool_that_is_interrupted_at_any_moment_ends() -> None:
    # Without the thread of its own, one of the first hundred interruptions leaves a lock behind, and the pool hangs.
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_OFTEN], capture_output=True, text=True, timeout=200, check=False
    )
    assert (ended.stdout, ended.stderr) == ("True ['MainThread']\n", "")


def test_what_the_work_returns_and_raises_is_the_callers() -> None:
    assert run_out_of_reach_of_signals(lambda: threading.current_thread().name, Interruption()) == "upload"
    with pytest.raises(ZeroDivisionError):
        run_out_of_reach_of_signals(lambda: 1 / 0, Interruption())


def test_it_is_callable_where_no_handler_runs() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(run_out_of_reach_of_signals, lambda: 1, Interruption()).result() == 1


def test_signals_are_let_through_again() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    run_out_of_reach_of_signals(lambda: None, Interruption())
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_the_thread_itself_gets_no_signal() -> None:
    held = run_out_of_reach_of_signals(lambda: signal.pthread_sigmask(signal.SIG_BLOCK, []), Interruption())
    assert {signal.SIGTERM, signal.SIGALRM, signal.SIGINT} <= held
