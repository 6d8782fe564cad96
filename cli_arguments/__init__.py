"""The command line's arguments and help: what `cli` parses them with.

Nothing heavy is imported here, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..errors import InputError
from .animation import add_animate, add_demo, add_scene
from .measuring import add_bench, add_report, add_sheet
from .perception import add_fetch_weights, add_perceive, add_prepare
from .training import add_convert, add_train


class Parser(argparse.ArgumentParser):
    """Reports wrong arguments in one line, without the usage text."""

    def error(self, message: str) -> None:
        raise InputError(f"{message} (see {self.prog} --help)")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of one command, whose name is in `command`. Raises InputError for arguments that cannot be used."""
    options = _build_parser().parse_args(arguments)
    for mode, unread in options.unread.items():
        for option in unread if getattr(options, mode.dest) is not None else ():
            if getattr(options, option.dest) != option.default:
                raise InputError(
                    f"{option.option_strings[0]} says nothing to {mode.option_strings[0]}: leave one of them out "
                    f"(see inhabit {options.command} --help)"
                )
    return options


def _build_parser() -> argparse.ArgumentParser:
    """The parser of all commands. Each sets `command`, and `unread`: option → those that it does not read beside it."""
    parser = Parser(
        prog="inhabit",
        description="Put a character from one picture into a video, where it performs the video's motion.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=Parser)
    makers = (
        add_scene,
        add_animate,
        add_perceive,
        add_prepare,
        add_demo,
        add_train,
        add_convert,
        add_bench,
        add_report,
    )
    for add in (*makers, add_sheet, add_fetch_weights):
        add(commands)
    return parser
