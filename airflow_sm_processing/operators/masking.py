"""Keeps out of sight what a task gives its job in `env`, and presigned URLs anywhere in its parameters."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.exceptions import Problem
from airflow_sm_processing.operators.late import hide_late, is_known
from airflow_sm_processing.operators.resolved import ResolvedFields
from airflow_sm_processing.operators.truths import TRUTHS
from airflow_sm_processing.processing.secrets import JobSecrets, secret_forms, strings_in
from airflow_sm_processing.redaction import signed_queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_sm_processing.processing.secrets import Mask

__all__ = ["MaskedEnvironment", "mask_problems"]

_MASK = "mask_env"


class MaskedEnvironment(ResolvedFields):
    """A task whose environment's values Airflow's masker knows before anything shows them."""

    env: Any = None
    mask_env: Any = True

    @cached_property
    def secrets(self) -> JobSecrets:
        """What must not be shown of the task's job; to be asked for when the parameters are rendered."""
        return JobSecrets(_environment(self.env), mask=_mask(self.mask_env))

    @property
    def trigger_mask(self) -> bool | list[str]:
        """What a trigger is told: which variables to hide, not what they hold; False if there is nothing to hide."""
        mask = _mask(self.mask_env) if self.secrets.forms else False
        return mask if isinstance(mask, bool) else list(mask)

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], *args: Any, **kwargs: Any
    ) -> None:
        """Render, and tell Airflow's masker: Airflow shows the fields right after that, or earlier if it fails."""
        render = super()._do_render_template_fields
        names = [*template_fields]
        if parent is not self:
            render(parent, names, *args, **kwargs)
            return
        render(parent, [name for name in names if name == _MASK], *args, **kwargs)
        self._register_secrets(known=hide_late)
        render(parent, [name for name in names if name != _MASK], *args, **kwargs)
        self._register_secrets(known=lambda rendered: rendered)

    def _register_secrets(self, *, known: Callable[[Any], Any]) -> None:
        env, *fields = (known(getattr(self, name, None)) for name in ("env", *self.template_fields))
        found = {
            *secret_forms(_environment(env), _mask(self.mask_env)),
            *(query for text in strings_in(fields) for query in signed_queries(text)),
        }
        if found:
            from airflow.sdk.log import mask_secret

            mask_secret([*sorted(found)])


def mask_problems(mask_env: Any, env: Any) -> Iterator[Problem]:
    """Yield what is wrong with `mask_env`; a name that isn't in `env` would leave the one that was meant unmasked."""
    mask_env, env = hide_late(mask_env), hide_late(env)
    if not is_known(mask_env):
        return
    try:
        mask = read_mask(mask_env)
    except ValueError as error:
        yield Problem(_MASK, mask_env, str(error))
        return
    environment = _environment(env)
    if isinstance(environment, Mapping) and environment and not isinstance(mask, bool):
        for name in mask:
            if name not in environment:
                yield Problem(_MASK, name, f"is no variable of env, which has {', '.join(map(str, environment))}")


def read_mask(value: Any) -> Mask:
    """Give which variables are secret, from what a template may have written as a string.

    Raises:
        ValueError: It can't be read.
    """
    if value is None or value == "":
        return True
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return TRUTHS[value.lower()] if value.lower() in TRUTHS else _names(_from_json(value, otherwise=[value]))
    return _names(value)


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, Collection) or not all(isinstance(name, str) for name in value):
        raise ValueError("must be true, false or a list of names of variables in env")
    return tuple(value)


def _mask(value: Any) -> Mask:
    try:
        return read_mask(value)
    except ValueError:
        return True  # it is reported as a problem of the definition, whose values aren't shown meanwhile


def _environment(env: Any) -> Any:
    return _from_json(env, otherwise=env) if isinstance(env, str) else env


def _from_json(text: str, *, otherwise: Any) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return otherwise
