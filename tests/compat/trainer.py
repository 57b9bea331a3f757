"""A stand-in for SageMaker's training jobs, which the local SageMaker doesn't run: two calls, over HTTP."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOKS = 3  # that a job takes until it is Completed


class Trainer(ThreadingHTTPServer):
    """The one training job of an account."""

    daemon_threads = True

    def __init__(self) -> None:
        self.request: dict[str, Any] = {}
        self.clients: list[str] = []
        """Who asked for the job's description, as its user agent says."""
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        self.request = request
        return {"TrainingJobArn": self.arn}

    def describe(self) -> dict[str, Any]:
        status = "Completed" if len(self.clients) >= LOOKS else "InProgress"
        return {**self.request, "TrainingJobArn": self.arn, "TrainingJobStatus": status, "SecondaryStatus": status}

    @property
    def arn(self) -> str:
        return f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{self.request['TrainingJobName']}"


class Handler(BaseHTTPRequestHandler):
    """Answers JSON 1.1, as SageMaker does."""

    server: Trainer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        if operation == "CreateTrainingJob":
            answer = self.server.create(body)
        else:
            assert operation == "DescribeTrainingJob", operation
            self.server.clients.append(self.headers["User-Agent"])
            answer = self.server.describe()
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def running_trainer() -> Iterator[Trainer]:
    """Serve for the block."""
    with Trainer() as trainer:
        thread = threading.Thread(target=trainer.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield trainer
        finally:
            trainer.shutdown()
            thread.join()
