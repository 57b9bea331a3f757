"""The local SageMaker: one object that serves HTTP on loopback while its `with` block lasts."""

from __future__ import annotations

import hmac
import json
import logging
import os
import re
import socket
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from moto.core.request import PRESERVED_HEADER_NAMES_ENVIRON_KEY, environ_key_for_header
from werkzeug.exceptions import HTTPException
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Response

from airflow_sm_processing.local import auth, folders, moto, storage
from airflow_sm_processing.local.api import JobApi
from airflow_sm_processing.local.auth import Clients, Key, Keyring, ignoring
from airflow_sm_processing.local.container import Images, Setting
from airflow_sm_processing.local.faults import Call, Fault, Faults
from airflow_sm_processing.local.folders import make_private, write_private
from airflow_sm_processing.local.runner import Dispatcher, RunnerSettings
from airflow_sm_processing.local.sandbox import Endpoint, strongest_mode
from airflow_sm_processing.local.validation import JSON_SERVICES, ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from _typeshed.wsgi import WSGIApplication
    from typing_extensions import Self

    from airflow_sm_processing.local.auth import Caller
    from airflow_sm_processing.local.jobs import Job
    from airflow_sm_processing.local.sandbox import Mode, NetworkMode


ADMIN = "/_local/"
"""The prefix of the server's own paths; a bucket's name can't begin with an underscore."""
SECRET_HEADER = "X-Local-SageMaker-Secret"  # noqa: S105  # the header's name, not a secret
# Headers that only browsers send; requests from browsers are refused.
_BROWSER_HEADERS = ("Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode")


