"""Route every request: check it, then answer it ourselves, by moto, or by a fault."""

from __future__ import annotations

import hmac
import json
import logging
import re
import socket
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from airflow_sm_processing.local import auth, moto, storage
from airflow_sm_processing.local.errors import JSON_SERVICES, ServiceError
from airflow_sm_processing.local.faults import Call, Fault, Faults

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable

    from airflow_sm_processing.local.api import ProcessingApi
    from airflow_sm_processing.local.auth import Caller, Key, Keyring


ADMIN = "/_local/"
"""Paths of our own; no bucket's name can begin with an underscore."""
SECRET_HEADER = "X-Local-SageMaker-Secret"  # noqa: S105  # the header's name, not a secret
_log = logging.getLogger(__name__)
# Only a browser sends these, and no browser has business here.
_BROWSER_HEADERS = ("Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode")


class Gate:
    """The WSGI application."""

    def __init__(
        self, *, api: ProcessingApi, keyring: Keyring, admin_key: Key, faults: Faults, closing: threading.Event
    ) -> None:
        self._api = api
        self._keyring = keyring
        self._admin_key = admin_key
        self._faults = faults
        self._closing = closing
        self.hosts: frozenset[str] = frozenset()
        """The only Host headers that are answered; set once the port is known."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        request = moto.Request(environ)
        request.max_content_length = None
        service = _claimed_service(request)
        try:
            self._refuse_strangers(request)
            if request.path.startswith(ADMIN):
                response = self._admin(request)
            else:
                response = self._serve(request, auth.verify(request, self._keyring))
        except ServiceError as error:
            response = error.response(service)
        except HTTPException as error:
            response = ServiceError("InvalidRequest", str(error), status=error.code or 400).response(service)
        except ConnectionResetError:
            raise  # a fault's: no answer
        except Exception:  # noqa: BLE001  # an answer that clients understand, whatever went wrong
            _log.exception("The local SageMaker failed to answer %s %s", request.method, request.path)
            message = "We encountered an internal error. The local SageMaker's own log has more."
            response = ServiceError("InternalFailure", message, status=500).response(service)
        return response(environ, start_response)

    def _refuse_strangers(self, request: moto.Request) -> None:
        host = request.headers.get("Host", "")
        if host.lower() not in self.hosts:
            message = f"Host {host!r} isn't this server. Use http://{min(self.hosts)}."
            raise ServiceError("AccessDenied", message, status=403)
        for header in _BROWSER_HEADERS:
            if header in request.headers:
                raise ServiceError("AccessDenied", f"Browsers aren't served (the request has {header}).", status=403)

    def _admin(self, request: moto.Request) -> Response:
        sent = request.headers.get(SECRET_HEADER, "")
        if not hmac.compare_digest(sent.encode(), self._admin_key.secret_access_key.encode()):
            raise ServiceError("AccessDenied", f"Send the server's secret access key as {SECRET_HEADER}.", status=403)
        if (request.method, request.path) == ("PUT", f"{ADMIN}faults"):
            self._set_faults(auth.body(request))
        elif (request.method, request.path) != ("GET", f"{ADMIN}faults"):
            raise ServiceError("UnknownOperationException", f"There is GET and PUT {ADMIN}faults.", status=404)
        return Response(json.dumps(self._faults.current()), content_type="application/json")

    def _set_faults(self, body: bytes) -> None:
        try:
            sent = storage.loads(body)
            faults = [Fault.parse(item) if isinstance(item, str) else Fault(**item) for item in sent["faults"]]
            self._faults.set(faults, seed=sent.get("seed", 0))
        except (ValueError, TypeError, KeyError) as error:  # what a Fault is made of may be of any type
            message = f'Send {{"faults": ["OPERATION:KEY=VALUE", …], "seed": 0}}: {error}'
            raise ServiceError("ValidationException", message) from error

    def _serve(self, request: moto.Request, caller: Caller) -> Response:
        if caller.service not in moto.SERVICES:
            message = f"The local SageMaker has no {caller.service}; it has {', '.join(moto.SERVICES)}."
            raise ServiceError("UnknownOperationException", message, status=404)
        payload = _json_body(request, caller) if caller.service in JSON_SERVICES else {}
        operation = moto.operation(request, caller)
        if caller.service == "logs" and not caller.key.internal:
            moto.check(operation, payload)
        call = Call(
            service=caller.service,
            operation=operation,
            job=_text(payload.get("ProcessingJobName")),
            role=_text(payload.get("RoleArn")),
        )
        faults = [] if caller.key.internal else self._faults.for_call(call)
        self._apply(request, faults, call)
        response = self._answer(request, caller, operation, payload)
        if any(fault.drop == "after" for fault in faults):
            _drop(request)
        return response

    def _apply(self, request: moto.Request, faults: list[Fault], call: Call) -> None:
        self._closing.wait(sum(fault.latency for fault in faults))
        for fault in faults:
            if fault.drop == "before":
                _drop(request)
            if fault.throttle is not None:
                raise ServiceError("ThrottlingException", "Rate exceeded")
            if fault.error:
                message = fault.message or f"The fault {fault.operation!r} of the local SageMaker says so."
                raise ServiceError(fault.error, message.replace("{role}", call.role or ""), status=fault.status)

    def _answer(self, request: moto.Request, caller: Caller, operation: str, payload: dict[str, Any]) -> Response:
        if caller.service == "sagemaker":
            if not self._api.answers(operation, payload):
                # moto would answer, and call a training job Completed that nobody trained.
                message = f"The local SageMaker runs processing jobs only: it can't do {operation} for this."
                raise ServiceError("UnknownOperationException", message)
            body = self._api.call(operation, payload, caller)
            return Response(body, content_type="application/x-amz-json-1.1")
        if caller.service == "s3":
            moto.check_bucket_owner(request, caller)
        if operation == "FilterLogEvents":
            moto.repair_filter(request, caller, payload)
        return moto.answer(request, caller)


def _claimed_service(request: moto.Request) -> str:
    """Guess the protocol to refuse in; nothing is granted on the strength of it."""
    credential = request.headers.get("Authorization") or request.args.get("X-Amz-Credential", "")
    found = re.search(r"/([a-z0-9-]+)/aws4_request", credential)
    return found[1] if found else "s3"


def _json_body(request: moto.Request, caller: Caller) -> dict[str, Any]:
    if caller.region not in moto.regions(caller.service):
        code = auth.WRONG_SIGNATURE[caller.service]
        raise ServiceError(code, "Credential should be scoped to a valid region.", status=403)
    try:
        payload = storage.loads(auth.body(request) or b"{}")
    except ValueError as error:
        message = f"The body of the {caller.service} call is no JSON: {error}"
        raise ServiceError("SerializationException", message) from error
    if not isinstance(payload, dict):
        raise ServiceError("SerializationException", "The body must be a JSON object.")
    return payload


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _drop(request: moto.Request) -> None:
    """End the connection without a byte of an answer."""
    connection: socket.socket = request.environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError("dropped by a fault")
