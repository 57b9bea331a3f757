"""Which role a notebook's jobs can run as."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.exceptions import DefinitionError
from airflow_sm_processing.processing import Session, get_execution_role
from airflow_sm_processing.processing import session as session_module

if TYPE_CHECKING:
    from pathlib import Path

    from botocore.stub import Stubber

ROLE = {"Path": "/team/", "RoleName": "Jobs", "RoleId": "AROAMADEUPMADEUP", "CreateDate": "2026-01-01T00:00:00Z"}
ARN = "arn:aws:iam::123456789012:role/team/Jobs"
IDENTITY = {"Account": "123456789012", "UserId": "u"}


@pytest.fixture
def metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that a notebook finds its own role in; it isn't there yet."""
    path = tmp_path / "resource-metadata.json"
    monkeypatch.setattr(session_module, "_NOTEBOOK_METADATA", path)
    return path


def assumes(stubs: dict[str, Stubber], name: str) -> None:
    arn = f"arn:aws:sts::123456789012:assumed-role/{name}/someone"
    stubs["sts"].add_response("get_caller_identity", {**IDENTITY, "Arn": arn})


@pytest.mark.usefixtures("metadata")
def test_the_credentials_role_has_its_path_from_iam(session: Session, stubs: dict[str, Stubber]):
    assumes(stubs, "Jobs")
    stubs["iam"].add_response("get_role", {"Role": {**ROLE, "Arn": ARN}}, {"RoleName": "Jobs"})
    assert get_execution_role(session) == ARN


@pytest.mark.usefixtures("metadata")
@pytest.mark.parametrize(
    ("name", "path"), [("Jobs", ""), ("AmazonSageMaker-ExecutionRole-2026", "service-role/")], ids=["own", "console's"]
)
def test_a_role_that_iam_doesnt_tell_of_is_taken_as_it_is_called(
    session: Session, stubs: dict[str, Stubber], name: str, path: str
):
    assumes(stubs, name)
    stubs["iam"].add_client_error("get_role", "AccessDenied", http_status_code=403)
    assert get_execution_role(session) == f"arn:aws:iam::123456789012:role/{path}{name}"


@pytest.mark.usefixtures("metadata")
@pytest.mark.parametrize("use_default", [False, True])
def test_a_user_is_no_role(session: Session, stubs: dict[str, Stubber], use_default: Any):
    stubs["sts"].add_response("get_caller_identity", {**IDENTITY, "Arn": "arn:aws:iam::123456789012:user/u"})
    with pytest.raises(DefinitionError, match="no job can run as it: use the ARN of a role") as raised:
        get_execution_role(session, use_default)
    assert ("no role with full access is made" in str(raised.value)) == use_default


def test_a_notebook_has_its_role_in_a_file(session: Session, metadata: Path):
    metadata.write_text(json.dumps({"ExecutionRoleArn": ARN}))
    assert get_execution_role(session) == ARN


def test_a_notebook_instance_is_asked_for_by_its_name(session: Session, stubs: dict[str, Stubber], metadata: Path):
    metadata.write_text(json.dumps({"ResourceName": "mine"}))
    answer = {"RoleArn": ARN}
    stubs["sagemaker"].add_response("describe_notebook_instance", answer, {"NotebookInstanceName": "mine"})
    assert get_execution_role(session) == ARN


@pytest.mark.parametrize("of_user", [True, False], ids=["the user's", "the domain's"])
def test_studio_is_asked_for_the_users_role(session: Session, stubs: dict[str, Stubber], metadata: Path, of_user: Any):
    metadata.write_text(json.dumps({"DomainId": "d-1", "UserProfileName": "me"}))
    profile = {"UserSettings": {"ExecutionRole": ARN}} if of_user else {}
    stubs["sagemaker"].add_response("describe_user_profile", profile, {"DomainId": "d-1", "UserProfileName": "me"})
    if not of_user:
        domain = {"DefaultUserSettings": {"ExecutionRole": ARN}}
        stubs["sagemaker"].add_response("describe_domain", domain, {"DomainId": "d-1"})
    assert get_execution_role(session) == ARN


@pytest.mark.parametrize("content", ["{", "[]", '{"ResourceName": "mine"}'], ids=["broken", "a list", "forbidden"])
def test_where_nobody_says_the_credentials_role_is_taken(
    session: Session, stubs: dict[str, Stubber], metadata: Path, content: str
):
    metadata.write_text(content)
    if content != "{":
        stubs["sagemaker"].add_client_error("describe_notebook_instance", "AccessDenied", http_status_code=403)
    assumes(stubs, "Jobs")
    stubs["iam"].add_response("get_role", {"Role": {**ROLE, "Arn": ARN}})
    assert get_execution_role(session) == ARN


@pytest.mark.parametrize("key", ["data/../../etc/passwd", "data//etc/passwd"])
def test_no_key_leads_out_of_the_folder(session: Session, stubs: dict[str, Stubber], tmp_path: Path, key: str):
    stubs["s3"].add_response("list_objects_v2", {"Contents": [{"Key": "data/.."}, {"Key": key}]})
    with pytest.raises(DefinitionError, match="leads out of"):
        session.download_data(str(tmp_path), "bucket", "data")
    assert list(tmp_path.iterdir()) == []
