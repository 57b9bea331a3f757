"""Which defaults a job gets, which of several wins, and what an error says of a document that isn't right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.exceptions import DefinitionError
from airflow_sm_processing.processing import NetworkConfig, Session
from airflow_sm_processing.processing.defaults import Source, read_defaults
from airflow_sm_processing.processing.submission import with_defaults

from .makers import definition

if TYPE_CHECKING:
    from pathlib import Path

ROLE = "arn:aws:iam::123456789012:role/Default"
SECTION = {
    "RoleArn": ROLE,
    "Environment": {"STAGE": "test"},
    "Tags": [{"Key": "team", "Value": "ml"}, {"Key": "cost", "Value": "7"}],
    "NetworkConfig": {
        "EnableNetworkIsolation": True,
        "EnableInterContainerTrafficEncryption": True,
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1", "subnet-2"]},
    },
    "ProcessingOutputConfig": {"KmsKeyId": "output-key"},
    "ProcessingResources": {"ClusterConfig": {"VolumeKmsKeyId": "volume-key"}},
}


def document(**section: Any) -> dict[str, Any]:
    """Return a document with a section about processing jobs, and others."""
    return {"SchemaVersion": "1.0", "SageMaker": {"ProcessingJob": section, "TrainingJob": {"RoleArn": "other"}}}


def applied(*sources: Source, **given: Any) -> tuple[Any, dict[str, str]]:
    """Apply sources to a definition with what is given and nothing else that has a default."""
    return read_defaults(sources, None).apply(definition(**{"role": None, **given}))


def test_each_open_parameter_gets_its_default_and_its_origin() -> None:
    job, origins = applied(Source("here", document(**SECTION)))
    assert (job.role, job.env, job.output_kms_key, job.volume_kms_key) == (
        ROLE,
        {"STAGE": "test"},
        "output-key",
        "volume-key",
    )
    assert job.network_config == NetworkConfig(
        enable_network_isolation=True,
        encrypt_inter_container_traffic=True,
        security_group_ids=["sg-1"],
        subnets=["subnet-1", "subnet-2"],
    )
    assert job.tags == SECTION["Tags"]
    assert set(origins.values()) == {"here"}
    assert set(origins) == {
        "role",
        "env",
        "output_kms_key",
        "volume_kms_key",
        "tags",
        "network_config.enable_network_isolation",
        "network_config.encrypt_inter_container_traffic",
        "network_config.security_group_ids",
        "network_config.subnets",
    }


def test_what_the_author_wrote_wins() -> None:
    given = {
        "role": "mine",
        "env": {},
        "output_kms_key": "mine",
        "volume_kms_key": "mine",
        "network_config": NetworkConfig(enable_network_isolation=False, subnets=["mine"]),
        "tags": [{"Key": "team", "Value": "mine"}],
    }
    job, origins = applied(Source("here", document(**SECTION)), **given)
    assert (job.role, job.env, job.output_kms_key, job.volume_kms_key) == ("mine", {}, "mine", "mine")
    assert job.network_config == NetworkConfig(
        enable_network_isolation=False,
        subnets=["mine"],
        security_group_ids=["sg-1"],
        encrypt_inter_container_traffic=True,
    )
    assert job.tags == [{"Key": "team", "Value": "mine"}, {"Key": "cost", "Value": "7"}]
    assert set(origins) == {
        "tags",
        "network_config.security_group_ids",
        "network_config.encrypt_inter_container_traffic",
    }


def test_a_later_source_wins_value_by_value() -> None:
    admin = Source("admin", document(RoleArn="admin", NetworkConfig={"VpcConfig": {"Subnets": ["a"]}}))
    user = Source("user", document(RoleArn="user", NetworkConfig={"EnableNetworkIsolation": True}))
    job, origins = applied(admin, user)
    assert (job.role, origins["role"]) == ("user", "user")
    assert job.network_config == NetworkConfig(enable_network_isolation=True, subnets=["a"])
    assert origins["network_config.subnets"] == "admin"


@pytest.mark.parametrize("document", [{}, {"SageMaker": None}, {"SageMaker": {"ProcessingJob": None}}, {"Other": 1}])
def test_a_document_without_the_section_changes_nothing(document: dict[str, Any]) -> None:
    before = definition(role=None)
    assert read_defaults([Source("here", document)], None).apply(before) == (before, {})


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ({"RoleArn": 7}, "here: SageMaker.ProcessingJob.RoleArn=(hidden, a int): must be a string"),
        (
            {"Role": "x"},
            "here: SageMaker.ProcessingJob.Role=(hidden, 1 characters): isn't known: there are Environment, ",
        ),
        ({"NetworkConfig": []}, "here: SageMaker.ProcessingJob.NetworkConfig=(hidden, a list): must be a mapping"),
        (
            {"NetworkConfig": {"VpcConfig": {"Subnets": [1]}}},
            "VpcConfig.Subnets=(hidden, a list): must be a list of strings",
        ),
        ({"Environment": {"A": True}}, "Environment=(hidden, a dict): must map strings to strings: quote numbers"),
        ({"Environment": {"WORD": 5, "SECRET": "hush-hush"}}, "must map strings to strings"),
        ({"Tags": {"team": "ml"}}, "Tags=(hidden, a dict): must be a list"),
        ({"Tags": [{"Key": "team"}]}, "must be a list of {Key: …, Value: …}"),
        (
            {"NetworkConfig": {"EnableNetworkIsolation": "yes"}},
            "EnableNetworkIsolation=(hidden, 3 characters): must be true",
        ),
    ],
)
def test_an_error_names_the_source_and_the_key_and_shows_no_value(section: dict[str, Any], line: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        read_defaults([Source("here", document(**section))], None)
    assert line in str(raised.value)
    assert "hush" not in str(raised.value)


def test_all_problems_of_a_document_are_reported_together() -> None:
    with pytest.raises(DefinitionError) as raised:
        read_defaults([Source("here", document(RoleArn=1, Tags=2, Unknown=3))], None)
    assert len(raised.value.problems) == 3


@pytest.mark.parametrize("document", [[], "text", 7, {"SageMaker": []}, {"SageMaker": {"ProcessingJob": "x"}}])
def test_what_is_no_mapping_is_refused(document: Any) -> None:
    with pytest.raises(DefinitionError, match="must be a mapping"):
        read_defaults([Source("here", document)], None)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (b"a: [1", "isn't YAML, line 1"),
        (b"\xff\xfe\xfa", "isn't YAML"),
        (b"!!python/object/apply:os.system ['true']", "isn't YAML"),
        (b"#" * (1024 * 1024 + 1), "is longer than 1048576 bytes"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: bytes, rule: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(text)
    with pytest.raises(DefinitionError, match=rule) as raised:
        read_defaults([Source(str(path))], None)
    assert str(path) in str(raised.value)


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    absent = Source(str(tmp_path / "config.yaml"))
    with pytest.raises(DefinitionError, match="is no file: write one, or unset what names it"):
        read_defaults([absent], None)
    assert read_defaults([absent._replace(may_be_absent=True)], None).apply(definition()) == (definition(), {})


def test_a_session_reads_the_sdks_files_the_users_over_the_administrators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    admin, user = tmp_path / "admin.yaml", tmp_path / "user"
    admin.write_text("SageMaker: {ProcessingJob: {RoleArn: admin, Environment: {WORD: abracadabra}}}")
    user.mkdir()
    (user / "config.yaml").write_text("SageMaker: {ProcessingJob: {RoleArn: user}}")
    monkeypatch.setenv("SAGEMAKER_ADMIN_CONFIG_OVERRIDE", str(admin))
    monkeypatch.setenv("SAGEMAKER_USER_CONFIG_OVERRIDE", str(user))
    with caplog.at_level("INFO"):
        job = with_defaults(definition(role=None), Session())
    assert (job.role, job.env) == ("user", {"WORD": "abracadabra"})
    assert f"Defaults from {user}: role" in caplog.text
    assert f"Defaults from {admin}: env" in caplog.text
    assert "abracadabra" not in caplog.text


def test_a_sessions_own_config_is_instead_of_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_USER_CONFIG_OVERRIDE", str(tmp_path / "absent"))
    session = Session(sagemaker_config=document(RoleArn="given"), more_defaults=[Source("more", document(Tags=[]))])
    assert with_defaults(definition(role=None), session).role == "given"
