"""`plan`: what a run would take, before it is started."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.api.call import tables, words
from toolkit.api.call.caller import Caller, called
from toolkit.commands.finetune.prepare import configure, prepare
from toolkit.events import Note

if TYPE_CHECKING:
    from toolkit.commands.plan.run import Plan

_ONE_TRAINING = {"training": {"few_labels": "off"}, "data": {"unlabelled": None}}


def plan(
    recipe: str | Path,
    *,
    model: str | Path | None = None,
    data: Any = None,
    preset: str | None = None,
    config: str | Path | None = None,
    set: Mapping[str, Any] | Sequence[str] | None = None,
    epochs: float | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    max_length: int | None = None,
    attention: str | None = None,
    seed: int | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    target: str | None = None,
    group_column: str | None = None,
    time_column: str | None = None,
    streaming: bool = False,
    trust_remote_code: bool = False,
    from_scratch: bool = False,
    glossary: str | Path | None = None,
    progress: bool | Caller = True,
) -> "Plan":
    """Estimate memory, time and energy of a fine-tuning, on this machine from a short probe and on other devices.

    Nothing is written. The arguments are those of `finetune`.

    Args:
        recipe: Name of a recipe, or the path of a recipe file.
        model: Alias, Hub id, folder or pkg://package/path.
        data: As `finetune` takes it.
        preset: Named values that come with the toolkit.
        config: YAML file of values.
        set: Dotted key → value for any key of the configuration, or texts KEY=VALUE.
        epochs: Number of passes over the training rows.
        batch_size: Examples that an optimizer step sees.
        learning_rate: Peak learning rate.
        max_length: Tokens that an example may have.
        attention: A sparse form of attention.
        seed: Random seed.
        text_column: Column that holds the text.
        label_column: Column that holds the label.
        target: What the label column holds: class, classes, stars or number; inferred when not given.
        group_column: Column of groups that are never divided between splits.
        time_column: Column of dates or numbers: the latest rows become the test part.
        streaming: Read training rows from the disk while training runs.
        trust_remote_code: Run Python code that comes with the checkpoint.
        from_scratch: Start from random weights.
        glossary: CSV or TSV of terms and their translations.
        progress: Whether to show a bar.

    Raises:
        ToolkitError: As the command line prints it.
    """
    given = {**locals(), "recipe": str(recipe), "data": tables.stored(data)}
    options = {word: value for word, value in given.items() if word != "recipe"}
    layers = words.layers(words.flags(given), preset, config, words.assignments(set))
    with called(progress, "plan", [given["recipe"]], options) as caller:
        loaded, resolved = configure(given["recipe"], layers)
        prepared = prepare(loaded, resolved, caller.observe, may_compare=True)
        compared = prepared.config.training.few_labels == "on"
        if compared:
            prepared = prepare(loaded, resolved.with_values("plan", _ONE_TRAINING), caller.observe, may_compare=True)
        for text in prepared.notes:
            caller.observe(Note(text))
        from toolkit.commands.plan.run import plan as estimate

        return estimate(prepared, caller.observe, caller.started, compared=compared)
