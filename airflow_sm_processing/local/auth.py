"""Access keys: verify AWS Signature Version 4 as AWS does, and make the server's own clients, which sign with a key.

Signatures may be in headers and in presigned URLs, in any payload mode. The clients ignore the user's AWS configuration
and proxies.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import string
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import boto3
import botocore.session
from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.utils import normalize_url_path

from airflow_sm_processing.local.validation import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moto.core.request import Request


@dataclass(frozen=True, kw_only=True)
class Key:
    """An access key pair and its account."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    account_id: str
    session_token: str | None = field(default=None, repr=False)
    internal: bool = False
    """Whether the key is for the server's calls to itself, which no fault applies to."""

    @classmethod
    def generate(
        cls,
        account_id: str,
        *,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        internal: bool = False,
    ) -> Key:
        """Return a key pair, generated in AWS's form (20 capitals and digits, and 40 characters) unless given."""
        alphabet = string.ascii_uppercase + string.digits
        return cls(
            access_key_id=access_key_id or "AKIA" + "".join(secrets.choice(alphabet) for _ in range(16)),
            secret_access_key=secret_access_key or secrets.token_urlsafe(30),
            account_id=account_id,
            internal=internal,
        )


class Keyring:
    """Every key that may sign a request."""

    def __init__(self, key: Key) -> None:
        self._lock = threading.Lock()
        self._keys = {key.access_key_id: key}

    def find(self, access_key_id: str) -> Key | None:
        """Return the server's own key, or one that sts:AssumeRole or iam:CreateAccessKey issued; None if unknown."""
        return self._keys.get(access_key_id) or self._issued(access_key_id)

    def of_account(self, account_id: str, *, internal: bool) -> Key:
        """Return an account's key, generated on first use."""
        with self._lock:
            for key in self._keys.values():
                if (key.account_id, key.internal) == (account_id, internal):
                    return key
            key = Key.generate(account_id, internal=internal)
            self._keys = {**self._keys, key.access_key_id: key}
            return key

    def accounts(self) -> set[str]:
        """Return every account that has a key."""
        return {key.account_id for key in self._keys.values()}

    def _issued(self, access_key_id: str) -> Key | None:
        for account_id in self.accounts():
            if key := _assumed_role(account_id, access_key_id) or _iam_user(account_id, access_key_id):
                return key
        return None


def _assumed_role(account_id: str, access_key_id: str) -> Key | None:
    from moto.sts.models import sts_backends

    role = sts_backends[account_id]["aws"].get_assumed_role_from_access_key(access_key_id)
    if role is None:
        return None
    return Key(
        access_key_id=access_key_id,
        secret_access_key=role.secret_access_key,
        account_id=role.account_id,
        session_token=role.session_token,
    )


def _iam_user(account_id: str, access_key_id: str) -> Key | None:
    from moto.iam.models import iam_backends

    issued = iam_backends[account_id]["aws"].access_keys.get(access_key_id)
    if issued is None:
        return None
    return Key(access_key_id=access_key_id, secret_access_key=issued.secret_access_key, account_id=account_id)


ALGORITHM = "AWS4-HMAC-SHA256"
MAX_SKEW = timedelta(minutes=15)
"""How far a client's clock may be off: https://docs.aws.amazon.com/general/latest/gr/sigv4-troubleshooting.html"""
MAX_EXPIRY = timedelta(days=7)
"""The longest life of a presigned URL: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html"""

