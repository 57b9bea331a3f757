from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from .bench import Bench

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing.local import LocalSageMaker

_numbers = itertools.count(1)


@pytest.fixture
def bench(sagemaker: LocalSageMaker) -> Bench:
    """A new bucket on the shared server."""
    return Bench(sagemaker, f"bench-{next(_numbers)}")


@pytest.fixture
def bench_factory() -> Callable[[LocalSageMaker], Bench]:
    """New buckets on servers of a test's own."""
    return lambda server: Bench(server, f"own-{next(_numbers)}")
