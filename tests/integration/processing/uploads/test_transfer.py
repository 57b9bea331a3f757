from __future__ import annotations

import itertools
import logging
import os
import signal
import threading
import time
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import ClientError

from airflow_sm_processing.exceptions import BucketError, UploadError
from airflow_sm_processing.processing.uploads import UploadResult, upload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

MIB = 1024**2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an empty file, odd names, and one file that goes in parts."""
    root = tmp_path / "data"
    (root / "sub" / "below").mkdir(parents=True)
    (root / "empty.csv").write_bytes(b"")
    (root / "a b+c%20é&=?~.csv").write_bytes(b"odd")
    (root / "sub" / "below" / "x").write_bytes(b"deep")
    (root / "sub" / "big.bin").write_bytes(os.urandom(MIB) * 17)
    return root


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A folder of 200 small files."""
    root = tmp_path / "many"
    root.mkdir()
    for number in range(200):
        (root / f"{number:03}").write_bytes(b"small")
    return root


def bodies(s3: Any) -> dict[str, bytes]:
    return {key: stored.body for key, stored in s3.objects.items()}


def chosen(headers: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for key, value in headers.items() if (name := key.lower()) in names}


def test_a_folder_arrives_byte_for_byte_under_its_relative_paths(folder, target, s3, engine):
    result = upload(folder, **target)

    assert bodies(s3) == {
        "pre/fix/empty.csv": b"",
        "pre/fix/a b+c%20é&=?~.csv": b"odd",
        "pre/fix/sub/below/x": b"deep",
        "pre/fix/sub/big.bin": (folder / "sub" / "big.bin").read_bytes(),
    }
    assert result == UploadResult(4, 7 + 17 * MIB, result.seconds, engine)


def test_a_file_arrives_under_its_name(folder, target, s3, engine):
    result = upload(folder / "sub" / "below" / "x", **target)

    assert bodies(s3) == {"pre/fix/x": b"deep"}
    assert result == UploadResult(1, 4, result.seconds, engine)


def test_every_byte_is_covered_by_a_checksum(folder, target, s3, engine):
    upload(folder, **target)

    assert s3.checksummed == set(s3.objects)


@pytest.mark.parametrize("name", ["sub/below/x", "sub/big.bin"])
def test_a_kms_key_and_the_expected_owner_reach_s3(folder, target, s3, engine, name):
    upload(folder / name, **target, kms_key="alias/mine", expected_bucket_owner="123456789012")

    (stored,) = s3.objects.values()
    assert chosen(
        stored.headers,
        "x-amz-server-side-encryption",
        "x-amz-server-side-encryption-aws-kms-key-id",
        "x-amz-expected-bucket-owner",
    ) == {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "alias/mine",
        "x-amz-expected-bucket-owner": "123456789012",
    }


def test_without_a_kms_key_the_bucket_decides_on_encryption(folder, target, s3, engine):
    upload(folder / "sub" / "below" / "x", **target)

    (stored,) = s3.objects.values()
    assert not [name for name in stored.headers if "encryption" in name.lower() or "owner" in name.lower()]


class Issuer:
    """Credentials that need renewal at once, because they are valid for five more minutes only."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3
        self.issued = 0
        self.is_broken = False

    def fetch(self) -> dict[str, str]:
        if self.is_broken:
            raise OSError("the issuer is away")
        self.issued += 1
        self._s3.secrets[f"KEY{self.issued}"] = f"secret{self.issued}"
        return {
            "access_key": f"KEY{self.issued}",
            "secret_key": f"secret{self.issued}",
            "token": "token",
            "expiry_time": (datetime.now(timezone.utc) + timedelta(minutes=5)).isoformat(),
        }


@pytest.fixture
def issuer(target, s3) -> Issuer:
    """Issue the session's credentials."""
    issuer = Issuer(s3)
    credentials = RefreshableCredentials.create_from_metadata(issuer.fetch(), issuer.fetch, "test")
    target["boto_session"]._session._credentials = credentials
    return issuer


def test_credentials_are_renewed_while_files_are_sent(many, target, s3, engine, issuer):
    upload(many, **target)

    assert len(s3.objects) == 200
    assert issuer.issued > 100
    assert len(s3.access_keys) > 100


def test_the_crt_keeps_the_last_credentials_when_a_renewal_fails(many, target, s3, issuer, caplog):
    s3.on_request = lambda key: setattr(issuer, "is_broken", True)
    result = upload(many, **target)

    assert (result.engine, len(s3.objects)) == ("crt", 200)
    assert "The AWS credentials couldn't be renewed: the issuer is away" in caplog.text


def test_credentials_that_cannot_be_had_are_the_cause(many, target, s3, engine, issuer):
    issuer.is_broken = True

    with pytest.raises(UploadError, match="the issuer is away"):
        upload(many, **target)
    assert s3.objects == {}


def test_the_end_is_one_log_line(many, target, engine, caplog):
    caplog.set_level(logging.INFO, logger="airflow_sm_processing")
    result = upload(many, **target, clock=lambda: 0.0)

    assert [record.getMessage() for record in caplog.records if record.name.startswith("airflow")] == [
        "Uploaded 200 files (1000 B) to s3://bucket/pre/fix/ in 0.0 s (0 B/s)"
    ]
    assert result.seconds == 0.0


