"""A task's links to the AWS console, in Airflow's own page."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.acceptance.runs import Run

    from .window import Window


def test_a_deferred_task_shows_its_links(window: Window, runs: dict[str, Run]) -> None:
    run = runs["recorded"]
    run.until_task_is("on_aws", "deferred")
    window.open(f"/dags/{run.dag_id}/runs/{quote(run.run_id, safe='')}/tasks/on_aws/details")
    hosts = {
        "SageMaker console": "https://eu-west-1.console.aws.amazon.com/sagemaker/",
        "CloudWatch logs": "https://eu-west-1.console.aws.amazon.com/cloudwatch/",
        "Outputs in S3": "https://s3.console.aws.amazon.com/s3/buckets/shop",
    }
    for name, host in hosts.items():
        link = window.page.get_by_role("link", name=name)
        expect(link).to_be_visible()
        assert str(link.get_attribute("href")).startswith(host)


def test_the_tab_of_a_job_on_aws_has_them_too(window: Window, runs: dict[str, Run]) -> None:
    run = runs["recorded"]
    run.until_task_is("on_aws", "deferred")
    frame = window.open_job_tab(run, "on_aws")
    expect(frame.locator(".links a")).to_have_text(
        ["Airflow's logs", "SageMaker console", "CloudWatch logs", "Outputs in S3"]
    )