# Error codes differ by protocol; clients and users know these names.
_UNKNOWN_KEY = {"s3": "InvalidAccessKeyId", "sts": "InvalidClientTokenId", "iam": "InvalidClientTokenId"}
WRONG_SIGNATURE = {"sagemaker": "InvalidSignatureException", "logs": "InvalidSignatureException"}


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who signed a request, and for which service and region."""

    key: Key
    service: str
    region: str


@dataclass(frozen=True, kw_only=True)
class _Claim:
    """What a request says about its own signature."""

    access_key_id: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    timestamp: str
    expires: timedelta | None
    """Set for a presigned URL."""

    @classmethod
    def of(cls, request: Request) -> _Claim:
        authorization = request.headers.get("Authorization", "")
        try:
            if authorization.startswith(ALGORITHM):
                fields = dict(re.findall(r"(\w+)=([^,\s]+)", authorization))
                stamp = request.headers.get("X-Amz-Date", "")
                return cls._parse(fields, stamp, None)
            fields = {name.removeprefix("X-Amz-"): value for name, value in _query(request)}
            return cls._parse(fields, fields["Date"], timedelta(seconds=int(fields["Expires"])))
        except (KeyError, ValueError) as error:
            raise ServiceError(
                "MissingAuthenticationToken",
                "The request has no AWS Signature Version 4. Sign it with the keys that the server printed.",
                status=403,
            ) from error

    @classmethod
    def _parse(cls, fields: dict[str, str], timestamp: str, expires: timedelta | None) -> _Claim:
        access_key_id, _, region, service, _ = fields["Credential"].split("/")
        return cls(
            access_key_id=access_key_id,
            region=region,
            service=service,
            signed_headers=tuple(fields["SignedHeaders"].lower().split(";")),
            signature=fields["Signature"],
            timestamp=timestamp,
            expires=expires,
        )


def verify(request: Request, keyring: Keyring) -> Caller:
    """Return who signed the request.

    Raises:
        ServiceError: 403 and AWS's own code, when the key is unknown, the signature isn't the one that the
            key produces, the body isn't the signed one, or the signature is too old.
    """
    claim = _Claim.of(request)
    key = keyring.find(claim.access_key_id)
    if key is None:
        code = _UNKNOWN_KEY.get(claim.service, "UnrecognizedClientException")
        raise ServiceError(code, "The access key id isn't one of this server's.", status=403)
    # Without the host, a signature for one endpoint would be good for another.
    if "host" not in claim.signed_headers or not hmac.compare_digest(
        _signature(request, claim, key).encode(), claim.signature.encode()
    ):
        code = WRONG_SIGNATURE.get(claim.service, "SignatureDoesNotMatch")
        message = "The signature doesn't match this key and this request. Check the secret access key."
        raise ServiceError(code, message, status=403)
    _check_token(request, key)
    _check_time(claim)
    return Caller(key=key, service=claim.service, region=claim.region)


def _signature(request: Request, claim: _Claim, key: Key) -> str:
    signer = SigV4Auth(Credentials(key.access_key_id, key.secret_access_key), claim.service, claim.region)
    aws_request = AWSRequest(method=request.method, url=request.url)
    aws_request.context["timestamp"] = claim.timestamp
    headers = HTTPHeaders()
    for name in claim.signed_headers:
        # WSGI decodes the request's bytes as Latin-1; they were signed as UTF-8.
        headers[name] = request.headers.get(name, "").encode("latin-1").decode("utf-8", "replace")
    canonical = "\n".join(
        [
            request.method,
            _canonical_path(request, claim.service),
            _canonical_query(request),
            signer.canonical_headers(headers) + "\n",
            signer.signed_headers(headers),
            _payload_hash(request, presigned=claim.expires is not None),
        ]
    )
    text = signer.string_to_sign(aws_request, canonical)
    return str(signer.signature(text, aws_request))


def _canonical_path(request: Request, service: str) -> str:
    if service == "s3":
        return request.raw_path
    return quote(normalize_url_path(request.raw_path), safe="/~")


def _query(request: Request) -> list[tuple[str, str]]:
    pairs = (part.partition("=") for part in request.query_string.decode("latin-1").split("&") if part)
    return [(unquote(name), unquote(value)) for name, _, value in pairs]


def _canonical_query(request: Request) -> str:
    pairs = [(name, value) for name, value in _query(request) if name != "X-Amz-Signature"]
    return "&".join(sorted(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs))


def _payload_hash(request: Request, *, presigned: bool) -> str:
    signed = request.headers.get("X-Amz-Content-SHA256")
    if signed is not None and not re.fullmatch(r"[0-9a-f]{64}", signed):
        return signed  # UNSIGNED-PAYLOAD, or one of the STREAMING-… modes that moto decodes
    if presigned:
        return signed or "UNSIGNED-PAYLOAD"
    found = hashlib.sha256(body(request)).hexdigest()
    if signed is not None and not hmac.compare_digest(found, signed):
        raise ServiceError("XAmzContentSHA256Mismatch", "The body isn't the one that was signed.", status=400)
    return found


def body(request: Request) -> bytes:
    """Read the whole body, and keep it readable for later readers.

    Raises:
        ServiceError: IncompleteBody.
    """
    try:
        data = request.stream.read()
    except OSError as error:  # chunks that aren't as announced
        raise ServiceError("IncompleteBody", f"The request's body can't be read: {error}") from error
    replace_body(request, data)
    return data


def replace_body(request: Request, data: bytes) -> None:
    """Replace the request's body by `data` for later readers."""
    request.environ["wsgi.input"] = BytesIO(data)
    request.environ["CONTENT_LENGTH"] = str(len(data))
    request.environ.pop("HTTP_TRANSFER_ENCODING", None)
    request.__dict__.pop("stream", None)  # werkzeug keeps the one that was read


