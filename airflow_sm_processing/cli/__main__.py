"""The script `airflow-sm-processing`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from airflow_sm_processing.cli.commands import COMMANDS, GROUP_HELP

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    options.func(options)


def _parser() -> argparse.ArgumentParser:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="airflow-sm-processing", description=f"{GROUP_HELP}.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="subcommand")
    for name, text, description, examples, function, taken in COMMANDS:
        command = commands.add_parser(name, help=text, description=description, epilog=examples, formatter_class=form)
        command.set_defaults(func=function)
        for flags, settings in taken:
            command.add_argument(*flags, **settings)
    return parser


if __name__ == "__main__":
    main()
