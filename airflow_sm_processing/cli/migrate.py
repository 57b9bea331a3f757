"""Print the calls that replace the amazon provider's processing operators and sensors in DAG files.

The files are parsed, never imported. The output is Python: calls to paste, with remarks as comments.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from airflow_sm_processing.cli.dag_source import WIDTH, DagSource, UnknownValueError
from airflow_sm_processing.cli.task_call import OPERATOR, OURS, TEMPLATE, Replacement, TaskCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["replacements", "reports"]

_AIRFLOW = "airflow."
"""The prefix of the provider's names, including those from before it was a separate provider."""


# Printing


def reports(paths: Iterable[str]) -> tuple[str, list[str]]:
    """Return the text to print for files and folders, and an error for each file that can't be read."""
    found, errors, seen = [], [], 0
    for path in paths:
        files = [*_python_files(Path(path))]
        if not files:
            errors.append(f"There is no {'Python file in' if Path(path).exists() else 'file or folder'} {path}.")
        for file in files:
            try:
                seen += 1
                found.append(_report(DagSource(file.read_bytes(), str(file)), file))
            except SyntaxError as error:
                errors.append(f"{file}:{error.lineno or 1}:{error.offset or 1}: {error.msg}")
            except (OSError, ValueError, RecursionError) as error:
                errors.append(f"{file}: {error}")
    printed = [text for text in found if text is not None]
    counted = "1 file has" if seen == 1 else f"{seen} files have"
    nothing = f"# {counted} no processing operator or sensor of the amazon provider." if found else ""
    return "\n\n\n".join(printed) or nothing, errors


def _python_files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield from [path] if path.exists() else []
        return
    for file in sorted(path.rglob("*.py")):
        if not any(part.startswith(".") or part == "__pycache__" for part in file.relative_to(path).parts):
            yield file


def _report(source: DagSource, path: Path) -> str | None:
    """Return the text to print for one file; None if it has no such task."""
    found, others = replacements(source), [*_other_mentions(source)]
    if not found and not others:
        return None
    names = sorted({name for item in found for name in item.names})
    head = f"# {path}" + (f"\n{_import_line(names)}" if names else "")
    results = [_RESULT] if any(OURS[OPERATOR] in item.names for item in found) else []
    remarks = [*results, *others, *_default_args(source), *_attributes_set(source), *_xcoms_read(source)]
    rest = ["\n".join(_comment(remarks, bullet="# - "))] if remarks else []
    return "\n\n".join([head, *(_described(item, source) for item in found), *rest])


def _described(item: Replacement, source: DagSource) -> str:
    statement = source.parent(item.old)
    target = ""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = f"{ast.unparse(statement.targets[0])} = "
    lines = [f"# Line {item.old.lineno}: {item.title}"]
    if item.new is not None:
        lines.append(f"{target}{item.code}")
    lines += _comment(item.xcom, bullet="# XCom: ")
    lost = dict.fromkeys(item.lost)
    lines += ["# Not carried over, or different:", *_comment(lost, bullet="# - ")] if lost else []
    return "\n".join(lines)


def _comment(texts: Iterable[str], *, bullet: str) -> list[str]:
    lines: list[str] = []
    for text in texts:
        lines += wrap(
            text,
            width=WIDTH,
            initial_indent=bullet,
            subsequent_indent="#" + " " * (len(bullet) - 1),
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


def _import_line(names: Sequence[str]) -> str:
    line = f"from airflow_sm_processing import {', '.join(names)}"
    return line if len(line) <= WIDTH else "from airflow_sm_processing import (\n    " + ",\n    ".join(names) + ",\n)"


# Finding the tasks


def replacements(source: DagSource) -> list[Replacement]:
    """Return the provider's processing tasks in a file, in line order, each with its replacement."""
    stars = source.star_imports()
    calls = [node for node in ast.walk(source.tree) if isinstance(node, ast.Call)]
    found = [item for node in calls if (item := _replacement(source, node, stars)) is not None]
    return sorted(found, key=lambda item: (item.old.lineno, item.old.col_offset))


def _kind(source: DagSource, node: ast.AST, stars: set[str]) -> str | None:
    """Return the name of the provider's class that a name or attribute refers to, if any."""
    name = source.qualified(node) if isinstance(node, (ast.Name, ast.Attribute)) else None
    if name is None and isinstance(node, ast.Name) and any(module.startswith(_AIRFLOW) for module in stars):
        name = f"{_AIRFLOW}{node.id}"
    kind = (name or "").rpartition(".")[2]
    return kind if name is not None and name.startswith(_AIRFLOW) and kind in OURS else None


def _replacement(source: DagSource, call: ast.Call, stars: set[str]) -> Replacement | None:
    kind = _kind(source, call.func, stars)
    is_partial = isinstance(call.func, ast.Attribute) and call.func.attr == "partial"
    if kind is None and is_partial:
        kind = _kind(source, call.func.value, stars)  # type: ignore[attr-defined]  # it is an attribute
    else:
        is_partial = False
    if kind is None:
        return None
    expansion = _expansion(source, call) if is_partial else None
    old = expansion or call
    task = TaskCall(source, call, kind, Replacement(old, f"{kind}{_task_label(source, call)}"))
    if is_partial:
        task.map(expansion)
    else:
        task.convert()
    return task.made


def _expansion(source: DagSource, partial: ast.Call) -> ast.Call | None:
    """Return the call of `.expand(…)` or `.expand_kwargs(…)` on a partial."""
    method = source.parent(partial)
    call = source.parent(method) if isinstance(method, ast.Attribute) else None
    return call if isinstance(call, ast.Call) and call.func is method else None


def _task_label(source: DagSource, call: ast.Call) -> str:
    for item in call.keywords:
        if item.arg == "task_id":
            text = source.text(item.value, call)
            return f' "{text}"' if text is not None else f" {ast.unparse(item.value)}"
    return ""


def _other_mentions(source: DagSource) -> Iterator[str]:
    """Yield the uses of the provider's classes that no replacement is printed for."""
    stars = source.star_imports()
    for node in ast.walk(source.tree):
        if not isinstance(node, (ast.Name, ast.Attribute)) or not isinstance(node.ctx, ast.Load):
            continue
        kind, parent = _kind(source, node, stars), source.parent(node)
        is_called = isinstance(parent, ast.Call) and parent.func is node
        is_partial = isinstance(parent, ast.Attribute) and parent.attr == "partial"
        is_alias = isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name)
        if kind is not None and not (is_called or is_partial or is_alias):
            yield (
                f"Line {node.lineno}: {kind} isn't called here, but passed on or subclassed. No call is printed for "
                f"that; use {OURS[kind]}, whose parameters have other names."
            )


