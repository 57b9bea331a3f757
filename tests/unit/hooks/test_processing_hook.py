"""A connection's settings reach every client of the package, uploads included."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_sm_processing.exceptions import AccessDeniedError, DefinitionError
from airflow_sm_processing.hooks.processing import ProcessingHook
from airflow_sm_processing.processing import Processor, ScriptProcessor
from airflow_sm_processing.processing.uploads.engines import S3Access

SERVICES = ("sagemaker", "s3", "sts", "iam", "logs")

HookFactory = Callable[..., ProcessingHook]


@pytest.fixture
def hook_factory(monkeypatch: pytest.MonkeyPatch) -> HookFactory:
    """Makes hooks of an Airflow connection with the given extra; parameters beside it are the hook's."""

    def make(extra: dict[str, Any] | None = None, **parameters: Any) -> ProcessingHook:
        connection = {"conn_type": "aws", "login": "AKIAOFCONNECTION", "password": "secret", "extra": extra or {}}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_OTHER", json.dumps(connection))
        return ProcessingHook("aws_other", **parameters)

    return make


def clients_of(hook: ProcessingHook) -> dict[str, Any]:
    """Return a client of each service that the package calls, and one of those that uploads open."""
    session = hook.session
    uploading = S3Access(session.s3_client, session.boto_session, session.verify).new_client(connections=3)
    return {service: session.client(service) for service in SERVICES} | {"uploads": uploading}


def each(value: Any) -> dict[str, Any]:
    return dict.fromkeys([*SERVICES, "uploads"], value)


def regions(hook: ProcessingHook) -> dict[str, str]:
    return {name: client.meta.region_name for name, client in clients_of(hook).items() if name != "iam"}


def without_iam(values: dict[str, Any]) -> dict[str, Any]:
    """IAM is one service for all regions: botocore signs for us-east-1 whatever the region."""
    return {name: value for name, value in values.items() if name != "iam"}


def verification(hook: ProcessingHook) -> dict[str, Any]:
    return {name: client._endpoint.http_session._verify for name, client in clients_of(hook).items()}


def test_the_connections_region(hook_factory: HookFactory):
    hook = hook_factory({"region_name": "eu-west-1"})
    assert hook.session.boto_region_name == "eu-west-1"
    assert regions(hook) == without_iam(each("eu-west-1"))


def test_the_parameters_region_wins(hook_factory: HookFactory):
    hook = hook_factory({"region_name": "eu-west-1"}, region_name="us-west-2")
    assert hook.session.boto_region_name == "us-west-2"
    assert regions(hook) == without_iam(each("us-west-2"))


def test_no_region_anywhere_says_where_to_set_one(hook_factory: HookFactory):
    with pytest.raises(DefinitionError, match="no AWS region is configured"):
        _ = hook_factory().session.boto_region_name


def test_the_connections_credentials_and_session_token(hook_factory: HookFactory):
    hook = hook_factory({"region_name": "eu-west-1", "aws_session_token": "a-token"})
    credentials = {name: client._get_credentials() for name, client in clients_of(hook).items()}
    assert {name: (value.access_key, value.secret_key, value.token) for name, value in credentials.items()} == each(
        ("AKIAOFCONNECTION", "secret", "a-token")
    )


@pytest.mark.parametrize(
    ("extra", "parameters", "expected"),
    [
        ({}, {}, True),
        ({"verify": False}, {}, False),
        ({}, {"verify": False}, False),
        ({"verify": False}, {"verify": "/etc/ca.pem"}, "/etc/ca.pem"),
    ],
    ids=["neither", "the connection's", "the parameter", "both"],
)
def test_verification_of_certificates(
    hook_factory: HookFactory, monkeypatch: pytest.MonkeyPatch, extra: Any, parameters: Any, expected: Any
):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)  # botocore's default where it is set
    hook = hook_factory({"region_name": "eu-west-1", **extra}, **parameters)
    assert verification(hook) == each(expected)


def test_an_endpoint_for_all_services(hook_factory: HookFactory):
    hook = hook_factory({"region_name": "eu-west-1", "endpoint_url": "http://127.0.0.1:9"})
    assert {name: client.meta.endpoint_url for name, client in clients_of(hook).items()} == each("http://127.0.0.1:9")


