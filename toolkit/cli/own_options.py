"""The options of recipes on the command line: `--target fr` is `--set options.target=fr`."""

import difflib
from pathlib import Path
from typing import Any

from typer.core import TyperCommand


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
                own = [f"--{name.replace('_', '-')}" for name in _known(args)]
                error.possibilities = [*(error.possibilities or ()), *difflib.get_close_matches(unknown, own)]
            raise


def as_assignments(args: list[str], taken: set[str]) -> list[str]:
    """Return the arguments with every option of a recipe written as `--set options.NAME=VALUE`.

    An option that is followed by another one, or by nothing, means true. Options of no recipe are not changed.

    Args:
        args: The arguments after the command.
        taken: The command's own options.
    """
    known: set[str] | None = None
    assignments: list[str] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        name, given, value = word.partition("=")
        if word == "--":
            return [*assignments, word, *rest]
        if not name.startswith("--") or name in taken:
            assignments.append(word)
            continue
        known = known if known is not None else _known(args)
        key = name.removeprefix("--").replace("-", "_")
        if key not in known:
            assignments.append(word)
            continue
        if not given:
            value = rest.pop(0) if rest and not rest[0].startswith("--") else "true"
        assignments += ["--set", f"options.{key}={value}"]
    return assignments


def _known(args: list[str]) -> set[str]:
    """Return the options of the recipe in the arguments, or of all recipes where there is none."""
    from toolkit.tasks import catalogue

    at_hand: dict[str, Any] = catalogue.available()
    named = [at_hand[word] for word in args if word in at_hand]
    named += [Path(word) for word in args if word.endswith(".py") and Path(word).is_file()]
    return {key for path in named or at_hand.values() for key in catalogue.option_names(path)}
