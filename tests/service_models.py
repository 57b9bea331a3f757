"""What botocore makes of its descriptions of AWS's services, made once for all sessions of a process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.client import ClientCreator
from botocore.loaders import Loader

if TYPE_CHECKING:
    from botocore.model import ServiceModel


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
    _share_methods()


def _share_methods() -> None:
    """Let all clients of a service have the same functions as methods: a fifth of the time that making one takes."""
    creator: Any = ClientCreator  # its stubs have no private methods
    create = creator._create_methods
    made: dict[tuple[str, str], dict[str, Any]] = {}

    def share(self: Any, service_model: ServiceModel) -> dict[str, Any]:
        service = service_model.service_name, service_model.api_version
        if service not in made:
            made[service] = create(self, service_model)
        return dict(made[service])  # to which handlers of the session's events may add

    creator._create_methods = share
