"""What Airflow's processes send to StatsD."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_DATAGRAM = 65_536
_END = b"end"


class Metrics:
    """A StatsD server that stores the metrics that it receives, with their tags: `name,tag=value:1|c`."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self._lines: list[str] = []

    def environment(self) -> dict[str, str]:
        """Return what makes Airflow send its metrics here, and leave no tag out."""
        settings = {
            "STATSD_ON": "True",
            "STATSD_HOST": "127.0.0.1",
            "STATSD_PORT": str(self._server.getsockname()[1]),
            "STATSD_INFLUXDB_ENABLED": "True",
            "STATSD_DISABLED_TAGS": "",
            "METRICS_ALLOW_LIST": "sm_processing",  # Airflow's own might fill the socket's buffer, and ours be lost
        }
        return {f"AIRFLOW__METRICS__{name}": value for name, value in settings.items()}

    def of(self, name: str, **tags: str) -> list[str]:
        """Return what came of a metric with these tags among its own, such as `1|c`, in order."""
        wanted = {f"{tag}={value}" for tag, value in tags.items()}
        found = []
        for line in self._lines:
            head, _, value = line.rpartition(":")
            series, *line_tags = head.split(",")
            if series == f"airflow.{name}" and wanted <= {*line_tags}:
                found.append(value)
        return found

    def _keep(self) -> None:
        while (datagram := self._server.recv(_LONGEST_DATAGRAM)) != _END:
            self._lines += datagram.decode().splitlines()


@contextmanager
def listening() -> Iterator[Metrics]:
    """Listen on a port of loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        metrics = Metrics(server)
        thread = threading.Thread(target=metrics._keep, name="statsd")
        thread.start()
        try:
            yield metrics
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(_END, server.getsockname())
            thread.join()
