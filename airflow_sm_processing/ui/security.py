"""Permissions: who may read jobs, read logs and stop jobs."""

from collections.abc import Container
from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.models.dag import DagModel
from fastapi import Depends, Header, HTTPException, status

__all__ = [
    "TASK_EDIT_ACCESS",
    "TASK_READ_ACCESS",
    "CurrentUser",
    "ReadableDags",
    "may_read_log",
    "require_read_access",
    "require_stop_header",
]

_ENTITIES = (DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM)  # the pages show the content of both
TASK_READ_ACCESS = tuple(Depends(requires_access_dag("GET", entity)) for entity in _ENTITIES)
"""For routes about one task, whose DAG is the parameter `dag_id`."""
TASK_EDIT_ACCESS = (*TASK_READ_ACCESS, Depends(requires_access_dag("PUT", DagAccessEntity.TASK_INSTANCE)))


def require_read_access(user: GetUserDep) -> None:
    """Require a login, and permission to read the task instances and XComs of at least one DAG."""
    for entity in _ENTITIES:
        if not get_auth_manager().is_authorized_dag(method="GET", access_entity=entity, user=user):
            raise HTTPException(
                status.HTTP_403_FORBIDDEN, "You don't have permission to read the task instances and XComs of any DAG."
            )


class _ReadableDags(Container[str]):
    """The DAGs whose task instances and XComs a user may read. Each DAG is checked once, when a record is of it."""

    def __init__(self, user: BaseUser) -> None:
        self._user = user
        self._authorized = get_auth_manager().get_authorized_dag_ids(user=user, method="GET")
        self._checked: dict[str, bool] = {}

    def __contains__(self, dag_id: object) -> bool:
        if not isinstance(dag_id, str) or dag_id not in self._authorized:
            return False
        if dag_id not in self._checked:
            self._checked[dag_id] = _may_read(dag_id, self._user, *_ENTITIES)
        return self._checked[dag_id]


def _readable_dags(user: GetUserDep) -> _ReadableDags:
    return _ReadableDags(user)


CurrentUser = GetUserDep
ReadableDags = Annotated[Container[str], Depends(_readable_dags)]
"""The DAGs whose task instances and XComs the user may read."""


def may_read_log(dag_id: str, user: BaseUser) -> bool:
    """Return whether the user may read the task logs of a DAG."""
    return _may_read(dag_id, user, DagAccessEntity.TASK_LOGS)


def _may_read(dag_id: str, user: BaseUser, *entities: DagAccessEntity) -> bool:
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    authorized = get_auth_manager().is_authorized_dag
    return all(authorized(method="GET", access_entity=item, details=details, user=user) for item in entities)


def require_stop_header(x_sm_processing: Annotated[str | None, Header()] = None) -> None:
    """Require a header that no other site's page can send along with the user's cookie."""
    if x_sm_processing != "stop":
        raise HTTPException(status.HTTP_403_FORBIDDEN, "A stop request needs the header X-SM-Processing: stop.")
