"""What one side put on the wire, in a form that can be held against the other's."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .endpoint.account import Account, StoredObject

TIMESTAMP = re.compile(r"\d{4}(?:-\d{2}){5}-\d{1,3}")
"""The end of a generated job name; the SDK writes fewer than three digits when the clock's decimals are fewer."""

ENCRYPTED_OTHERWISE = re.compile(r"/source/(sourcedir\.tar\.gz|runproc\.sh)$|/input/(py-files|jars|files|conf)/")
"""The keys of source folders, and of what Spark is given beside the application."""


@dataclass(frozen=True)
class Wire:
    """The account as a side left it, and what the side told its user."""

    account: Account
    answer: dict[str, Any]

    @property
    def effects(self) -> dict[str, Any]:
        """Everything that a user of AWS could tell apart; timestamps in names become `<time>`."""
        effects = {
            "requests": self.account.jobs,
            "objects": {f"s3://{b}/{k}": _seen(k, stored) for (b, k), stored in sorted(self.account.objects.items())},
            "created buckets": self.account.created,
            "roles looked up": sorted({o for o in self.account.operations if o.startswith("GetRole ")}),
            "shown": {name: self.shown.get(name) for name in ("jobs", "latest", "attached")},
        }
        timeless: dict[str, Any] = json.loads(TIMESTAMP.sub("<time>", json.dumps(effects)))
        return timeless

    def is_folder(self, uri: object) -> bool:
        """Whether a URI of the effects, without a slash at its end, has objects below it."""
        if not isinstance(uri, str) or not re.match("s3://[^/]+/", uri):  # a bucket has no neighbours in it
            return False
        uris: dict[str, Any] = self.effects["objects"]
        return uri not in uris and any(key.startswith(f"{uri}/") for key in uris)

    @property
    def shown(self) -> dict[str, Any]:
        """What the user sees of the jobs; empty after an error."""
        shown: dict[str, Any] = self.answer.get("shown", {})
        return shown

    @property
    def refusal(self) -> list[str]:
        """The classes of the error that was raised, the most special first; none without an error."""
        raised: list[str] = self.answer.get("raised", [])
        return raised

    @property
    def message(self) -> str:
        return str(self.answer.get("message", ""))

    @property
    def request(self) -> dict[str, Any]:
        """The body of the only CreateProcessingJob request."""
        [request] = self.account.jobs
        return request

    @property
    def job_names(self) -> list[str]:
        return [job["ProcessingJobName"] for job in self.account.jobs]

    @property
    def name_times(self) -> list[datetime]:
        """The moments that the generated job names tell."""
        found = [TIMESTAMP.search(name) for name in self.job_names]
        return [datetime.strptime(f"{match[0]}000", "%Y-%m-%d-%H-%M-%S-%f") for match in found if match]  # noqa: DTZ007 - the zone is what is tested


def _seen(key: str, stored: StoredObject) -> dict[str, Any]:
    """Return an object as it is compared; how some of it is encrypted differs on purpose: `differing`."""
    if not ENCRYPTED_OTHERWISE.search(key):
        return stored._asdict()
    ours = {"x-amz-expected-bucket-owner"}
    return {"sha256": stored.sha256, "headers": {name: text for name, text in stored.headers.items() if name in ours}}