# The rest of the file


_FOREIGN = {
    "check_interval": "poll_interval",
    "print_log": "logs",
    "max_ingestion_time": "max_wait",
    "max_attempts": "max_wait, in seconds",
    "action_if_job_exists": "base_job_name or job_name",
    "output_files_to_xcom": "result_files",
}
_NOW = {
    "ProcessingJobName": "job_name",
    "ProcessingJobArn": "job_arn",
    "ProcessingJobStatus": "status",
    "ExitMessage": "exit_message",
    "FailureReason": "failure_reason",
    "ProcessingStartTime": "started_at",
    "ProcessingEndTime": "ended_at",
    "ProcessingOutputConfig": "outputs, a dict of S3 URIs by name",
}
_RESULT = (
    'A task of ours returns {"job_name", "job_arn", "status", "outputs": {name: S3 URI}, "exit_message", '
    '"failure_reason", "started_at", "ended_at", "duration_seconds", "instance_seconds"}, where the provider\'s '
    'returns {"Processing": <response of DescribeProcessingJob>}.'
)
_READ = re.compile(
    r"""(?:\[\s*['"]|\.|get\(\s*['"])(Processing|OutputFiles)\b['"]?\s*[\])]?(?:\[\s*['"]|\.(?:get\(\s*['"])?)?(\w+)?"""
)


def _default_args(source: DagSource) -> Iterator[str]:
    """Yield the provider's parameters among a DAG's or a group's `default_args`."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.keyword) and node.arg == "default_args":
            try:
                given = source.fields(node.value, node.value)
            except UnknownValueError:
                continue
            for name in sorted(given.keys() & _FOREIGN.keys()):
                yield (
                    f"Line {node.value.lineno}: default_args has {name}, which tasks of ours ignore; its name is "
                    f"{_FOREIGN[name]} here."
                )


def _attributes_set(source: DagSource) -> Iterator[str]:
    """Yield where the file sets one of the provider's parameters as an attribute of a task."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in _FOREIGN:
            yield (
                f"Line {node.lineno} sets {ast.unparse(node)}, which a task of ours ignores; its name is "
                f"{_FOREIGN[node.attr]} here."
            )


def _xcoms_read(source: DagSource) -> Iterator[str]:
    """Yield where the file reads the provider's XComs, in code or in templates."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Subscript) and _constant(node.slice) in {"Processing", "OutputFiles"}:
            outer = source.parent(node)
            inner = outer.slice if isinstance(outer, ast.Subscript) and outer.value is node else None
            yield _said_of_read(node.lineno, str(_constant(node.slice)), _constant(inner))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and TEMPLATE.search(node.value):
            for found in _READ.finditer(node.value):
                yield _said_of_read(node.lineno, found[1], found[2])


def _constant(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _said_of_read(line: int, key: str, name: str | None) -> str:
    where = f"Line {line} reads [{key!r}]" + (f"[{name!r}]" if name else "")
    if key == "OutputFiles":
        return f"{where}: with result_files, it is an XCom of its own: key={name!r}."
    if name is None:
        return f"{where}: what was in there is in the result itself, under other names."
    if name in _NOW:
        return f"{where}: it is {_NOW[name]} in the result itself."
    return f"{where}: it isn't in the result; DescribeProcessingJob has it."
