"""Work that a signal's exception interrupts at any moment ends, and leaves no thread that waits for ever."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_sm_processing.processing.uploads.engines import run_out_of_reach_of_signals

INTERRUPTED_OFTEN = """
import random, signal, threading, time
from concurrent.futures import ThreadPoolExecutor
from airflow_sm_processing.processing.uploads.engines import run_out_of_reach_of_signals

class TimeoutOfATask(BaseException):
    pass

def work(interruption):
    with ThreadPoolExecutor(3) as pool:
        ends = time.monotonic() + 10
        while not interruption.is_requested and time.monotonic() < ends:
            pool.submit(int).add_done_callback(str)

def interrupt(_, frame):
    if frame is not None and frame.f_code.co_filename.endswith(("weakref.py", "_weakrefset.py")):
        signal.setitimer(signal.ITIMER_REAL, 0.001)  # Python swallows what is raised here
    else:
        raise TimeoutOfATask

signal.signal(signal.SIGALRM, interrupt)
interrupted = 0
for _ in range(200):
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0005, 0.02))
        run_out_of_reach_of_signals(work)
    except TimeoutOfATask:
        interrupted += 1
print(interrupted, [thread.name for thread in threading.enumerate()])
"""


def test_a_pool_that_is_interrupted_at_any_moment_ends() -> None:
    # Without the thread of its own, one of the first hundred interruptions leaves a lock behind, and the pool hangs.
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_OFTEN], capture_output=True, text=True, timeout=200, check=False
    )
    assert (ended.stdout, ended.stderr) == ("200 ['MainThread']\n", "")


def test_what_the_work_returns_and_raises_is_the_callers() -> None:
    assert run_out_of_reach_of_signals(lambda _: threading.current_thread().name) == "upload"
    with pytest.raises(ZeroDivisionError):
        run_out_of_reach_of_signals(lambda _: 1 / 0)


def test_it_is_callable_where_no_handler_runs() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(run_out_of_reach_of_signals, lambda _: 1).result() == 1


def test_signals_are_let_through_again() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    run_out_of_reach_of_signals(lambda _: None)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_the_thread_itself_gets_no_signal() -> None:
    held = run_out_of_reach_of_signals(lambda _: signal.pthread_sigmask(signal.SIG_BLOCK, []))
    assert {signal.SIGTERM, signal.SIGALRM, signal.SIGINT} <= held
