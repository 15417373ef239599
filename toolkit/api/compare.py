"""`compare`: models on the rows that all of them were evaluated on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.api.call import words
from toolkit.api.call.caller import Caller, called
from toolkit.api.results import Comparison, Report
from toolkit.commands.compare import compare as compare_stored
from toolkit.config import resolve


def compare(
    runs: Sequence[Any],
    *,
    recipe: str | None = None,
    output: str | Path | None = None,
    set: Mapping[str, Any] | Sequence[str] | None = None,
    seed: int | None = None,
    progress: bool | Caller = True,
) -> Comparison:
    """Compare models on the rows that all of them were evaluated on: differences, agreement, disagreements.

    Args:
        runs: Two or more runs or evaluations, or paths of their folders.
        recipe: The task; that of their evaluations when None.
        output: Folder for the report; under runs/ when None.
        set: Dotted key → value for any key of the configuration, or texts KEY=VALUE.
        seed: Of the bootstrap.
        progress: Whether to show a bar.

    Raises:
        ToolkitError: As the command line prints it.
    """
    given = {**locals()}
    del given["runs"]
    targets = [words.target_of(run) for run in runs]
    layers = words.layers({"recipe": "-", **words.flags(given)}, assignments=words.assignments(set))
    config = resolve(layers).config
    place = None if output is None else str(output)
    with called(progress, "compare", targets, given) as caller:
        folder, report = compare_stored(
            targets, recipe, place, caller.command, config.evaluation, config.training.seed, caller.observe
        )
    return Comparison(folder, Report(report))
