"""Git repositories, and a server of them over https that asks for a password."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import os
import ssl
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SETTINGS = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


@dataclass
class Repository:
    """A repository on this machine, whose first branch is `main`."""

    path: Path

    def __post_init__(self) -> None:
        self.path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    @property
    def url(self) -> str:
        return self.path.as_uri()

    def commit(self, files: Mapping[str, str]) -> str:
        """Write the files, and return the hash of the commit that they are in."""
        for name, text in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            if name.endswith(".sh"):
                path.chmod(0o755)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=files")
        return self.git("rev-parse", "HEAD").strip()

    def git(self, *arguments: str) -> str:
        environment = {"PATH": os.environ["PATH"], **_SETTINGS}
        run = subprocess.run(
            ["git", *arguments], cwd=self.path, env=environment, check=True, capture_output=True, text=True, timeout=60
        )
        return run.stdout


@dataclass
class GitServer:
    """The login that the server requires, and a record of the requests."""

    url: str
    certificate: Path
    login: tuple[str, str] | None = None
    """The required username and password."""
    message: bytes = b""
    """The message of a refusal."""
    is_stuck: bool = False
    """Whether it never answers."""
    logins: list[tuple[str, ...]] = field(default_factory=list)
    """The usernames and passwords of the requests that had one."""
    processes: list[str] = field(default_factory=list)
    """The arguments of all processes of this machine at the time of each request that had a login."""
    asked: threading.Event = field(default_factory=threading.Event)
    """Set when there was a request."""
    released: threading.Event = field(default_factory=threading.Event)
    """Set it to let a stuck server end."""


@contextmanager
def git_server(folder: Path, scratch: Path) -> Iterator[GitServer]:
    """Serve the repositories in a folder over https on 127.0.0.1."""
    certificate = _make_certificate(scratch)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    state: Any = server
    state.root = folder
    state.seen = seen = GitServer(f"https://127.0.0.1:{server.server_address[1]}", certificate)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield seen
    finally:
        seen.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Passes requests on to git's own CGI program."""

    def do_GET(self) -> None:
        seen: GitServer = self.server.seen  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        login = tuple(base64.b64decode(given).decode().split(":", 1)) if given else None
        if login:
            seen.logins.append(login)
            listed = subprocess.run(
                ["ps", "axww", "-o", "args"], check=True, capture_output=True, text=True, timeout=60
            )
            seen.processes.append(listed.stdout)
        seen.asked.set()
        if seen.is_stuck:
            seen.released.wait(120)
        elif seen.login and login != seen.login:
            self.send_response(403 if login else 401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(seen.message)))
            self.end_headers()
            self.wfile.write(seen.message)
        else:
            self._answer(body)

    do_POST = do_GET  # noqa: N815  # the base class's name

    def _answer(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.root),  # type: ignore[attr-defined]
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        run = subprocess.run(
            ["git", "http-backend"], input=body, env=environment, capture_output=True, check=True, timeout=60
        )
        head, _, content = run.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200 OK").split()[0]))
        for name, text in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Keep silent."""


def _make_certificate(folder: Path) -> Path:
    """Write a certificate of 127.0.0.1 that signs itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(
        key.private_bytes(pem, pkcs8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
