"""What the shell completes: names of recipes, presets, models, runs, attention forms, checks, and configuration keys.

Each function imports only what it reads, so that a key press does not wait for torch or Arrow.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

from toolkit import choices

RUNS = Path("runs")  # where runs are written unless --output names another place
_MOST_RUNS = 200  # that are looked at, the newest by their names last


def run_argument(metavar: str, help: str) -> Any:
    """Return an argument that is the directory of a run."""
    return typer.Argument(metavar=metavar, help=help, autocompletion=runs)


def model_argument(metavar: str | None, help: str) -> Any:
    """Return an argument that is a run, or a model by another name."""
    return typer.Argument(metavar=metavar, help=help, autocompletion=runs_and_models)


def recipes(incomplete: str) -> list[str]:
    """Complete the name of a recipe."""
    from toolkit.tasks import catalogue

    return _beginning(catalogue.available(), incomplete)


def presets(incomplete: str) -> list[str]:
    """Complete the name of a preset."""
    from toolkit.tasks import catalogue

    return _beginning(catalogue.presets(), incomplete)


def models(incomplete: str) -> list[str]:
    """Complete the short name of a checkpoint."""
    from toolkit.model_names import ALIASES

    return _beginning((*ALIASES, "auto"), incomplete)


def runs(incomplete: str) -> list[str]:
    """Complete the directory of a run, the newest first; the shell completes other paths where there is none."""
    folders = {RUNS, Path(incomplete).parent}
    found = [file.parent for folder in folders if folder.is_dir() for file in folder.glob("*/run.json")]
    newest = sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)[:_MOST_RUNS]
    return _beginning((path.as_posix() for path in newest), incomplete)


def runs_and_models(incomplete: str) -> list[str]:
    """Complete a run, or the short name of a checkpoint."""
    return [*runs(incomplete), *models(incomplete)]


def attention(incomplete: str) -> list[str]:
    """Complete the form of attention; numbers follow the colon."""
    before, plus, last = incomplete.rpartition("+")
    from importlib.metadata import entry_points

    forms = [f"{name}:" if needed else name for name, (needed, _) in choices.ATTENTION_FORMS.items()]
    forms += [point.name for point in entry_points(group="finetune_toolkit.attention")]
    return [f"{before}{plus}{form}" for form in _beginning(forms, last)]


def checks(incomplete: str) -> list[str]:
    """Complete the last of several checks, with commas between them."""
    before, comma, last = incomplete.rpartition(",")
    given = before.split(",")
    return [f"{before}{comma}{name}" for name in _beginning((*choices.CHECKS, "all"), last) if name not in given]


def keys(context: typer.Context, incomplete: str) -> list[str]:
    """Complete KEY= of a configuration, with the recipe's own keys."""
    from toolkit.cli.own_options import named_options
    from toolkit.config import describe

    words = [*context.args, *filter(None, [context.params.get("recipe")])]  # what is typed so far, parsed or not
    own = sorted(f"options.{name}" for name in named_options(words))
    return [f"{key}=" for key in _beginning((*(key for key, _ in describe()), *own), incomplete)]


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
