"""Plan a job: everything that can be said about it without calling AWS."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import DefinitionError
from airflow_sm_processing.iam.statements import (
    UNKNOWN_ACCOUNT,
    UNKNOWN_REGION,
    JobNeeds,
    caller_statements,
    grouped,
    job_role_statements,
)
from airflow_sm_processing.ownership.owner import job_name, stem
from airflow_sm_processing.processing.definition import CODE_INPUT_NAME, SOURCE_ARCHIVE, short_form, with_image
from airflow_sm_processing.processing.models import S3Location, join
from airflow_sm_processing.processing.request import UNKNOWN_DIGEST, default_keys, plan_submission, with_extra_tags
from airflow_sm_processing.processing.s3 import open_uri
from airflow_sm_processing.processing.validation import check_definition
from airflow_sm_processing.redaction import without_signatures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from botocore.model import OperationModel

    from airflow_sm_processing.exceptions import Problem
    from airflow_sm_processing.iam.statements import Place, Ways
    from airflow_sm_processing.ownership.claim import Try
    from airflow_sm_processing.processing.definition import JobDefinition
    from airflow_sm_processing.processing.request import SubmissionPlan, Upload


__all__ = ["JobPlan", "create_operation", "plan_job", "upload_prefix"]


_HIDDEN = "***"
_NOT_SECRET = ("repo", "branch", "commit")
"""The fields of a repository that a plan shows."""


@dataclass(frozen=True, kw_only=True)
class JobPlan:
    """A task instance's first job, before anything is uploaded or created."""

    submission: SubmissionPlan
    needs: JobNeeds
    defaults: Mapping[str, str]
    """The sources of the parameters that the task doesn't set itself."""
    unresolved_image: str | None = None
    """The image's short form, if its URI can't be determined because the region isn't known."""
    repository: Mapping[str, str]
    """The repository that is cloned for the code when the job is created: its URL, branch and commit."""

    def to_plain(self, *, show_env: bool = False) -> dict[str, Any]:
        """Return the plan as JSON; the values of the environment are hidden unless `show_env` is set."""
        request = dict(self.submission.request)
        if "Environment" in request and not show_env:
            request["Environment"] = dict.fromkeys(request["Environment"], _HIDDEN)
        plan = {
            "request": request,
            "uploads": list(self._uploads()),
            "left_out": list(self._left_out()),
            "permissions": {
                "caller": [item.to_plain() for item in grouped(caller_statements(self.needs))],
                "job_role": [item.to_plain() for item in grouped(job_role_statements(self.needs))],
            },
        }
        plain: dict[str, Any] = _plain(plan)
        repository = {"repository": dict(self.repository)} if self.repository else {}
        return {**plain, **repository, "defaults": dict(self.defaults), "unknown": list(self._unknown(plain))}

    def _uploads(self) -> Iterator[dict[str, Any]]:
        for upload in self.submission.uploads:
            if upload.content is None:  # it isn't cloned or listed yet
                yield {"path": str(upload.path), "s3_uri": upload.s3_uri, "bytes": None}
                continue
            with upload.local() as (_, content):
                for file in content.files if content else ():
                    path = upload.path if upload.package is not None and upload.package.is_made else file.path
                    item = {"path": str(path), "s3_uri": f"{upload.s3_uri}/{file.name}", "bytes": file.size}
                    yield item | _packed(upload, file.name)

    def _left_out(self) -> Iterator[dict[str, Any]]:
        """Yield the files that ignore rules exclude."""
        for upload in self.submission.uploads:
            for item in upload.content.left_out if upload.content else ():
                yield {"path": item.path, "bytes": _size(Path(item.path)), "why": item.reason}

    def _open_uris(self) -> Iterator[str]:
        """Yield the inputs' URIs that are looked up in S3 before the job is created."""
        uploaded = tuple(f"{upload.s3_uri}/" for upload in self.submission.uploads)
        for item in self.submission.unmerged or self.submission.inputs:
            uri = open_uri(item)
            if uri is not None and item.input_name != CODE_INPUT_NAME and not uri.startswith(uploaded):
                yield uri

    def _unknown(self, plan: dict[str, Any]) -> Iterator[dict[str, str]]:
        text, role = str(plan), self.needs.role
        if UNKNOWN_ACCOUNT in text:
            yield {"value": UNKNOWN_ACCOUNT, "is": "the account of the connection's credentials: sts:GetCallerIdentity"}
        if UNKNOWN_REGION in text:
            yield {"value": UNKNOWN_REGION, "is": "the region of the connection, which the process that runs it knows"}
        if self.unresolved_image is not None:
            yield {"value": self.unresolved_image, "is": "the image's URI in the region of the connection"}
        if self.repository:
            yield {"value": UNKNOWN_DIGEST, "is": f"the digest of the files in {self.repository.get('repo')}"}
        if self.submission.unmerged:
            yield {"value": UNKNOWN_DIGEST, "is": "the digest of manifests: S3 says which objects the inputs have"}
        for uri in self._open_uris():
            yield {"value": uri, "is": "a folder, an object or a prefix: if S3 has keys below it, a slash ends it"}
        if "/" not in role:
            arn = self.submission.request["RoleArn"]
            yield {"value": arn, "is": f"the ARN of the role {role}, whose path may be another: iam:GetRole"}


