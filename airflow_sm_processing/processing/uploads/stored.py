"""What an earlier upload has brought to S3 already."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_s3 import S3Client

    from airflow_sm_processing.processing.uploads.destination import Destination
    from airflow_sm_processing.processing.uploads.files import LocalFile

__all__ = ["without_stored"]

logger = logging.getLogger(__name__)


def without_stored(files: Sequence[LocalFile], destination: Destination, s3_client: S3Client) -> list[LocalFile]:
    """Leave out the files that are in S3.

    A key that there is has all of its object: S3 makes it visible when the last byte has arrived, and was told the
    checksum. Where the prefix can't be listed, every file is left in: storing it again changes nothing.
    """
    sizes = _stored_sizes(destination, s3_client)
    missing = [file for file in files if sizes.get(destination.key(file)) != file.size]
    if len(missing) < len(files):
        left_out = len(files) - len(missing)
        logger.info("Found %s of %s files in S3 from an earlier try", f"{left_out:,}", f"{len(files):,}")
    return missing


def _stored_sizes(destination: Destination, s3_client: S3Client) -> dict[str, int]:
    from botocore.exceptions import BotoCoreError, ClientError

    pages = s3_client.get_paginator("list_objects_v2").paginate(
        Bucket=destination.bucket, Prefix=f"{destination.key_prefix}/", **destination.owner_args
    )
    try:
        return {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", ())}
    except (BotoCoreError, ClientError) as error:
        # As text: a handler that keeps the record would keep the error's frames, and their connection, too.
        prefix = f"s3://{destination.bucket}/{destination.key_prefix}/"
        logger.info("What is in %s can't be listed, so all of it is uploaded again: %s", prefix, str(error))
        return {}
