"""`toolkit compare`."""

from typing import Annotated

import typer

from toolkit.cli import options
from toolkit.cli.console import Watcher, say


def compare(
    targets: Annotated[
        list[str], typer.Argument(metavar="RUN_A RUN_B …", help="Run directories, or folders of evaluations.")
    ],
    recipe: options.RecipeOfModel = None,
    output: options.Output = None,
    assignments: options.Assignments = None,
    seed: options.Seed = None,
) -> None:
    """Set models side by side on the rows that all of them were judged on: differences, agreement, disagreements."""
    from toolkit.commands import verbs
    from toolkit.config import resolve

    layers = options.layers({"recipe": "-", "training.seed": seed}, assignments=assignments)
    config = resolve(layers).config
    with Watcher() as watch:
        folder, report = verbs.compare(
            targets, recipe, output, options.command_line(), config.evaluation, config.training.seed, watch
        )
    from toolkit.report.pages.terminal import comparison_to_text

    say(comparison_to_text(report))
    say(f"report  {folder / 'report.html'}")
