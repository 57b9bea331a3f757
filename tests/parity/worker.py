"""Run one library over cases: read an order as a JSON line, and write its outcome as a JSON line.

Runs in either environment: `worker.py sdk` in the SDK's, `worker.py ours` in the package's. Only boto3 and the library
itself are imported, and nothing in them is replaced, except that botocore reads each of its data files only once, and
makes only one client of each service that is never called.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import json
import os
import runpy
import sys
from pathlib import Path
from typing import IO, Any, ClassVar

import boto3

LIBRARIES = {
    "sdk": (
        "sagemaker.processing",
        "sagemaker.network",
        "sagemaker.dataset_definition.inputs",
        "sagemaker.session",
        "sagemaker.pytorch.processing",
        "sagemaker.tensorflow.processing",
        "sagemaker.xgboost.processing",
        "sagemaker.mxnet.processing",
        "sagemaker.huggingface.processing",
        "sagemaker.sklearn.processing",
        "sagemaker.spark.processing",
        "sagemaker.image_uris",
    ),
    "ours": ("airflow_sm_processing.processing", "airflow_sm_processing.image_uris"),
}
# By its path: this runs isolated, where `tests` can't be imported.
runpy.run_path(str(Path(__file__).parents[1] / "service_models.py"))["share_service_models"]()
gc.set_threshold(50_000)  # see tests/conftest.py

UNUSED_SERVICES = {"sagemaker-runtime", "sagemaker-featurestore-runtime", "sagemaker-metrics"}
"""Those for which the SDK's Session makes a client that no processor calls."""


class ConfiguredSession(boto3.Session):
    """A boto3 session whose clients all call the endpoint that AWS_ENDPOINT_URL names.

    The SDK names AWS's own host for STS, which would win over the configuration.
    """

    _unused: ClassVar[dict[str, Any]] = {}

    def __init__(self, access_key: str, region: str) -> None:
        super().__init__(access_key, "secret", region_name=region)

    def client(self, service_name: str, *arguments: Any, **options: Any) -> Any:
        """Make the client, whatever endpoint is asked for; of those that are never called, one is enough."""
        if service_name in self._unused:
            return self._unused[service_name]
        make: Any = super().client  # its stubs know each service by name
        made = make(service_name, *arguments, **{**options, "endpoint_url": None})
        if service_name in UNUSED_SERVICES:
            self._unused[service_name] = made
        return made


class Library:
    """The names of one of the two libraries."""

    def __init__(self, name: str) -> None:
        self.modules = [importlib.import_module(module) for module in LIBRARIES[name]]

    def __getitem__(self, name: str) -> Any:
        return next(getattr(module, name) for module in self.modules if hasattr(module, name))

    def built(self, value: Any) -> Any:
        """Make the library's objects out of a case's description of them."""
        if isinstance(value, list):
            return [self.built(item) for item in value]
        if isinstance(value, dict):
            fields = {name: self.built(item) for name, item in value.items() if name != "$"}
            return self[value["$"]](**fields) if "$" in value else fields
        return value


def carried_out(library: Library, order: dict[str, Any]) -> dict[str, Any]:
    """Run a case's processor and tell what the user sees afterwards."""
    os.chdir(order["folder"])
    for name in [name for name in os.environ if name.endswith("_CONFIG_OVERRIDE")]:
        del os.environ[name]
    os.environ.update(order["environment"])
    boto_session = ConfiguredSession(order["access_key"], order["region"])
    options = dict(order["session"])
    if options.pop("own_sagemaker_client", False):
        options["sagemaker_client"] = boto_session.client("sagemaker")
    session = library["Session"](boto_session=boto_session, **options)
    processor = library[order["processor"]](sagemaker_session=session, **library.built(order["init"]))
    runs = [library.built(run) for run in order["runs"]]
    for run in runs:
        processor.run(**run)
    return {
        "jobs": [shown(job) for job in processor.jobs],
        "latest": shown(processor.latest_job),
        "attached": [shown(library["ProcessingJob"].from_processing_name(session, j.job_name)) for j in processor.jobs],
        "caller's objects": [vars(item) for run in runs for item in run.get("outputs") or () if is_object(item)],
    }


def is_object(value: Any) -> bool:
    """Return whether a value is an object of the library rather than a plain value."""
    return hasattr(value, "__dict__")


def shown(job: Any) -> dict[str, Any]:
    """Return a ProcessingJob as its user sees it."""
    return {
        "job_name": job.job_name,
        "inputs": [[i.input_name, i.s3_input.s3_uri if i.s3_input else None] for i in job.inputs or ()],
        "outputs": [[o.output_name, o.source, o.destination] for o in job.outputs or ()],
        "output_kms_key": job.output_kms_key,
    }


def parameters(library: Library, path: str) -> list[list[str]]:
    """Return the name, default and kind of each parameter of a class or of its method."""
    name, _, method = path.partition(".")
    target = getattr(library[name], method) if method else library[name]
    found = inspect.signature(target).parameters.values()
    return [[p.name, "" if p.default is p.empty else repr(p.default), p.kind.name] for p in found]


def answer(library: Library, order: dict[str, Any]) -> dict[str, Any]:
    """Carry an order out; an error of the library's is an outcome too."""
    if "parameters of" in order:
        return {"parameters": parameters(library, order["parameters of"])}
    try:
        return {"shown": carried_out(library, order)}
    except Exception as error:  # noqa: BLE001 - the test compares which one
        names = [cls.__name__ for cls in type(error).__mro__]
        return {"raised": names, "message": str(error)}


def serve(orders: IO[str], answers: IO[str], library: Library) -> None:
    """Answer orders until the other side closes."""
    for line in orders:
        order = json.loads(line)
        answered = {"access_key": order["access_key"], **answer(library, order)}
        answers.write(json.dumps(answered, default=vars) + "\n")
        answers.flush()


if __name__ == "__main__":
    private = os.fdopen(os.dup(1), "w")  # libraries print on standard output
    os.dup2(2, 1)
    with private:
        serve(sys.stdin, private, Library(sys.argv[1]))
