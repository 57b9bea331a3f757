"""Strategies for single values, legal by SageMaker's model and free of the SDK's quirks."""

from __future__ import annotations

import string

from hypothesis import strategies as st

LETTERS = string.ascii_letters + string.digits
NAME = st.from_regex(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", fullmatch=True).filter(lambda name: len(name) <= 63)
PRINTABLE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=20)
"""Text on one line, in any script."""
FILE_NAME = st.builds("{}{}".format, st.sampled_from(LETTERS), st.text(LETTERS + " -_.ü", max_size=20))
KEY = st.sampled_from(
    ["alias/data", "12345678-1234-1234-1234-123456789012", "arn:aws:kms:us-west-2:123456789012:key/abc"]
)
S3_URI = st.builds(
    "s3://{}{}".format,
    st.sampled_from(["mine", "some.bucket-1"]),
    st.sampled_from(["", "/"]) | st.text(LETTERS + "-_./ +ü#?%=", max_size=30).map("/{}".format),
)