def plan_job(
    definition: JobDefinition,
    asking: Try,
    place: Place,
    *,
    ways: Ways,
    bucket: str | None = None,
    prefix: str | None = None,
    reads: tuple[str, ...] = (),
    defaults: Mapping[str, str] = MappingProxyType({}),
    is_excused: Callable[[Problem], bool] = lambda _: False,
) -> JobPlan:
    """Plan a task instance's first job; local files are read, because their S3 keys depend on their content.

    Args:
        definition: What the user defined.
        asking: The task's try that would create the job.
        place: Where it runs.
        ways: How the task waits for it.
        bucket: The default bucket that the user chose.
        prefix: The beginning of each key in the default bucket.
        reads: The names of outputs that the task itself reads when the job has ended.
        defaults: The sources of the parameters that the task doesn't set itself.
        is_excused: Returns whether a problem comes from a placeholder.

    Raises:
        DefinitionError: Something is wrong with the definition.
        UploadError: A local file can't be read.
    """
    image_problems: Sequence[Problem] = ()
    if place.region != UNKNOWN_REGION:
        definition, image_problems = with_image(definition, lambda: place.region)
    _check(definition, image_problems, is_excused)
    upload_key = stem(definition, asking.owner.digest)
    tags = asking.owner.tags(try_number=asking.number, generation=asking.generation, claim=None)
    named = dataclasses.replace(
        definition,
        job_name=definition.job_name if definition.job_name is not None else job_name(upload_key, 1),
        tags=with_extra_tags(definition.tags, tags, create_operation()) or None,
    )
    role = str(definition.role)
    submission = plan_submission(
        named,
        role_arn=place.role_arns(role)[0],
        key=default_keys(bucket or place.bucket, prefix),
        upload_key=upload_key,
        operation=create_operation(),
    )
    needs = JobNeeds(
        place=place,
        request=submission.unmerged_request,
        listed=submission.listed,
        role=role,
        has_own_name=definition.job_name is not None,
        bucket=bucket or place.bucket,
        finds_bucket=bucket is None,
        upload_prefix=upload_prefix(prefix, upload_key) if submission.uploads else None,
        upload_kms_key=str(definition.kms_key) if definition.kms_key and submission.uploads else None,
        ways=ways,
        reads=reads,
        codeartifact_repo_arn=definition.codeartifact_repo_arn,
        command=submission.command,
    )
    short = short_form(definition)
    return JobPlan(
        submission=submission,
        needs=needs,
        defaults=defaults,
        unresolved_image=short.text if short else None,
        repository={name: text for name, text in (definition.git_config or {}).items() if name in _NOT_SECRET},
    )


def upload_prefix(prefix: str | None, upload_key: str) -> str:
    """Return the key prefix for a task instance's local files."""
    return S3Location.parse(join("", prefix, upload_key, "input")).key


@cache
def create_operation() -> OperationModel:
    """Return botocore's model of CreateProcessingJob; this needs no credentials."""
    import botocore.session

    return botocore.session.Session().get_service_model("sagemaker").operation_model("CreateProcessingJob")


def _check(definition: JobDefinition, extra: Sequence[Problem], is_excused: Callable[[Problem], bool]) -> None:
    try:
        check_definition(definition, create_operation(), extra=extra)
    except DefinitionError as error:
        problems = [problem for problem in error.problems if not is_excused(problem)]
        if problems:
            raise DefinitionError(problems, subject=error.subject) from error


def _packed(upload: Upload, name: str) -> dict[str, Any]:
    """Return the list of an archive's files, if the uploaded file is an archive."""
    if name != SOURCE_ARCHIVE or upload.package is None or upload.content is None:
        return {}
    return {"files": [{"path": item.path, "name": item.name, "bytes": item.size} for item in upload.content.files]}


def _size(path: Path) -> int:
    """Return the size in bytes of a file, or of all readable files in a folder."""
    paths = path.rglob("*") if path.is_dir() else (path,)
    return sum(item.lstat().st_size for item in paths if item.is_file() and not item.is_symlink())


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return without_signatures(value)
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)
