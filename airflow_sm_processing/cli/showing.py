"""A plan on the terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["shown"]


def shown(plan: Mapping[str, Any], form: str) -> str:
    """Give a plan as `json`, `yaml` or a `table`."""
    return _FORMS[form](plan)


def _json(plan: Mapping[str, Any]) -> str:
    return json.dumps(plan, indent=2, ensure_ascii=False)


def _yaml(plan: Mapping[str, Any]) -> str:
    import yaml  # type: ignore[import-untyped]  # Airflow brings it without its types

    text: str = yaml.safe_dump(dict(plan), sort_keys=False, allow_unicode=True, width=120)
    return text.rstrip()


def _table(plan: Mapping[str, Any]) -> str:
    return "\n\n".join(_sections(plan))


def _sections(plan: Mapping[str, Any]) -> Iterator[str]:
    yield _section("REQUEST", list(_flat(plan["request"])))
    uploads = [(item["path"], f"{item['s3_uri']}  ({item['bytes']:,} bytes)") for item in plan["uploads"]]
    if uploads:
        yield _section("UPLOADS", uploads)
    for who, title in (("caller", "PERMISSIONS OF THE CONNECTION"), ("job_role", "PERMISSIONS OF THE JOB'S ROLE")):
        yield _section(title, [row for item in plan["permissions"][who] for row in _allowed(item)])
    if plan["unknown"]:
        yield _section("NOT KNOWN WITHOUT AWS", [(item["value"], item["is"]) for item in plan["unknown"]])


def _section(title: str, rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join([title, *(f"  {name:<{width}}  {value}".rstrip() for name, value in rows)])


def _allowed(statement: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for index, action in enumerate(statement["Action"]):
        yield action, " ".join(statement["Resource"]) if index == 0 else '"'


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield each value of nested dicts and lists with its path."""
    if isinstance(value, dict) and value.keys() == {"Key", "Value"}:
        yield path, f"{value['Key']} = {value['Value']}"
    elif isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            yield from _flat(item, f"{path}[{index}]")
    else:
        yield path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_FORMS = {"json": _json, "yaml": _yaml, "table": _table}
