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
