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
    gate: str | Path | None = None,
    junit: str | Path | None = None,
    config: str | Path | None = None,
    set: Mapping[str, Any] | Sequence[str] | None = None,
    seed: int | None = None,
    progress: bool | Caller = True,
) -> Comparison:
    """Compare models on the rows that all of them were evaluated on: differences, agreement, disagreements.

    Args:
        runs: Two or more runs or evaluations, or paths of their folders.
        recipe: The task; that of their evaluations when None.
        output: Folder for the report; under runs/ when None.
        gate: YAML file of rules by which the second of two models may replace the first, or "default"; `.passed` of
            the result says whether it may.
        junit: File to write the verdicts of the rules to, as JUnit XML.
        config: YAML file of values.
        set: Dotted key → value for any key of the configuration, or texts KEY=VALUE.
        seed: Of the bootstrap.
        progress: Whether to show a bar.

    Raises:
        ToolkitError: As the command line prints it.
    """
    given = {**locals()}
    del given["runs"]
    targets = [words.target_of(run) for run in runs]
    layers = words.layers({"recipe": "-", **words.flags(given)}, config_file=config, assignments=words.assignments(set))
    resolved = resolve(layers).config
    place, rules, results = (None if value is None else str(value) for value in (output, gate, junit))
    with called(progress, "compare", targets, given) as caller:
        folder, report = compare_stored(
            *(targets, recipe, place, caller.command, resolved.evaluation, resolved.training.seed, caller.observe),
            gate=rules,
            junit=results,
        )
    return Comparison(folder, Report(report))
