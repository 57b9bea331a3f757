"""Imports every module of the package, and prints those that can't be; runs in the environments of the tests."""

from __future__ import annotations

import importlib
import json
import pkgutil

import airflow_sm_processing as package

UNINSTALLED = {"airflow_sm_processing.operators.lineage": "openlineage"}  # loaded only beside it


def failures() -> dict[str, str]:
    failed = {}
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            if error.name is None or error.name.partition(".")[0] != UNINSTALLED.get(module.name):
                failed[module.name] = repr(error)
    for name in package.__all__:
        getattr(package, name)
    return failed


if __name__ == "__main__":
    print(json.dumps(failures()))