def test_an_endpoint_for_a_service(hook_factory: HookFactory):
    services = {"sagemaker": {"endpoint_url": "http://127.0.0.1:1"}, "s3": {"endpoint_url": "http://127.0.0.1:2"}}
    hook = hook_factory({"region_name": "eu-west-1", "service_config": services})
    assert {name: client.meta.endpoint_url for name, client in clients_of(hook).items()} == {
        "sagemaker": "http://127.0.0.1:1",
        "s3": "http://127.0.0.1:2",
        "uploads": "http://127.0.0.1:2",
        "sts": "https://sts.eu-west-1.amazonaws.com",
        "iam": "https://iam.amazonaws.com",
        "logs": "https://logs.eu-west-1.amazonaws.com",
    }


@pytest.mark.parametrize(
    ("extra", "parameters", "seconds"),
    [
        ({"config_kwargs": {"connect_timeout": 5}}, {}, 5),
        ({}, {"botocore_config": {"connect_timeout": 7}}, 7),
        ({"config_kwargs": {"connect_timeout": 5}}, {"botocore_config": {"connect_timeout": 7}}, 7),
    ],
    ids=["the connection's", "the parameter", "both"],
)
def test_botocores_configuration(hook_factory: HookFactory, extra: Any, parameters: Any, seconds: int):
    hook = hook_factory({"region_name": "eu-west-1", **extra}, **parameters)
    assert {name: client.meta.config.connect_timeout for name, client in clients_of(hook).items()} == each(seconds)


def test_every_call_says_that_airflow_makes_it(hook_factory: HookFactory):
    clients = clients_of(hook_factory({"region_name": "eu-west-1"}))
    assert [name for name, client in clients.items() if "Airflow/" not in client.meta.config.user_agent] == []


def test_the_call_stack_is_read_for_the_first_client_only(hook_factory: HookFactory, monkeypatch: pytest.MonkeyPatch):
    """The amazon provider looks in it for the operator's name, for the user agent: some 30 ms each time."""
    looks = []
    stack = inspect.stack
    monkeypatch.setattr(inspect, "stack", lambda *context: looks.append(context) or stack(*context))
    hook = hook_factory({"region_name": "eu-west-1"})
    hook.session.client("sagemaker")
    of_the_first = len(looks)
    clients_of(hook)
    hook.single_attempt_client("sagemaker")
    assert of_the_first == len(looks) > 0


def test_clients_are_made_once(hook_factory: HookFactory):
    hook = hook_factory({"region_name": "eu-west-1"})
    assert hook.session is hook.session
    assert all(hook.session.client(name) is hook.session.client(name) for name in SERVICES)
    assert hook.job("a-job").sagemaker_session is hook.job("another").sagemaker_session is hook.session


def test_without_a_connection_botos_own_chain_decides(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFENVIRONMENT")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    hook = ProcessingHook(None)
    assert regions(hook) == without_iam(each("ap-south-1"))
    assert {name: client._get_credentials().access_key for name, client in clients_of(hook).items()} == each(
        "AKIAOFENVIRONMENT"
    )


def test_default_bucket_settings(hook_factory: HookFactory):
    session = hook_factory(
        {"region_name": "eu-west-1"}, default_bucket="a-bucket", default_bucket_prefix="a/prefix"
    ).session
    assert (session.default_bucket(), session.default_bucket_prefix) == ("a-bucket", "a/prefix")


def test_processors_use_the_hooks_session(hook_factory: HookFactory):
    hook = hook_factory({"region_name": "eu-west-1"})
    processor = hook.processor(role="R", image_uri="image")
    script_processor = hook.script_processor(role="R", image_uri="image", command=["python3"])
    assert (type(processor), processor.role, processor.image_uri) == (Processor, "R", "image")
    assert (type(script_processor), script_processor.command) == (ScriptProcessor, ["python3"])
    assert processor.sagemaker_session is script_processor.sagemaker_session is hook.session


def test_a_configuration_that_botocore_does_not_take_is_named_and_its_values_are_not_shown(hook_factory: HookFactory):
    with pytest.raises(DefinitionError) as caught:
        hook_factory(botocore_config={"bogus": "http://user:password@proxy"})
    (problem,) = caught.value.problems
    assert str(problem) == "botocore_config=(hidden, a dict): Got unexpected keyword argument 'bogus'"


def test_a_profile_that_does_not_exist_is_one_of_our_errors(hook_factory: HookFactory, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_AWS_PROFILE", json.dumps({"conn_type": "aws", "extra": {"profile_name": "absent"}})
    )
    with pytest.raises(AccessDeniedError, match=r"connection aws_profile failed: ProfileNotFound: .*absent"):
        _ = ProcessingHook("aws_profile").session
