"""Access keys: the server's own, and those that its STS and IAM issued."""

from __future__ import annotations

import secrets
import string
import threading
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Key:
    """An access key pair and the account that it speaks for."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    account_id: str
    session_token: str | None = field(default=None, repr=False)
    internal: bool = False
    """The server's own calls to itself: no fault applies to them."""

    @classmethod
    def generate(
        cls,
        account_id: str,
        *,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        internal: bool = False,
    ) -> Key:
        """Make a new pair in AWS's form, 20 capitals and digits and 40 characters, but for what is given."""
        alphabet = string.ascii_uppercase + string.digits
        return cls(
            access_key_id=access_key_id or "AKIA" + "".join(secrets.choice(alphabet) for _ in range(16)),
            secret_access_key=secret_access_key or secrets.token_urlsafe(30),
            account_id=account_id,
            internal=internal,
        )


class Keyring:
    """Every key that may sign a request."""

    def __init__(self, key: Key) -> None:
        self._lock = threading.Lock()
        self._keys = {key.access_key_id: key}

    def find(self, access_key_id: str) -> Key | None:
        """Find a key of the server's own, or one that sts:AssumeRole or iam:CreateAccessKey issued."""
        return self._keys.get(access_key_id) or self._issued(access_key_id)

    def of_account(self, account_id: str, *, internal: bool) -> Key:
        """Give the key that speaks for an account, made when it is first asked for."""
        with self._lock:
            for key in self._keys.values():
                if (key.account_id, key.internal) == (account_id, internal):
                    return key
            key = Key.generate(account_id, internal=internal)
            self._keys = {**self._keys, key.access_key_id: key}
            return key

    def accounts(self) -> set[str]:
        """Give every account that a key speaks for."""
        return {key.account_id for key in self._keys.values()}

    def _issued(self, access_key_id: str) -> Key | None:
        for account_id in self.accounts():
            if key := _assumed_role(account_id, access_key_id) or _iam_user(account_id, access_key_id):
                return key
        return None


def _assumed_role(account_id: str, access_key_id: str) -> Key | None:
    from moto.sts.models import sts_backends

    role = sts_backends[account_id]["aws"].get_assumed_role_from_access_key(access_key_id)
    if role is None:
        return None
    return Key(
        access_key_id=access_key_id,
        secret_access_key=role.secret_access_key,
        account_id=role.account_id,
        session_token=role.session_token,
    )


def _iam_user(account_id: str, access_key_id: str) -> Key | None:
    from moto.iam.models import iam_backends

    issued = iam_backends[account_id]["aws"].access_keys.get(access_key_id)
    if issued is None:
        return None
    return Key(access_key_id=access_key_id, secret_access_key=issued.secret_access_key, account_id=account_id)
