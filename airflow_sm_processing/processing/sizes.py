"""How much there is below a place in S3."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import ServiceError, TransientError
from airflow_sm_processing.processing.answers import readable
from airflow_sm_processing.processing.aws_errors import answer_read, aws_call
from airflow_sm_processing.processing.s3_folders import resolve_folder
from airflow_sm_processing.processing.s3_uris import S3Location, as_folder, is_s3_uri

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from mypy_boto3_s3 import S3Client
__all__ = ["Size", "measure", "measure_all"]

log = logging.getLogger(__name__)

_MOST_PAGES = 10  # of ListObjectsV2, which gives 1,000 objects in each
_SECONDS_FOR_ALL = 10.0


@dataclass(frozen=True)
class Size:
    """What was counted."""

    bytes: int
    objects: int
    complete: bool = True
    """False: there are more objects than were counted."""


def measure(client: S3Client, uri: str, *, is_folder: bool = False) -> Size:
    """Count the objects of a folder, or those whose keys begin so if the URI names none; at most 10,000.

    Args:
        client: S3's.
        uri: The place.
        is_folder: Whether it is known to be a folder, as an output's is; else S3 is asked.

    Raises:
        ServiceError: S3 refused or couldn't be reached.
    """
    bucket, prefix = S3Location.parse(as_folder(uri) if is_folder else resolve_folder(client, uri))
    total = objects = 0
    more: Any = {}
    for _ in range(_MOST_PAGES):
        with aws_call("ListObjectsV2", uri):
            page = client.list_objects_v2(Bucket=bucket, Prefix=prefix, **more)
        with answer_read("ListObjectsV2", uri):
            found = readable(client, "ListObjectsV2", page, "IsTruncated").get("Contents", [])
            total += sum(item["Size"] for item in found)
            objects += len(found)
            if not page["IsTruncated"]:
                return Size(total, objects)
            more = {"ContinuationToken": page["NextContinuationToken"]}
    return Size(total, objects, complete=False)


def measure_all(client: S3Client, uris: Iterable[str], *, folders: Collection[str] = ()) -> dict[str, Size | None]:
    """Measure what can be measured in a few seconds, for people to read: a place that can't be listed has None.

    After a lost connection nothing else is tried, so the client should try nothing twice: nobody waits for a number.

    Args:
        client: S3's.
        uris: The places.
        folders: Those that are known to be folders.
    """
    give_up_at = time.monotonic() + _SECONDS_FOR_ALL
    sizes: dict[str, Size | None] = {}
    for uri in dict.fromkeys(filter(is_s3_uri, uris)):
        if time.monotonic() >= give_up_at:
            break
        try:
            sizes[uri] = measure(client, uri, is_folder=uri in folders)
        except TransientError as error:
            log.info("The sizes of the job's inputs and outputs aren't all known: %s", error)
            break
        except ServiceError as error:
            log.info("The size of %s isn't known: %s", uri, error)
            sizes[uri] = None
    return sizes
