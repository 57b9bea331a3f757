"""Nothing of the user's AWS configuration takes part, in this process either: moto makes boto3 sessions of its own."""

from __future__ import annotations

import os


def forget_users_aws() -> None:
    """Take AWS profiles, keys, endpoints and configuration files out of this process's environment."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "BOTO"))]:
        del os.environ[name]
    os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
