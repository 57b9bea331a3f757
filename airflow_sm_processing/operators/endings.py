"""Whether a task can end without a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_sm_processing.operators.modes import Modes

__all__ = ["ends_from_trigger"]


_OWN_XCOM = "airflow.sdk.execution_time.xcom.BaseXCom"


def ends_from_trigger(task: BaseOperator, modes: Modes) -> bool:
    """Tell whether the trigger may end the task, and say why not where the user asked for it."""
    if not modes.end_from_trigger:
        return False
    reasons = list(_reasons_for_a_worker(task, modes))
    if reasons:
        task.log.info("A worker will end the task, though end_from_trigger=True: %s.", "; ".join(reasons))
    return not reasons


def _reasons_for_a_worker(task: BaseOperator, modes: Modes) -> Iterator[str]:
    """Yield what Airflow does at a task's end only in a worker."""
    from airflow_sm_processing.airflow_compat import conf

    has_hook = type(task).post_execute is not BaseOperator.post_execute or getattr(task, "_post_execute_hook", None)
    backend = conf.get("core", "xcom_backend", fallback=_OWN_XCOM).rpartition(".")[2]
    reasons = {
        "it shows the log's end (logs='tail')": modes.logs == "tail",
        "it keeps its result out of XCom (do_xcom_push=False)": not task.do_xcom_push,
        "it reads result_files": getattr(task, "result_files", None),
        "it has outlets, whose asset events a worker emits": task.outlets,
        "it has an on_success_callback, which a worker calls": task.on_success_callback,
        "it has a post_execute of its own": has_hook,
        "the XCom backend is not Airflow's own": backend != "BaseXCom",
        "a task is mapped over its result": next(iter(task.iter_mapped_dependants()), None) is not None,
    }
    yield from (reason for reason, holds in reasons.items() if holds)
    own = getattr(task, "needs_worker", None)
    if own is not None:
        yield own
