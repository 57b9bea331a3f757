"""botocore's descriptions of AWS's services, parsed once for all sessions of a process."""

from __future__ import annotations

from typing import Any

from botocore.loaders import Loader


def share_service_models() -> None:
    """Let all sessions of boto3 in this process share what they read of botocore's data.

    Parsing it took a third of the tests' CPU time. moto's own loader, which adds to the models that it has read, keeps
    them to itself.
    """
    set_up = Loader.__init__
    shared: dict[Any, Any] = {}

    def share(self: Loader, *args: Any, **kwargs: Any) -> None:
        set_up(self, *args, **kwargs)
        if type(self) is Loader:
            self._cache = shared

    Loader.__init__ = share  # type: ignore[method-assign]