class Gate:
    """The WSGI application."""

    def __init__(
        self, *, api: JobApi, keyring: Keyring, admin_key: Key, faults: Faults, closing: threading.Event
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
            raise  # a fault drops the connection without an answer
        except Exception:  # noqa: BLE001  # clients must get a response that they understand
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
        except (ValueError, TypeError, KeyError) as error:  # a Fault's fields may come with any type
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
            job=_text(payload.get("ProcessingJobName", payload.get("TrainingJobName"))),
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
                # moto would answer, for example with a Completed transform job that was never run.
                does = "The local SageMaker runs processing and training jobs only"
                raise ServiceError("UnknownOperationException", f"{does}: it can't do {operation} for this.")
            body = self._api.call(operation, payload, caller)
            return Response(body, content_type="application/x-amz-json-1.1")
        if caller.service == "s3":
            moto.check_bucket_owner(request, caller)
        if operation == "FilterLogEvents":
            moto.repair_filter(request, caller, payload)
        return moto.answer(request, caller)


def _claimed_service(request: moto.Request) -> str:
    """Guess the protocol in which to refuse an unverified request; access never depends on the guess."""
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
    """Close the connection without an answer."""
    connection: socket.socket = request.environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError("dropped by a fault")


_SERVICES = ("S3", "STS", "IAM", "SAGEMAKER", "CLOUDWATCH_LOGS")
_LOOPBACK = ("127.0.0.1", "localhost")


def write_aws_files(folder: Path, key: Key, region: str) -> None:
    """Write an AWS configuration and credentials, each with a default profile, for `aws_environment` to name.

    An empty AWS_PROFILE is an error for botocore, and other variables can't unset it, so the user's profile is replaced
    by one that exists in these files.
    """
    aws = folder / "aws"
    make_private(aws)
    write_private(aws / "config", f"[default]\nregion = {region}\n")
    pair = f"aws_access_key_id = {key.access_key_id}\naws_secret_access_key = {key.secret_access_key}\n"
    write_private(aws / "credentials", f"[default]\n{pair}")


def aws_environment(folder: Path, endpoint_url: str, key: Key, region: str) -> dict[str, str]:
    """Return the environment variables that point any AWS client to this server."""
    no_proxy = ",".join(dict.fromkeys([*filter(None, os.environ.get("NO_PROXY", "").split(",")), *_LOOPBACK]))
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        **{f"AWS_ENDPOINT_URL_{service}": endpoint_url for service in _SERVICES},
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
        "AWS_SESSION_TOKEN": "",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_PROFILE": "default",
        "AWS_DEFAULT_PROFILE": "default",
        "AWS_CONFIG_FILE": str(folder / "aws" / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "aws" / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
    }


def airflow_environment(endpoint_url: str, key: Key, region: str) -> dict[str, str]:
    """Return variables for Airflow's connection `aws_default`, and for frequent polling, as calls cost nothing here."""
    connection = {
        "conn_type": "aws",
        "login": key.access_key_id,
        "password": key.secret_access_key,
        "extra": {"endpoint_url": endpoint_url, "region_name": region},
    }
    return {"AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection), "AIRFLOW__SM_PROCESSING__POLL_INTERVAL": "1"}


LOOPBACK = "127.0.0.1"
_log = logging.getLogger(__name__)


class _Handler(WSGIRequestHandler):
    # Header and body are written separately; without this, the body waits for the header's acknowledgement.
    disable_nagle_algorithm = True

    def make_environ(self) -> dict[str, Any]:
        """Keep S3 metadata names with underscores, which werkzeug drops and moto needs as they were sent."""
        environ = super().make_environ()
        names: dict[str, str] = {}
        for name, value in self.headers.items():
            if "_" in name and name.lower().startswith("x-amz-meta-"):
                key = environ_key_for_header(name)
                names[key] = name
                environ[key] = value
        environ[PRESERVED_HEADER_NAMES_ENVIRON_KEY] = names
        return environ

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  # werkzeug's own name
        """Log calls at debug level; werkzeug would write them to stderr, in colour."""
        level = logging.ERROR if type == "error" else logging.DEBUG
        _log.log(level, "%s", message % args if args else message)


class HttpServer(ThreadedWSGIServer):
    """Serves until it is closed; closing ends every open connection and waits for every thread."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, port: int, application: WSGIApplication) -> None:
        # werkzeug takes the protocol version from the handler's class: 1.1 keeps connections open.
        handler = type("Handler", (_Handler,), {"protocol_version": "HTTP/1.1"})
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        # The socket is created here because werkzeug exits the process if the port is taken.
        with _listen(port) as listener:
            super().__init__(LOOPBACK, port, application, handler, fd=listener.fileno())
        self._thread = threading.Thread(target=self.serve_forever, args=[0.05], name="local-sagemaker", daemon=True)

    def start(self) -> None:
        """Serve in a separate thread."""
        self._thread.start()

    def serve_also(self, listener: socket.socket) -> None:
        """Serve connections to another socket, until it is shut down."""
        while True:
            try:
                connection, address = listener.accept()
            except OSError:
                return
            self.process_request(connection, address)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, so that `close` can end it."""
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection that has ended."""
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def close(self) -> None:
        """Stop serving."""
        self.shutdown()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            _shut(connection)
        self._thread.join()  # serve_forever ends with server_close, which waits for the connections' threads


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((LOOPBACK, port), backlog=128)
    except OSError as error:
        raise ValueError(f"Port {port} is in use. Choose another, or 0 for any: {error.strerror}.") from error


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        _log.debug("A connection had ended already")


STOP_GRACE = 120.0
"""Seconds from SIGTERM to SIGKILL, as for SageMaker's jobs:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTrainingJob.html"""

_MAX_PORT = 65535
_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)


class LocalSageMaker:
    """A SageMaker endpoint on loopback, with S3, STS, IAM and CloudWatch Logs, that runs processing and training jobs.

    Servers in one process share moto's state of an account: buckets, roles, log streams. Jobs, keys and faults belong
    to each server alone. When the last server ends, all state is dropped.

    Args:
        port: 0 picks a free one.
        data_dir: The folder for job folders; None makes a temporary folder and removes it at the end.
        max_jobs: How many jobs run at once; the rest wait as InProgress, without a ProcessingStartTime.
        images: Interpreters by image URI pattern; the server's own Python runs the rest.
        faults: Faults in the server's answers, see `airflow_sm_processing.local.faults`.
        account_id: The account of the keys.
        region: The region in `environment()`; the server answers in any region.
        roles: IAM roles to create at the start.
        access_key_id: Generated unless given, as is `secret_access_key`.
        secret_access_key: Signs requests; anyone who has it can run programs as the server's user.
        stop_grace: Seconds between SIGTERM and SIGKILL.
        keep_jobs: Keep job folders after the jobs' end.
        pass_environment: Globs over names of the server's own environment that scripts may see.
        isolation: `namespace`, `mount` or `folder`; None takes the strongest that works here.
        network: `auto` puts the hosts of each job that has several in a separate network, if that works here; `own`
            does so for every job, `shared` for none.
        seed: Makes random faults repeatable.

    Raises:
        ValueError: A value is invalid, or the port or data folder is in use.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        data_dir: str | Path | None = None,
        max_jobs: int = 8,
        images: Mapping[str, str] | None = None,
        faults: Iterable[Fault | str] = (),
        account_id: str = "123456789012",
        region: str = "us-east-1",
        roles: Iterable[str] = ("SageMakerRole",),
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        stop_grace: float = STOP_GRACE,
        keep_jobs: bool = False,
        pass_environment: Iterable[str] = (),
        isolation: Mode | None = None,
        network: NetworkMode = "auto",
        seed: int = 0,
    ) -> None:
        _check_numbers(port=port, max_jobs=max_jobs, stop_grace=stop_grace)
        self._roles = tuple(roles)
        _check_names(account_id=account_id, region=region, roles=self._roles)
        self.account_id = account_id
        self.region = region
        self.key = Key.generate(account_id, access_key_id=access_key_id, secret_access_key=secret_access_key)
        self._port = port
        self._data_dir = data_dir
        self._images = Images(images)
        self._faults = Faults()
        self._faults.set(faults, seed=seed)
        self._keyring = Keyring(self.key)
        self._max_jobs = max_jobs
        self._stop_grace = stop_grace
        self._keep_jobs = keep_jobs
        self._pass_environment = tuple(pass_environment)
        self.isolation = isolation or strongest_mode()
        self._network = network
        self._running: ExitStack | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = stack.enter_context(folders.data_folder(self._data_dir))
            closing = threading.Event()
            dispatcher = Dispatcher(self._settings, max_jobs=self._max_jobs, closing=closing)
            api = JobApi(dispatcher, check_image=self._images.resolve)
            gate = Gate(api=api, keyring=self._keyring, admin_key=self.key, faults=self._faults, closing=closing)
            http = HttpServer(self._port, gate)
            gate.hosts = frozenset(f"{host}:{http.port}" for host in (LOOPBACK, "localhost"))
            self.endpoint_url = f"http://{LOOPBACK}:{http.port}"
            self._endpoint = Endpoint(port=http.port, serve=http.serve_also)
            stack.enter_context(moto.tenancy())
            http.start()
            stack.callback(http.close)
            self._clients = Clients(self.endpoint_url)
            stack.callback(self._clients.close)
            write_aws_files(self._folder, self.key, self.region)
            stack.callback(dispatcher.close)
            self._make_roles()
            self._running = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._running is not None:
            self._running.close()
            self._running = None

    def environment(self) -> dict[str, str]:
        """Return the variables that point any AWS client, and Airflow's `aws_default` connection, to this server.

        They override the user's own profile, configuration files and proxies.
        """
        return aws_environment(self._folder, self.endpoint_url, self.key, self.region) | airflow_environment(
            self.endpoint_url, self.key, self.region
        )

    def client(self, service: str, *, account_id: str | None = None, region: str | None = None) -> Any:
        """Return a boto3 client, for another account if `account_id` is set."""
        key = self.key if account_id is None else self._key_of(account_id, internal=False)
        return self._clients.get(service, key, region or self.region)

    def set_faults(self, *faults: Fault | str, seed: int = 0) -> None:
        """Replace all faults; without arguments, remove them."""
        self._faults.set(faults, seed=seed)

    def _key_of(self, account_id: str, *, internal: bool) -> Key:
        return self._keyring.of_account(account_id, internal=internal)

    def _internal_client(self, service: str, job: Job) -> Any:
        return self._clients.get(service, self._key_of(job.account_id, internal=True), job.region)

    def _settings(self) -> RunnerSettings:
        return RunnerSettings(
            folder=self._folder / "jobs",
            client=self._internal_client,
            images=self._images,
            faults=self._faults,
            setting=Setting(
                mode=self.isolation,
                aws_environment=aws_environment(self._folder, self.endpoint_url, self.key, self.region),
                endpoint=self._endpoint,
                network=self._network,
                pass_environment=self._pass_environment,
            ),
            stop_grace=self._stop_grace,
            keep_jobs=self._keep_jobs,
        )

    def _make_roles(self) -> None:
        iam = self._clients.get("iam", self._key_of(self.account_id, internal=True), self.region)
        for role in self._roles:
            with ignoring("EntityAlreadyExists"):  # created by another server in this process
                iam.create_role(RoleName=role, AssumeRolePolicyDocument=_TRUST)


def _check_numbers(*, port: int, max_jobs: int, stop_grace: float) -> None:
    if not 0 <= port <= _MAX_PORT:
        raise ValueError(f"port is {port}, and must be from 0 (any) to {_MAX_PORT}.")
    if max_jobs < 1:
        raise ValueError(f"max_jobs is {max_jobs}, and must be at least 1.")
    if not stop_grace >= 0:
        raise ValueError(f"stop_grace is {stop_grace}, and must be at least 0.")
    if stop_grace > threading.TIMEOUT_MAX:
        raise ValueError(f"stop_grace is {stop_grace}, and must be at most {threading.TIMEOUT_MAX:.0f} seconds.")


def _check_names(*, account_id: str, region: str, roles: tuple[str, ...]) -> None:
    if not re.fullmatch(r"[0-9]{12}", account_id):
        raise ValueError(f"account_id is {account_id!r}, and must have 12 digits.")
    if region not in moto.regions("sagemaker"):
        raise ValueError(f"region is {region!r}, which is no region of AWS's.")
    for role in roles:
        if not re.fullmatch(r"[\w+=,.@-]{1,64}", role, re.ASCII):
            raise ValueError(f"roles has {role!r}; a role's name is up to 64 letters, digits and +=,.@_-, no ARN.")
