"""Every error of the package.

    ProcessingError
    ├── DefinitionError          the definition is invalid: all problems at once; a retry can't help
    │   └── JobRejectedError     SageMaker refused CreateProcessingJob
    ├── UploadError              local files couldn't be uploaded
    │   └── BucketError          the bucket is missing, forbidden, or in another account
    ├── ServiceError             an AWS call failed
    │   ├── AccessDeniedError    a permission or a credential is missing
    │   ├── JobNotFoundError     there is no such job in this account and region
    │   ├── JobNameInUseError    a job with that name exists already
    │   └── TransientError       throttling, 5xx, lost connections: the call may work later
    │       ├── CapacityError    a quota or missing capacity: it may work when other jobs end
    │       └── MalformedResponseError  the response can't be read; handled like a lost connection
    ├── ResultFileError          a result file is missing, too large, or doesn't parse
    ├── JobExistsError           there is a job already where the task needs a new one
    ├── WaitTimeoutError         the job hadn't ended when the time to wait was over
    └── JobEndedError            the job ended as Failed or Stopped
        ├── JobFailedError
        └── JobStoppedError

Exceptions have data attributes; their text says what was wrong, where, and what to do.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.redaction import one_line, printable, without_signatures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "AccessDeniedError",
    "BucketError",
    "CapacityError",
    "DefinitionError",
    "JobEndedError",
    "JobExistsError",
    "JobFailedError",
    "JobNameInUseError",
    "JobNotFoundError",
    "JobRejectedError",
    "JobStoppedError",
    "MalformedResponseError",
    "Problem",
    "ProcessingError",
    "ResultFileError",
    "ServiceError",
    "TransientError",
    "UploadError",
    "WaitTimeoutError",
]


class ProcessingError(Exception):
    """The base of all errors of this package; all of them can be copied and pickled.

    Their messages never contain the query string of a presigned URL.
    """

    def __init__(self, message: str) -> None:
        super().__init__(without_signatures(message))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)


def _restored(cls: type[ProcessingError], args: tuple[Any, ...], state: dict[str, Any]) -> ProcessingError:
    error = cls.__new__(cls, *args)  # BaseException keeps the arguments of __new__; __init__ would build another text
    error.__dict__.update(state)
    return error


class Problem:
    """One thing that is wrong with a definition.

    It isn't a NamedTuple, whose code is compiled anew in each process that parses a DAG file.
    """

    def __init__(self, parameter: str, value: object, rule: str) -> None:
        """Name what is wrong.

        Args:
            parameter: The parameter as its user writes it, such as `inputs[0].destination`.
            value: The value that it has; `...` if it has none, because it is a file.
            rule: The rule that the value breaks, such as `must be at most 63 characters, has 70`.
        """
        self.parameter = parameter
        self.value = value
        self.rule = rule

    def replace(self, **changes: Any) -> Problem:
        """Return a problem that differs in some attributes."""
        return Problem(**{**self.__dict__, **changes})

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if isinstance(other, Problem) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.parameter, self.rule))

    def __repr__(self) -> str:
        return f"Problem({self.parameter!r}, {self.value!r}, {self.rule!r})"

    def __str__(self) -> str:
        value = "" if self.value is ... else f"={_shortened(self.value)}"
        return f"{self.parameter}{value}: {self.rule}"


class DefinitionError(ProcessingError, ValueError):
    """The definition is invalid; `problems` has every reason. A retry can't help."""

    def __init__(self, problems: Sequence[Problem], *, subject: str = "processing job") -> None:
        self.problems = tuple(problems)
        self.subject = subject
        lines = "".join(f"\n  - {problem}" for problem in self.problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(f"{count} in the definition of {subject}:{lines}")


class JobRejectedError(DefinitionError):
    """SageMaker refused CreateProcessingJob, and a retry can't help."""

    def __init__(self, job_name: str, *, code: str, reason: str) -> None:
        self.job_name = job_name
        self.code = code
        self.reason = reason
        super().__init__([Problem("CreateProcessingJob", job_name, f"{code}: {reason}")], subject=job_name)


class UploadError(ProcessingError):
    """Local files couldn't be uploaded to S3."""

    may_pass = False
    """Whether lost connections, throttling or 5xx were the reason: the same upload may work later."""


class ResultFileError(ProcessingError):
    """A result file of a completed job is missing, too large, or doesn't parse."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"The result file {name!r} can't be read: {reason}")


class BucketError(UploadError):
    """The bucket is missing, forbidden, or belongs to another account."""


class ServiceError(ProcessingError):
    """An AWS call failed: `operation` (such as DescribeProcessingJob) and the service's own `code`."""

    def __init__(self, message: str, *, operation: str, code: str) -> None:
        self.operation = operation
        self.code = code
        super().__init__(message)


class AccessDeniedError(ServiceError):
    """A permission or a credential is missing."""


class JobNotFoundError(ServiceError):
    """There is no such job in this account and region."""


class JobNameInUseError(ServiceError):
    """A job with that name exists already."""


class TransientError(ServiceError):
    """Throttling, 5xx, a lost connection, a quota or missing capacity: the same call may work later."""


class CapacityError(TransientError):
    """A quota is used up, or AWS has no free instances: the same job may start when others have ended."""


class MalformedResponseError(TransientError):
    """The response can't be read: half a body, a proxy's page, a missing or mistyped field.

    The call may have been carried out, as after a lost connection.
    """


class JobExistsError(ProcessingError):
    """A job exists already where the task needs a new one: an earlier try's, or another job with that name."""

    def __init__(self, job_name: str, message: str) -> None:
        self.job_name = job_name
        super().__init__(message)


class WaitTimeoutError(ProcessingError, TimeoutError):
    """The job hadn't ended when the maximum wait was over."""

    def __init__(self, job_name: str, *, waited_seconds: float) -> None:
        self.job_name = job_name
        self.waited_seconds = waited_seconds
        super().__init__(f"Processing job {job_name} had not ended after {waited_seconds:.0f} s.")


class JobEndedError(ProcessingError):
    """The job ended as Failed or Stopped.

    Args:
        job_name: The job's name.
        status: Its terminal status, `Failed` or `Stopped`.
        failure_reason: SageMaker's FailureReason, if there is one.
        exit_message: What the script wrote to `/opt/ml/output/message`, at most 1 KB.
        log_tails: The last log lines of each host, oldest first.
        links: Where to look further, by title.
    """

    def __init__(
        self,
        job_name: str,
        *,
        status: str,
        failure_reason: str | None = None,
        exit_message: str | None = None,
        log_tails: Mapping[str, Sequence[str]] | None = None,
        links: Mapping[str, str] | None = None,
    ) -> None:
        self.job_name = job_name
        self.status = status
        self.failure_reason = failure_reason
        self.exit_message = exit_message
        self.log_tails = {host: tuple(lines) for host, lines in (log_tails or {}).items()}
        self.links = dict(links or {})
        super().__init__("\n".join(self._lines()))

    def _lines(self) -> list[str]:
        lines = [f"Processing job {self.job_name} ended as {self.status}."]
        for title, text in (("FailureReason", self.failure_reason), ("ExitMessage", self.exit_message)):
            if text:
                lines.append(f"  {title}: " + printable(text).replace("\n", "\n    "))
        for host, tail in islice(self.log_tails.items(), _SHOWN_HOSTS):
            lines.append(f"  Last log lines of {host}:")
            lines.extend(f"    {one_line(line)}" for line in tail)
        if len(self.log_tails) > _SHOWN_HOSTS:
            lines.append(f"  … and of {len(self.log_tails) - _SHOWN_HOSTS} more hosts")
        lines.extend(f"  {title}: {url}" for title, url in self.links.items())
        return lines


class JobFailedError(JobEndedError):
    """The job ended as Failed."""


class JobStoppedError(JobEndedError):
    """The job ended as Stopped: by a user, by this package, or by MaxRuntimeInSeconds."""


_SHOWN_CHARACTERS = 120
_SHOWN_HOSTS = 5


def _shortened(value: object) -> str:
    text = without_signatures(repr(value))
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}… ({len(text)} characters)"
