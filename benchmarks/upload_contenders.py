"""One upload, timed, by one contender: run as a script, since the SDK lives in an environment of its own.

    python upload_contenders.py CONTENDER PATH

The endpoint and the credentials come from the environment. What an upload finds ready in a task, the session and a
first client (whose model takes long to load), is ready here too. Prints the seconds.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

BUCKET, PREFIX = "bucket", "pre/fix"


def sdk(path: Path) -> Callable[[], object]:
    """`S3Uploader.upload` of the SageMaker SDK v2."""
    import boto3
    from sagemaker.s3 import S3Uploader  # type: ignore[import-not-found]  # in the SDK's environment only
    from sagemaker.session import Session  # type: ignore[import-not-found]

    session = Session(boto3.Session(), sagemaker_client=object(), default_bucket="another")
    return lambda: S3Uploader.upload(str(path), f"s3://{BUCKET}/{PREFIX}", sagemaker_session=session)


def threads(path: Path) -> Callable[[], object]:
    """s3transfer over 32 threads, with as many connections."""
    import boto3
    from botocore.config import Config
    from s3transfer.manager import TransferConfig, TransferManager

    def upload() -> None:
        client = boto3.client("s3", config=Config(max_pool_connections=32))
        upload_all(TransferManager(client, TransferConfig(max_request_concurrency=32)), path)

    return upload


def crt(path: Path) -> Callable[[], object]:
    """s3transfer's CRT manager with its defaults."""
    import boto3
    from s3transfer.crt import (
        BotocoreCRTCredentialsWrapper,
        BotocoreCRTRequestSerializer,
        CRTTransferManager,
        create_s3_crt_client,
    )

    def upload() -> None:
        session = boto3.DEFAULT_SESSION
        assert session
        provider = BotocoreCRTCredentialsWrapper(session.get_credentials()).to_crt_credentials_provider()
        client = create_s3_crt_client(session.region_name, provider, use_ssl=False)
        upload_all(CRTTransferManager(client, BotocoreCRTRequestSerializer(session._session)), path)

    return upload


def upload_all(manager: Any, path: Path) -> None:
    with manager:
        files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
        transfers = [manager.upload(str(file), BUCKET, f"{PREFIX}/{file.name}") for file in files]
        for transfer in transfers:
            transfer.result()


def ours(path: Path) -> Callable[[], object]:
    """This package, with the CRT client."""
    import boto3

    from airflow_sm_processing.processing.uploads import upload

    session = boto3.Session()
    client = session.client("s3")
    return lambda: upload(path, bucket=BUCKET, key_prefix=PREFIX, s3_client=client, boto_session=session)


CONTENDERS: dict[str, Callable[[Path], Callable[[], object]]] = {
    "sdk": sdk,
    "threads": threads,
    "crt": crt,
    "ours": ours,
    "ours-without-crt": ours,
}

WITHOUT_CRT = ("threads", "ours-without-crt")
"""Where awscrt is installed, botocore itself uses it to sign: these shall find none."""


def main(name: str, path: Path) -> None:
    """Print the seconds of one upload."""
    if name in WITHOUT_CRT:
        sys.modules["awscrt"] = None  # type: ignore[assignment]
    import boto3

    boto3.client("s3")
    upload = CONTENDERS[name](path)
    began = time.perf_counter()
    upload()
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
