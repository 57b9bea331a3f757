"""Reading XComs that may be absent."""

from __future__ import annotations

from typing import Any

__all__ = ["xcom_if_any"]


def xcom_if_any(ti: Any, key: str) -> Any:
    """Return an XCom that a task instance may not have: Airflow logs an error where one is asked for in vain.

    Args:
        ti: The task instance, or its key.
        key: The XCom's.
    """
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import GetXComSequenceSlice

    from airflow_sm_processing.airflow_compat import XCom

    place = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id}
    comms: Any = task_runner.SUPERVISOR_COMMS
    found = comms.send(GetXComSequenceSlice(key=key, start=0, stop=1, step=None, **place))
    if not found.root:  # no instance of the task has one
        return None
    return XCom.get_one(key=key, map_index=ti.map_index, **place)
