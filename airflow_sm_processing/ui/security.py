"""Who may see and do what."""

from collections.abc import Container
from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.models.dag import DagModel
from fastapi import Depends, Header, HTTPException, status

__all__ = ["EDITS_TASK", "READS_TASK", "CurrentUser", "ReadableDags", "may_read_log", "meant_as_stop", "reads_jobs"]

_SHOWN = (DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM)  # what the pages are made of
READS_TASK = tuple(Depends(requires_access_dag("GET", entity)) for entity in _SHOWN)
"""For routes about one task, whose DAG is the parameter `dag_id`."""
EDITS_TASK = (*READS_TASK, Depends(requires_access_dag("PUT", DagAccessEntity.TASK_INSTANCE)))


def reads_jobs(user: GetUserDep) -> None:
    """Require a login, and the permission to read task instances and XComs of any DAG at all."""
    for entity in _SHOWN:
        if not get_auth_manager().is_authorized_dag(method="GET", access_entity=entity, user=user):
            raise HTTPException(status.HTTP_403_FORBIDDEN, "You may not read task instances and XComs of any DAG.")


class _ReadableDags(Container[str]):
    """The DAGs whose task instances and XComs a user may read; each is asked about once, when a record is of it."""

    def __init__(self, user: BaseUser) -> None:
        self._user = user
        self._authorized = get_auth_manager().get_authorized_dag_ids(user=user, method="GET")
        self._known: dict[str, bool] = {}

    def __contains__(self, dag_id: object) -> bool:
        if not isinstance(dag_id, str) or dag_id not in self._authorized:
            return False
        if dag_id not in self._known:
            self._known[dag_id] = _may_read(dag_id, self._user, *_SHOWN)
        return self._known[dag_id]


def _readable_dags(user: GetUserDep) -> _ReadableDags:
    return _ReadableDags(user)


CurrentUser = GetUserDep
ReadableDags = Annotated[Container[str], Depends(_readable_dags)]
"""The DAGs of which the user may read what the pages are made of."""


def may_read_log(dag_id: str, user: BaseUser) -> bool:
    """Tell whether the user may read the logs of the DAG's tasks."""
    return _may_read(dag_id, user, DagAccessEntity.TASK_LOGS)


def _may_read(dag_id: str, user: BaseUser, *entities: DagAccessEntity) -> bool:
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    authorized = get_auth_manager().is_authorized_dag
    return all(authorized(method="GET", access_entity=item, details=details, user=user) for item in entities)


def meant_as_stop(x_sm_processing: Annotated[str | None, Header()] = None) -> None:
    """Require a header that no other site's page can send along with the user's cookie."""
    if x_sm_processing != "stop":
        raise HTTPException(status.HTTP_403_FORBIDDEN, "A stop needs the header X-SM-Processing: stop.")
