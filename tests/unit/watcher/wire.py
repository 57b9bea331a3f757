"""Real botocore clients over an account in memory, with responses that are spoilt on their way."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from io import BytesIO
from typing import TYPE_CHECKING, Any

import boto3
from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError

from .account import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tests.malformed_answers import Malformed

JSON = {"Content-Type": "application/x-amz-json-1.1"}


class _Body(BytesIO):
    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.read()


class Wire:
    """Carries botocore's requests to a stand-in that answers them, and spoils chosen responses.

    Create it before a loop runs, because botocore reads its models from files.
    """

    def __init__(self, *services: str) -> None:
        self._clients = {service: _client(service, self._send) for service in services}
        self._methods: Mapping[str, Callable[..., Mapping[str, Any]]] = {}
        self._to_spoil: dict[str, deque[Malformed]] = defaultdict(deque)
        self._always: dict[tuple[str, str | None], Malformed] = {}

    def client(self, service: str) -> Any:
        return self._clients[service]

    def leads_to(self, client: Any, operations: Mapping[str, str] = OPERATIONS) -> None:
        """Let a stand-in answer from now on."""
        self._methods = {
            operation: getattr(client, method) for method, operation in operations.items() if hasattr(client, method)
        }

    def spoil(self, operation: str, answers: Iterable[Malformed]) -> None:
        """Spoil the next answers that can be spoilt in that way, each once and in order."""
        self._to_spoil[operation].extend(answers)

    def always_spoil(self, operation: str, answer: Malformed, about: str | None = None) -> None:
        """Spoil each answer, or each to a request that names this; `forget` ends it."""
        self._always[operation, about] = answer

    def forget(self) -> None:
        self._to_spoil.clear()
        self._always.clear()

    def left(self, operation: str) -> list[str]:
        """What wasn't spoilt yet."""
        return list(map(str, self._to_spoil[operation]))

    def _send(self, request: Any, **_: Any) -> AWSResponse:
        operation = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
        sent = json.loads(request.body)
        status, headers, body = self._answered(operation, sent)
        if status == 200:
            status, headers, body = self._spoilt(operation, sent, headers, body)
        return AWSResponse(request.url, status, headers, _Body(body))

    def _answered(self, operation: str, sent: Mapping[str, Any]) -> tuple[int, dict[str, str], bytes]:
        try:
            answer = dict(self._methods[operation](**_as_called(sent)))
        except ClientError as error:
            described = {"__type": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
            return error.response["ResponseMetadata"]["HTTPStatusCode"], JSON, json.dumps(described).encode()
        metadata = answer.pop("ResponseMetadata", {})
        date = metadata.get("HTTPHeaders", {}).get("date")
        return 200, {**JSON, **({"Date": date} if date else {})}, json.dumps(answer).encode()

    def _spoilt(
        self, operation: str, sent: Mapping[str, Any], headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        always = next(
            (
                answer
                for (its_operation, about), answer in self._always.items()
                if its_operation == operation and (about is None or about in json.dumps(sent))
            ),
            None,
        )
        waiting = self._to_spoil[operation]
        malformed = always or (waiting[0] if waiting else None)
        if malformed is None:
            return 200, headers, body
        try:
            spoilt = malformed.spoil(body)
        except (LookupError, TypeError, AttributeError):  # it has nothing of what was to be spoilt
            return 200, headers, body
        if always is None:
            waiting.popleft()
        return malformed.status, malformed.headers or headers, spoilt


def _as_called(sent: Mapping[str, Any]) -> dict[str, Any]:
    from datetime import datetime, timezone

    moments = {"LastModifiedTimeAfter", "LastModifiedTimeBefore"}
    return {
        name: datetime.fromtimestamp(value, timezone.utc) if name in moments else value for name, value in sent.items()
    }


def _client(service: str, send: Callable[..., AWSResponse]) -> Any:
    once = Config(retries={"total_max_attempts": 1, "mode": "standard"}, signature_version=UNSIGNED)
    client = boto3.Session().client(service, region_name="eu-west-1", config=once)  # type: ignore[call-overload]  # any
    client.meta.events.register("before-send", send)
    return client
