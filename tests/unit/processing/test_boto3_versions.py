"""With an older boto3, what its model lacks is said or left to the service, and the rest works.

The tests stand on whatever boto3 is installed: the oldest one's model is cut out of a newer one's.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import boto3
import botocore.exceptions
import botocore.session
import pytest
from botocore.model import ServiceModel

from airflow_sm_processing.exceptions import AccessDeniedError, DefinitionError
from airflow_sm_processing.local import validation
from airflow_sm_processing.local.api import JobApi
from airflow_sm_processing.local.runner import Dispatcher
from airflow_sm_processing.local.validation import ServiceError
from airflow_sm_processing.processing import InstancePreference
from airflow_sm_processing.processing.aws_calls import translated
from airflow_sm_processing.processing.description import JobDescription
from airflow_sm_processing.processing.validation import check_definition

from .makers import definition
from .test_description import ENDED, STARTED, cluster, response

if TYPE_CHECKING:
    from botocore.model import OperationModel

OLD = "1.37.2"


@pytest.fixture(scope="module")
def old_model() -> ServiceModel:
    """SageMaker's model as boto3 1.37.2 has it, as far as is asked for here."""
    loader = botocore.session.Session().get_component("data_loader")
    model: dict[str, Any] = copy.deepcopy(loader.load_service_model("sagemaker", "service-2"))
    model["operations"].pop("DeleteProcessingJob", None)
    config = model["shapes"]["ProcessingClusterConfig"]
    config["required"] = ["InstanceCount", "InstanceType", "VolumeSizeInGB"]
    for name in ("InstancePreferences", "SelectedInstanceType", "SelectedInstanceCount"):
        config["members"].pop(name, None)
    types = model["shapes"]["ProcessingInstanceType"]
    types["enum"] = [name for name in types["enum"] if not name.startswith(("ml.c8i", "ml.m8i"))]
    return ServiceModel(model, "sagemaker")


@pytest.fixture
def old_operation(old_model: ServiceModel, monkeypatch: pytest.MonkeyPatch) -> OperationModel:
    monkeypatch.setattr(boto3, "__version__", OLD)
    return old_model.operation_model("CreateProcessingJob")


def problems_of(operation: OperationModel, **changes: Any) -> list[tuple[str, str]]:
    with pytest.raises(DefinitionError) as caught:
        check_definition(definition(**changes), operation)
    return [(problem.parameter, problem.rule) for problem in caught.value.problems]


@pytest.mark.parametrize("count", [None, 2])
def test_preferences_say_which_boto3_brings_them_and_nothing_else(old_operation: OperationModel, count: int | None):
    preferences = (InstancePreference("ml.m5.large", None if count else 1),)
    found = problems_of(old_operation, instance_type=None, instance_count=count, instance_preferences=preferences)
    rule = f"needs boto3 1.43.90 or newer; boto3 {OLD} is installed"
    assert found == [("instance_preferences", rule)]


def test_an_instance_type_that_the_model_lacks_is_left_to_the_service(old_operation: OperationModel):
    for instance_type in ("ml.c8i.large", "ml.c8i-flex.2xlarge", "ml.m8i.96xlarge"):
        check_definition(definition(instance_type=instance_type), old_operation)


@pytest.mark.parametrize(
    ("instance_type", "says"),
    [
        ("ml.m5.xlarg", "did you mean ml.m5.xlarge or"),
        ("m5.xlarge", "must begin with ml.: did you mean ml.m5.xlarge?"),
        ("xlarge", "must begin with ml."),
        ("ml.m5", "is none of the"),
        ("ml.m5.xlarge ", "did you mean ml.m5.xlarge or"),
    ],
)
def test_what_is_no_instance_type_is_still_refused_and_the_nearest_comes_first(
    old_operation: OperationModel, instance_type: str, says: str
):
    ((parameter, rule),) = problems_of(old_operation, instance_type=instance_type)
    assert parameter == "instance_type"
    assert says in rule


def test_the_other_limits_hold(old_operation: OperationModel):
    assert [name for name, _ in problems_of(old_operation, volume_size_in_gb=0)] == ["volume_size_in_gb"]


def test_what_instances_cost_is_unknown_where_the_model_lacks_what_was_selected():
    """botocore leaves out what its model doesn't know: the cluster of a job with preferences is then without any."""
    times = {"ProcessingStartTime": STARTED, "ProcessingEndTime": ENDED}
    described = JobDescription.from_response(response(**cluster(), **times))
    assert described.duration_seconds is not None
    assert described.instance_seconds is None


def test_errors_that_an_older_botocore_lacks_are_passed_over(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(botocore.exceptions, "LoginError", raising=False)
    error = botocore.exceptions.UnknownCredentialError(name="x")
    assert isinstance(translated(error, operation="CreateProcessingJob", subject="job"), AccessDeniedError)


# The local SageMaker beside an older boto3


def request(**config: Any) -> dict[str, Any]:
    return {"ProcessingJobName": "job", "ProcessingResources": {"ClusterConfig": {"VolumeSizeInGB": 30, **config}}}


def test_the_local_sagemaker_says_which_boto3_it_needs_for_preferences(old_model: ServiceModel):
    with pytest.raises(ServiceError, match=r"boto3 1\.43\.90 or newer"):
        validation.check_preferences_known(request(InstancePreferences=[{"InstanceType": "ml.m5.large"}]), old_model)


@pytest.mark.parametrize("resources", [None, "x", {}, {"ClusterConfig": ["InstancePreferences"]}])
def test_it_takes_any_other_request_as_it_comes(old_model: ServiceModel, resources: Any):
    validation.check_preferences_known({"ProcessingResources": resources}, old_model)


def test_the_local_sagemaker_runs_on_instance_types_that_its_model_lacks(old_operation: OperationModel):
    shape: Any = old_operation.input_shape
    config = shape.members["ProcessingResources"].members["ClusterConfig"]
    whole = {"VolumeSizeInGB": 30, "InstanceCount": 1}
    validation.check_shape({**whole, "InstanceType": "ml.c8i.large"}, config)
    with pytest.raises(ServiceError, match="enum value set"):
        validation.check_shape({**whole, "InstanceType": "ml.c8i"}, config)


def test_the_local_sagemaker_checks_a_deletion_that_its_model_lacks(old_model: ServiceModel):
    api = JobApi(Dispatcher.__new__(Dispatcher), check_image=str)
    api._model = old_model
    with pytest.raises(ServiceError, match="processingJobName' failed to satisfy constraint: Member must not be null"):
        api.call("DeleteProcessingJob", {}, caller=None)  # type: ignore[arg-type]  # it doesn't come to that