def _check_token(request: Request, key: Key) -> None:
    if key.session_token is None:
        return
    token = request.headers.get("X-Amz-Security-Token") or dict(_query(request)).get("X-Amz-Security-Token", "")
    if not hmac.compare_digest(token.encode(), key.session_token.encode()):
        raise ServiceError("InvalidToken", "The session token isn't the one issued with this key.", status=403)


def _check_time(claim: _Claim) -> None:
    try:
        signed_at = datetime.strptime(claim.timestamp, SIGV4_TIMESTAMP).replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise ServiceError("AccessDenied", f"X-Amz-Date {claim.timestamp!r} is no date.", status=403) from error
    now = datetime.now(timezone.utc)
    if claim.expires is None:
        if abs(now - signed_at) > MAX_SKEW:
            raise ServiceError("RequestTimeTooSkewed", "The request was signed over 15 minutes off.", status=403)
    elif not signed_at - MAX_SKEW < now < signed_at + min(claim.expires, MAX_EXPIRY):
        raise ServiceError("AccessDenied", "Request has expired", status=403)


# The server's own clients

# Like botocore's own table of the sources of settings, without the user's files and profile.
_NOTHING_OF_THE_USERS = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
    "ca_bundle": (None, None, None, None),
}


def core_session() -> botocore.session.Session:
    """Return a botocore session that ignores the user's profile and files."""
    return botocore.session.Session(session_vars=_NOTHING_OF_THE_USERS)


@contextmanager
def ignoring(code: str) -> Iterator[None]:
    """Suppress a client error with this code.

    `client.exceptions` isn't safe here: botocore creates its classes on first use, and two threads that use it first at
    the same time get different classes.
    """
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] != code:
            raise


class Clients:
    """Makes boto3 clients for one endpoint, one per service, key and region, and closes them all."""

    def __init__(self, endpoint_url: str) -> None:
        self._endpoint_url = endpoint_url
        self._lock = threading.Lock()  # making a client isn't thread-safe in boto3; using one is
        self._clients: dict[tuple[str, str, str], Any] = {}

    def get(self, service: str, key: Key, region: str) -> Any:
        """Return the boto3 client of a service."""
        with self._lock:
            name = service, key.access_key_id, region
            if name not in self._clients:
                self._clients[name] = self._make(service, key, region)
            return self._clients[name]

    def _make(self, service: str, key: Key, region: str) -> Any:
        session: Any = boto3.Session(  # Any: the service's name isn't a literal here
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
            region_name=region,
            botocore_session=core_session(),
        )
        config = Config(proxies={}, max_pool_connections=32)
        return session.client(service, endpoint_url=self._endpoint_url, config=config)

    def close(self) -> None:
        """End the clients' connections."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()