def test_a_long_upload_logs_how_far_it_is(folder, target, engine, caplog):
    caplog.set_level(logging.INFO, logger="airflow_sm_processing")
    an_hour_later = itertools.chain([0.0], itertools.repeat(3600.0))
    upload(folder / "sub" / "big.bin", **target, clock=lambda: next(an_hour_later))

    lines = [record.getMessage() for record in caplog.records if record.name.startswith("airflow")]
    assert len(lines) > 1
    assert lines[0].startswith("Uploading to s3://bucket/pre/fix/big.bin: 0 of 1 files, ")
    assert lines[-1].startswith("Uploaded 1 file (17.0 MiB) to s3://bucket/pre/fix/big.bin in ")


def test_a_refusal_names_file_uri_and_cause_and_cancels_the_rest(many, target, s3, engine):
    s3.refusals["pre/fix/000"] = (403, "AccessDenied")

    with pytest.raises(BucketError) as raised:
        upload(many, **target)

    assert str(raised.value) == (
        "Upload failed for 1 of 200 files; the rest was cancelled:\n"
        f"  - {many / '000'} -> s3://bucket/pre/fix/000: "
        "An error occurred (AccessDenied) when calling the PutObject operation: Said the test."
    )
    assert isinstance(raised.value.__cause__, ClientError)
    assert len(s3.objects) < 199


def test_an_error_that_is_not_the_buckets_is_an_upload_error(many, target, s3, engine):
    s3.refusals["*"] = (400, "KeyTooLongError")

    with pytest.raises(UploadError, match="KeyTooLongError") as raised:
        upload(many, **target)
    assert type(raised.value) is UploadError


def test_a_file_that_vanishes_meanwhile_is_named(many, target, s3, engine):
    """With 128 files on their way at most, the 200th is planned long before it is opened."""
    s3.on_request = lambda key: (many / "199").unlink(missing_ok=True)

    with pytest.raises(UploadError, match=rf"1 of 200 files.*\n  - {many / '199'} -> s3://bucket/pre/fix/199: "):
        upload(many, **target)


def test_a_bucket_of_another_region_is_reached_through_threads(many, target, s3):
    """S3 says so by a redirect, which botocore follows and the CRT client doesn't."""
    s3.region = "us-west-2"
    result = upload(many, **target)

    assert (result.engine, result.files, len(s3.objects)) == ("threads", 200, 200)


class StopError(BaseException):
    """What a signal's handler raises, as Airflow's does on SIGTERM."""


@pytest.fixture
def interrupt() -> Iterator[Callable[[], None]]:
    """Return a function that makes the main thread raise StopError, once."""

    main = threading.main_thread().ident
    assert main is not None

    def stop(_: int, frame: FrameType | None) -> None:
        if frame is not None and Path(frame.f_code.co_filename).name in {"weakref.py", "_weakrefset.py"}:
            threading.Timer(0.01, signal.pthread_kill, (main, signal.SIGUSR1)).start()  # Python swallows it here
            return
        raise StopError

    before = signal.signal(signal.SIGUSR1, stop)
    unsent = threading.Lock()

    def send_once() -> None:
        # Requests go on for a while: a second signal would come when the handler is gone, and end the whole process.
        if unsent.acquire(blocking=False):
            signal.pthread_kill(main, signal.SIGUSR1)

    yield send_once
    signal.signal(signal.SIGUSR1, before)


def test_a_signals_exception_ends_the_crts_transfers_though_s3_is_silent(many, target, s3, interrupt):
    answer = threading.Event()

    def stay_silent(key: str) -> None:
        interrupt()
        answer.wait(60)

    s3.on_request = stay_silent
    began = time.monotonic()
    try:
        with pytest.raises(StopError):
            upload(many, **target)
        assert time.monotonic() - began < 50  # S3 is silent for a minute
    finally:
        answer.set()


def test_a_signals_exception_ends_the_threads_once_their_requests_are_answered(many, target, s3, interrupt, no_crt):
    s3.on_request = lambda key: interrupt()

    with pytest.raises(StopError):
        upload(many, **target)
    assert len(s3.objects) < 200
    assert [thread.name for thread in threading.enumerate() if "ThreadPool" in thread.name] == []


@pytest.mark.parametrize("refusal", [None, (403, "AccessDenied")])
def test_no_thread_is_left(many, target, s3, engine, refusal):
    s3.refusals["pre/fix/100"] = refusal
    kept: BaseException | None = None
    try:
        upload(many, **target)
    except UploadError as error:
        kept = error  # a live traceback must not keep the client alive

    assert (kept is None) == (refusal is None)
    assert [thread.name for thread in threading.enumerate() if "ThreadPool" in thread.name] == []
    assert [name for name in native_threads() if name.startswith("Aws")] == []


def native_threads() -> list[str]:
    """Name the process's threads as the kernel knows them: the CRT's are none of Python's."""
    names = []
    for comm in Path("/proc/self/task").glob("*/comm"):
        with suppress(FileNotFoundError, ProcessLookupError):  # one may end while it is looked at
            names.append(comm.read_text().strip())
    return names
