from __future__ import annotations

import pytest

from airflow_sm_processing.processing.models import is_aws, job_links

LOGS = "#logsV2:log-groups/log-group/$252Faws$252Fsagemaker$252FProcessingJobs$3FlogStreamNameFilter$3Djob-1$252F"


@pytest.mark.parametrize(
    ("partition", "region", "domain"),
    [
        ("aws", "eu-west-1", "console.aws.amazon.com"),
        ("aws-cn", "cn-north-1", "console.amazonaws.cn"),
        ("aws-us-gov", "us-gov-west-1", "console.amazonaws-us-gov.com"),
    ],
)
def test_each_partition_has_its_own_console(partition: str, region: str, domain: str) -> None:
    assert job_links("job-1", region=region, partition=partition) == {
        "Job": f"https://{domain}/sagemaker/home?region={region}#/processing-jobs/job-1",
        "Logs": f"https://{domain}/cloudwatch/home?region={region}{LOGS}",
    }


@pytest.mark.parametrize(
    ("partition", "region", "domain"),
    [
        ("aws", "eu-west-1", "console.aws.amazon.com"),
        ("aws-cn", "cn-north-1", "console.amazonaws.cn"),
        ("aws-us-gov", "us-gov-west-1", "console.amazonaws-us-gov.com"),
    ],
)
@pytest.mark.parametrize(
    ("uris", "place"),
    [
        (["s3://a.bucket/job-1/out"], ("a.bucket", "job-1%2Fout%2F")),
        (["s3://bucket/job/out/train", "s3://bucket/job/out/test/"], ("bucket", "job%2Fout%2F")),
        (["s3://bucket/job/train-1", "s3://bucket/job/train-2"], ("bucket", "job%2F")),
        (["s3://bucket/one", "s3://bucket/two"], ("bucket", "")),
        (["s3://bucket"], ("bucket", "")),
        (["s3://bucket/a//b"], ("bucket", "a%2F%2Fb%2F")),
        (["s3://bucket/Müller & Co?/a=1+1#x"], ("bucket", "M%C3%BCller%20%26%20Co%3F%2Fa%3D1%2B1%23x%2F")),
        (["s3://one/a/x", "s3://two/a/y", "s3://one/a/z"], ("one", "a%2F")),
    ],
)
def test_outputs_are_shown_by_the_folder_that_they_have_in_common(
    partition: str, region: str, domain: str, uris: list[str], place: tuple[str, str]
) -> None:
    links = job_links("job-1", region=region, partition=partition, output_uris=uris)
    bucket, prefix = place
    assert links["Outputs"] == f"https://{domain}/s3/buckets/{bucket}?region={region}&prefix={prefix}"


@pytest.mark.parametrize(
    ("endpoint_url", "expected"),
    [
        ("https://api.sagemaker.eu-west-1.amazonaws.com", True),
        ("https://api.sagemaker.cn-north-1.amazonaws.com.cn", True),
        ("https://vpce-1.api.sagemaker.eu-west-1.vpce.amazonaws.com", True),
        ("https://api.sagemaker.eu-west-1.api.aws", True),
        ("http://127.0.0.1:5000", False),
        ("https://amazonaws.com.example.org", False),
    ],
)
def test_only_aws_itself_has_a_console(endpoint_url: str, expected: bool) -> None:  # a table of pytest
    assert is_aws(endpoint_url) is expected
