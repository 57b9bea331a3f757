"""The service's errors, and how each AWS protocol writes them on the wire."""

from __future__ import annotations

import json
import secrets
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response

JSON_SERVICES = frozenset({"sagemaker", "logs"})


class ServiceError(Exception):
    """An error that the caller gets as an AWS client would: `code`, `message`, HTTP `status`."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        self.code = code
        self.message = message
        self.status = status
        super().__init__(f"{code}: {message}")

    def response(self, service: str) -> Response:
        """Write the error in the protocol of `service`: JSON 1.1, S3's XML or the query protocol's XML."""
        request_id = secrets.token_hex(16)
        headers = {"x-amzn-RequestId": request_id, "x-amz-request-id": request_id}
        if service in JSON_SERVICES:
            headers["x-amzn-errortype"] = self.code
            body = json.dumps({"__type": self.code, "message": self.message})
            return Response(body, self.status, headers, content_type="application/x-amz-json-1.1")
        fields = f"<Code>{escape(self.code)}</Code><Message>{escape(self.message)}</Message>"
        if service == "s3":
            body = f"<Error>{fields}<RequestId>{request_id}</RequestId></Error>"
        else:
            error = f"<Error><Type>Sender</Type>{fields}</Error>"
            body = f"<ErrorResponse>{error}<RequestId>{request_id}</RequestId></ErrorResponse>"
        return Response(f'<?xml version="1.0" encoding="UTF-8"?>{body}', self.status, headers, content_type="text/xml")


def validation_error(message: str) -> ServiceError:
    """Make SageMaker's error for a request that can't be right."""
    return ServiceError("ValidationException", message)
