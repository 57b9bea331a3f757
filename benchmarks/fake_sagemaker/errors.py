"""Errors as AWS answers them."""

from __future__ import annotations


class ServiceError(Exception):
    """A refusal with the service's own code, answered with status 400."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")


def validation_error(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)


def throttled() -> ServiceError:
    return ServiceError("ThrottlingException", "Rate exceeded")


def name_in_use(arn: str) -> ServiceError:
    return ServiceError("ResourceInUse", f"Job name must be unique within an AWS account and region: {arn} exists.")


def quota_is_used_up(allowed: int) -> ServiceError:
    return ServiceError("ResourceLimitExceeded", f"The account allows {allowed} processing jobs at once.")
