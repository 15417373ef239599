"""Options that no function of a command declares: those of every command, and those of recipes.

`--target fr` is `--set options.target=fr`.
"""

import copy
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup

from toolkit.cli.options import GLOBAL


class Program(TyperGroup):
    """The program; each of its commands lists the options of every command, which the program declares.

    They are read from the command line before Typer sees it, so that they may be at any place.
    """

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        shared = [copy.copy(option) for option in self.params if option.opts[0] in GLOBAL]
        for option in shared:
            option.expose_value = False
        _add(shared, self)


def _add(options: Sequence[Any], group: Any) -> None:
    """Add options to the commands of a group."""
    for command in group.commands.values():
        command.params += options
        if hasattr(command, "commands"):
            _add(options, command)


class WithOwnOptions(TyperCommand):
    """A command that accepts, besides its own options, those that recipes define in their `Options`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Convert options of recipes to assignments, at any position."""
        taken = {name for parameter in self.params for name in parameter.opts}
        try:
            return super().parse_args(ctx, as_assignments(args, taken))
        except Exception as error:
            unknown = getattr(error, "option_name", None)
            if unknown is not None and hasattr(error, "possibilities"):  # it may be like one of the recipe's
                own = [f"--{name.replace('_', '-')}" for name in named_options(args)]
                error.possibilities = [*(error.possibilities or ()), *difflib.get_close_matches(unknown, own)]
            raise


def as_assignments(args: list[str], taken: set[str]) -> list[str]:
    """Return the arguments with every option of a recipe written as `--set options.NAME=VALUE`.

    An option that is followed by another one, or by nothing, means true. Options of no recipe are not changed. Where
    the command has an option of the same name, it is the recipe's if the arguments name that recipe.

    Args:
        args: The arguments after the command.
        taken: The command's own options.
    """
    known: set[str] | None = None
    own: set[str] | None = None
    assignments: list[str] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        name, given, value = word.partition("=")
        if word == "--":
            return [*assignments, word, *rest]
        if not name.startswith("--"):
            assignments.append(word)
            continue
        key = name.removeprefix("--").replace("-", "_")
        own = own if own is not None else named_options(args)
        if key not in own and name not in taken:
            known = known if known is not None else _known(args)
        if key not in own and (name in taken or key not in (known or ())):
            assignments.append(word)
            continue
        if not given:
            value = rest.pop(0) if rest and not rest[0].startswith("--") else "true"
        assignments += ["--set", f"options.{key}={value}"]
    return assignments


def named_options(args: Sequence[str]) -> set[str]:
    """Return the options of the recipes that the arguments name."""
    return _options(_named(args))


def _known(args: Sequence[str]) -> set[str]:
    """Return the options of the recipe in the arguments, or of all recipes where there is none."""
    from toolkit.tasks import catalogue

    return _options(_named(args) or [*catalogue.available().values()])


def _named(args: Sequence[str]) -> list[Path]:
    """Return the files of the recipes that the arguments name."""
    from toolkit.tasks import catalogue

    at_hand = catalogue.available()
    named = [at_hand[meant] for meant in map(catalogue.canonical, args) if meant in at_hand]
    return named + [Path(word) for word in args if word.endswith(".py") and Path(word).is_file()]


def _options(recipes: list[Path]) -> set[str]:
    from toolkit.tasks import catalogue

    return {key for path in recipes for key in catalogue.option_names(path)}
