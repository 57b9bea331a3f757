"""What every process of Airflow pays for the plugin, and what its UI is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from airflow_sm_processing import ui
from airflow_sm_processing.ui.plugin import SageMakerProcessingPlugin

LOADED = """
import sys
import airflow.plugins_manager
before = set(sys.modules)
from airflow_sm_processing.ui.plugin import SageMakerProcessingPlugin
SageMakerProcessingPlugin().external_views
print(*sorted(set(sys.modules) - before))
"""


def test_nothing_but_the_plugin_is_loaded_until_its_app_is_asked_for():
    run = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True)
    assert run.stdout.splitlines()[-1].split() == ["airflow_sm_processing.ui", "airflow_sm_processing.ui.plugin"]


def test_the_plugin_is_declared_by_its_entry_point():
    from importlib.metadata import entry_points

    ours = {item for item in entry_points(group="airflow.plugins") if item.name == "sagemaker_processing"}
    assert {item.load() for item in ours} == {SageMakerProcessingPlugin}


def test_a_page_stands_in_the_navigation_and_a_tab_on_the_task_instance():
    views = {
        view["destination"]: (view["name"], view["url_route"]) for view in SageMakerProcessingPlugin().external_views
    }
    assert views == {
        "nav": ("SageMaker Processing", "sagemaker-processing"),
        "task_instance": ("Job", "sagemaker-processing-job"),
    }


def test_the_pages_addresses_are_below_airflows_base_url():
    assert [view["href"] for view in SageMakerProcessingPlugin().external_views] == [
        "sm-processing/jobs",
        "sm-processing/job?dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}",
    ]


def test_the_menu_entry_has_an_icon_of_its_own_in_either_theme():
    (nav,) = [view for view in SageMakerProcessingPlugin().external_views if view["destination"] == "nav"]
    static = Path(ui.__file__).with_name("static")
    for name in ("icon", "icon_dark_mode"):
        folder, _, file = nav[name].rpartition("/")
        assert folder == "sm-processing/static"
        assert (static / file).read_text().startswith("<svg ")
