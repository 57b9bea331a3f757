"""FilterLogEvents as CloudWatch answers it, where moto doesn't.

moto 5.2 ignores `logStreamNamePrefix`, and without `interleaved` orders events by stream: a page token then skips
what earlier streams get later. CloudWatch interleaves always:
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airflow_sm_processing.local import moto_app, signature

if TYPE_CHECKING:
    from airflow_sm_processing.local.signature import Caller

# moto takes no names for all names. A colon is in no stream's name.
_NO_STREAM = ":"


def repair(request: moto_app.Request, caller: Caller) -> None:
    """Rewrite the request into one that moto answers as CloudWatch would."""
    asked = json.loads(signature.body(request) or b"{}")
    asked["interleaved"] = True
    if prefix := asked.pop("logStreamNamePrefix", None):
        groups = moto_app.backend("logs", caller.key.account_id, caller.region).groups
        group = groups.get(asked.get("logGroupName"))
        streams = list(group.streams) if group else []
        asked["logStreamNames"] = [name for name in streams if name.startswith(prefix)] or [_NO_STREAM]
    signature.replace_body(request, json.dumps(asked).encode())
