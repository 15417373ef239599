"""`toolkit lr-find`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli import options
from toolkit.cli.console import Watcher, note, say, say_document, table
from toolkit.errors import ConfigError

_STEPS = 100
_OWN = (
    "--steps",
    "--lowest",
    "--highest",
    "--output",
    "-o",
)  # not options of `finetune`, or different there


def lr_find(
    recipe: options.Recipe,
    model: options.Model = None,
    data: options.Data = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Folder of the curve; a new one under runs/ when not given.")
    ] = None,
    preset: options.Preset = None,
    config: options.ConfigFile = None,
    assignments: options.Assignments = None,
    batch_size: options.BatchSize = None,
    max_length: options.MaxLength = None,
    seed: options.Seed = None,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    target: options.Target = None,
    trust_remote_code: options.TrustRemoteCode = False,
    steps: Annotated[int, typer.Option("--steps", min=10, max=10_000, help="Optimizer steps.")] = _STEPS,
    lowest: Annotated[float, typer.Option("--lowest", help="Learning rate of the first step.")] = 1e-6,
    highest: Annotated[float, typer.Option("--highest", help="Learning rate of the last step.")] = 1.0,
) -> None:
    """Find a learning rate: raise it step by step until the loss diverges, and suggest one from the curve."""
    given = dict(locals())
    if not 0 < lowest < highest:
        raise ConfigError(
            f"The learning rate cannot increase from {lowest:g} to {highest:g}.",
            "Give a positive --lowest and a larger --highest.",
            id="config.out-of-range",
        )
    from toolkit import runs
    from toolkit.api.call import words
    from toolkit.api.documents.training import RateFound
    from toolkit.commands.finetune.prepare import configure, prepare
    from toolkit.commands.lr_find import lr_find as find

    runs.check_place(output)
    layers = words.layers(words.flags(given), preset, config, assignments)
    loaded, resolved = configure(recipe, layers)
    with Watcher() as watch:
        prepared = prepare(loaded, resolved, watch)
        for text in prepared.notes:
            note(f"  note: {text}")
        folder = runs.create(output, f"lr-find-{Path(recipe).stem}", prepared.config.model, datetime.now(UTC)).path
        try:
            result = find(prepared, folder, watch, steps=steps, lowest=lowest, highest=highest)
        except BaseException:
            if not any(folder.iterdir()):
                folder.rmdir()  # no result, so no empty folder
            raise
    again = options.command_line("finetune", without=_OWN, unset="training.learning_rate")
    again = f"{again} --learning-rate {result.suggestion:g}"
    found = RateFound.of(folder, result, again)
    say_document(lambda: found)
    say(
        f"The smoothed loss was lowest, {found.lowest_loss:.4f}, at a learning rate of "
        f"{found.lowest_at:.3g}{', and diverged after it' if result.burst else ''}.\n"
        f"Suggested learning rate: {result.suggestion:g}, the smaller of a tenth of that and the rate at which\n"
        "the loss fell fastest (Howard and Gugger 2020, after Smith 2017)."
    )
    if not result.clear:
        say(
            "The loss did not clearly fall and rise again in this range, so the suggestion is unreliable: widen the\n"
            "range (--lowest, --highest), or raise --steps."
        )
    say(table([("curve", found.curve), ("train", found.train)]))
