"""An auth manager whose user `limited` may read and edit only the DAGs that begin with `open_`."""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager


class SomeDagsAuthManager(SimpleAuthManager):
    """The simple one, but for that user; `no_logs` may read no log, `no_xcoms` no XCom of `closed_dag`."""

    def is_authorized_dag(self, *, method, user, access_entity=None, details=None):
        """Return whether the user has access."""
        if user.username == "limited" and details and details.id and not details.id.startswith("open_"):
            return False
        if user.username == "no_logs" and access_entity and access_entity.name == "TASK_LOGS":
            return False
        reads_xcoms = access_entity and access_entity.name == "XCOM"
        if user.username == "no_xcoms" and reads_xcoms and details and details.id == "closed_dag":
            return False
        return super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details)

    def filter_authorized_dag_ids(self, *, dag_ids, user, method="GET", team_name=None):
        """Return those of the DAGs that the user may read."""
        dags = {dag_id for dag_id in dag_ids if user.username != "limited" or dag_id.startswith("open_")}
        return super().filter_authorized_dag_ids(dag_ids=dags, user=user, method=method, team_name=team_name)
