"""Addresses of the AWS console, for people."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

__all__ = ["is_aws", "job_links"]

LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
_DOMAINS = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


_AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")


def is_aws(endpoint_url: str) -> bool:
    """Tell whether an endpoint is AWS's own, so that its console knows the jobs that are made there."""
    return (urlsplit(endpoint_url).hostname or "").endswith(_AWS_HOSTS)


def job_links(job_name: str, *, region: str, partition: str) -> dict[str, str]:
    """Give the console pages of a job and of its logs, by title."""
    domain = _DOMAINS.get(partition, _DOMAINS["aws"])
    name = quote(job_name, safe="")
    log_filter = _fragment(f"{job_name}/")
    return {
        "Job": f"https://{domain}/sagemaker/home?region={region}#/processing-jobs/{name}",
        "Logs": f"https://{domain}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{_fragment(LOG_GROUP)}"
        f"$3FlogStreamNameFilter$3D{log_filter}",
    }


def _fragment(text: str) -> str:
    """Encode as the CloudWatch console does in its fragment: percent-encoded twice, with `$` for the outer percent."""
    return quote(quote(text, safe=""), safe="").replace("%", "$")
