"""STS, IAM, SageMaker and CloudWatch Logs, as far as one job needs them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import s3
from .account import ACCOUNT_ID, Account, Refusal
from .request import Reply, Request, json_reply, xml_reply

if TYPE_CHECKING:
    from collections.abc import Callable


def answer(request: Request, account: Account) -> Reply:
    """Answer a call to any of the services."""
    return SERVICES[request.scope["service"]](request, account)


def _sts(request: Request, account: Account) -> Reply:
    account.check(request.form["Action"])
    return xml_reply(
        "<GetCallerIdentityResponse><GetCallerIdentityResult>"
        f"<Arn>arn:aws:iam::{ACCOUNT_ID}:user/parity</Arn><UserId>parity</UserId><Account>{ACCOUNT_ID}</Account>"
        "</GetCallerIdentityResult></GetCallerIdentityResponse>"
    )


def _iam(request: Request, account: Account) -> Reply:
    name = request.form["RoleName"]
    try:
        account.check(f"{request.form['Action']} {name}")
    except Refusal as refusal:
        error = f"<Error><Type>Sender</Type><Code>{refusal.code}</Code><Message>{refusal.message}</Message></Error>"
        return xml_reply(f"<ErrorResponse>{error}</ErrorResponse>", refusal.status)
    return xml_reply(
        f"<GetRoleResponse><GetRoleResult><Role><Path>/teams/</Path><RoleName>{name}</RoleName>"
        f"<RoleId>AROA</RoleId><Arn>arn:aws:iam::{ACCOUNT_ID}:role/teams/{name}</Arn>"
        "<CreateDate>2026-01-01T00:00:00Z</CreateDate></Role></GetRoleResult></GetRoleResponse>"
    )


def _sagemaker(request: Request, account: Account) -> Reply:
    operation = request.headers["X-Amz-Target"].partition(".")[2]
    try:
        account.check(operation)
    except Refusal as refusal:
        return json_reply({"__type": refusal.code, "message": refusal.message}, 400)
    return json_reply(JOB_OPERATIONS[operation](json.loads(request.body), account))


def _create_job(body: dict[str, Any], account: Account) -> dict[str, Any]:
    account.jobs.append(body)
    return {"ProcessingJobArn": _arn(body["ProcessingJobName"])}


def _describe_job(body: dict[str, Any], account: Account) -> dict[str, Any]:
    [job] = [job for job in account.jobs if job["ProcessingJobName"] == body["ProcessingJobName"]]
    times = dict.fromkeys(("CreationTime", "ProcessingStartTime", "ProcessingEndTime"), 1_790_000_000)
    state = {"ProcessingJobStatus": "Completed", "ProcessingJobArn": _arn(job["ProcessingJobName"])}
    return {**{name: value for name, value in job.items() if name != "Tags"}, **state, **times}


def _arn(job_name: str) -> str:
    return f"arn:aws:sagemaker:us-west-2:{ACCOUNT_ID}:processing-job/{job_name}"


def _logs(request: Request, account: Account) -> Reply:
    """Answer that the job wrote no line, so that there is no log group."""
    account.check(request.headers["X-Amz-Target"].partition(".")[2])
    missing = "The specified log group does not exist."
    return json_reply({"__type": "ResourceNotFoundException", "message": missing}, 400)


JOB_OPERATIONS: dict[str, Callable[[dict[str, Any], Account], dict[str, Any]]] = {
    "CreateProcessingJob": _create_job,
    "DescribeProcessingJob": _describe_job,
}
SERVICES: dict[str, Callable[[Request, Account], Reply]] = {
    "s3": s3.answer,
    "sts": _sts,
    "iam": _iam,
    "sagemaker": _sagemaker,
    "logs": _logs,
}
