"""Enough of S3 to take uploads: buckets with owners, objects, multipart uploads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from .account import ACCOUNT_ID, Account, Bucket, Refusal, kept_headers
from .request import Reply, Request, content_of, xml_reply

if TYPE_CHECKING:
    from collections.abc import Callable


def answer(request: Request, account: Account) -> Reply:
    """Answer one S3 call in path style, `/bucket/key`."""
    operation = operation_of(request)
    try:
        account.check(operation)
        return OPERATIONS[operation](request, account)
    except Refusal as refusal:
        return _error(request, refusal)


def operation_of(request: Request) -> str:
    """Name the operation as AWS does."""
    bucket, key = _address(request)
    level = "object" if key else "bucket" if bucket else "service"
    markers = [m for m in ("list-type", "location", "partNumber", "uploadId", "uploads") if m in request.query]
    return ROUTES.get((request.method, level, markers[0] if markers else ""), f"{request.method} {request.target}")


def _address(request: Request) -> tuple[str, str]:
    bucket, _, key = request.path.lstrip("/").partition("/")
    return bucket, key


def _checked(request: Request, account: Account) -> tuple[str, str]:
    """Return bucket and key when the caller may use the bucket."""
    name, key = _address(request)
    bucket = account.buckets.get(name)
    if bucket is None:
        raise Refusal(404, "NoSuchBucket", "The specified bucket does not exist")
    expected = request.headers.get("x-amz-expected-bucket-owner", bucket.owner)
    if expected != bucket.owner or (bucket.owner != ACCOUNT_ID and not bucket.shared):
        raise Refusal(403, "AccessDenied", "Access Denied")
    return name, key


def _list_buckets(_request: Request, account: Account) -> Reply:
    mine = [name for name, bucket in account.buckets.items() if bucket.owner == ACCOUNT_ID]
    rows = "".join(
        f"<Bucket><Name>{name}</Name><CreationDate>2026-01-01T00:00:00Z</CreationDate></Bucket>" for name in mine
    )
    return xml_reply(f"<ListAllMyBucketsResult><Buckets>{rows}</Buckets></ListAllMyBucketsResult>")


def _head_bucket(request: Request, account: Account) -> Reply:
    _checked(request, account)
    return Reply()


def _create_bucket(request: Request, account: Account) -> Reply:
    name, _ = _address(request)
    if taken := account.buckets.get(name):
        raise Refusal(409, "BucketAlreadyOwnedByYou" if taken.owner == ACCOUNT_ID else "BucketAlreadyExists")
    constraint = re.search(rb"<LocationConstraint[^>]*>([^<]+)<", request.body)
    account.created.append((name, constraint[1].decode() if constraint else None))
    account.buckets[name] = Bucket()
    return Reply(headers={"Location": f"/{name}"})


def _location(request: Request, account: Account) -> Reply:
    _checked(request, account)
    return xml_reply("<LocationConstraint/>")


def _list_objects(request: Request, account: Account) -> Reply:
    name, _ = _checked(request, account)
    prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter")
    keys = sorted(key for bucket, key in account.objects if bucket == name and key.startswith(prefix))
    heads = {key: prefix + key[len(prefix) :].partition(delimiter)[0] for key in keys} if delimiter else {}
    folders = sorted({f"{head}/" for key, head in heads.items() if head != key})
    objects = [key for key in keys if heads.get(key, key) == key]
    rows = [f"<Contents><Key>{escape(key)}</Key><Size>1</Size></Contents>" for key in objects]
    rows += [f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>" for folder in folders]
    head = f"<Name>{name}</Name><KeyCount>{len(rows)}</KeyCount><IsTruncated>false</IsTruncated>"
    return xml_reply(f"<ListBucketResult>{head}{''.join(rows)}</ListBucketResult>")


def _put_object(request: Request, account: Account) -> Reply:
    bucket, key = _checked(request, account)
    account.put(bucket, key, content_of(request), kept_headers(request.headers))
    return Reply(headers={"ETag": '"etag"'})


def _create_upload(request: Request, account: Account) -> Reply:
    bucket, key = _checked(request, account)
    upload = f"upload-{len(account.upload_headers)}"
    account.upload_headers[upload] = kept_headers(request.headers)
    account.parts[upload] = {}
    return xml_reply(
        f"<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key>"
        f"<UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
    )


def _upload_part(request: Request, account: Account) -> Reply:
    _checked(request, account)
    account.parts[request.query["uploadId"]][int(request.query["partNumber"])] = content_of(request)
    return Reply(headers={"ETag": '"etag"'})


def _complete_upload(request: Request, account: Account) -> Reply:
    bucket, key = _checked(request, account)
    upload = request.query["uploadId"]
    body = b"".join(part for _, part in sorted(account.parts.pop(upload).items()))
    account.put(bucket, key, body, account.upload_headers[upload])
    return xml_reply('<CompleteMultipartUploadResult><ETag>"etag"</ETag></CompleteMultipartUploadResult>')


def _error(request: Request, refusal: Refusal) -> Reply:
    if request.method == "HEAD":
        return Reply(status=refusal.status)
    return xml_reply(f"<Error><Code>{refusal.code}</Code><Message>{refusal.message}</Message></Error>", refusal.status)


ROUTES = {
    ("GET", "service", ""): "ListBuckets",
    ("HEAD", "bucket", ""): "HeadBucket",
    ("PUT", "bucket", ""): "CreateBucket",
    ("GET", "bucket", "location"): "GetBucketLocation",
    ("GET", "bucket", "list-type"): "ListObjectsV2",
    ("PUT", "object", ""): "PutObject",
    ("POST", "object", "uploads"): "CreateMultipartUpload",
    ("PUT", "object", "partNumber"): "UploadPart",
    ("POST", "object", "uploadId"): "CompleteMultipartUpload",
}
OPERATIONS: dict[str, Callable[[Request, Account], Reply]] = {
    "ListBuckets": _list_buckets,
    "HeadBucket": _head_bucket,
    "CreateBucket": _create_bucket,
    "GetBucketLocation": _location,
    "ListObjectsV2": _list_objects,
    "PutObject": _put_object,
    "CreateMultipartUpload": _create_upload,
    "UploadPart": _upload_part,
    "CompleteMultipartUpload": _complete_upload,
}
