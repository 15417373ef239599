"""Compare a batch of new rows without labels with a run's held-out rows, and record the outcome."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import toolkit
from toolkit import runs
from toolkit.commands.evaluate.stored_model import find_stored, shown
from toolkit.commands.predict.input_rows import note_assumptions
from toolkit.commands.watch import history
from toolkit.commands.watch.batch import Batch, read_batch
from toolkit.commands.watch.reference import FOLDER, held_out, unreadable, vectors
from toolkit.data.division.split import fingerprint
from toolkit.data.sources.local_files import in_utf8
from toolkit.errors import ConfigError, SourceError
from toolkit.evaluation.context import clusters
from toolkit.evaluation.shift.find import Settings, Side, check_rows, compare
from toolkit.evaluation.shift.periods import next_look
from toolkit.evaluation.shift.unreadable import PART, Count
from toolkit.evaluation.shift.unreadable import compare as compare_unreadable
from toolkit.events import Note, Observe, Stage
from toolkit.inference.encode import encode_rows
from toolkit.inference.model import StoredModel
from toolkit.inference.predict_features import predict_features
from toolkit.report.pages.drift import to_html
from toolkit.runs.lock import sole_writer
from toolkit.tasks.contract import Recipe

ROWS, MOST_ROWS, LOOKS = 1000, 3000, 20


def watch(
    target: str,
    source: str,
    values: Mapping[str, Any],
    recipe_name: str | None,
    observe: Observe,
    *,
    rows: int = ROWS,
    looks: int = LOOKS,
    margin: float = 0.0,
    command: str = "",
) -> tuple[Path, dict[str, Any]]:
    """Compare the rows of a file with a run's held-out rows.

    Args:
        target: Run directory.
        source: File to read, or "-" for standard input.
        values: Nested configuration values laid over the stored ones.
        recipe_name: The task; the one stored with the model when None.
        observe: Called with each event.
        rows: Rows at most on each side; of more a random sample is compared.
        looks: Batches that share the probability of a false alarm.
        margin: Area under the classifier's curve above one half that does not matter.
        command: The command line, for the page.

    Returns:
        The folder with the page and the records, and the record of this batch with examples of its rows.

    Raises:
        ConfigError: The task has nothing to compare.
        SourceError: The target is not a run, or damaged.
        DataError: There are too few rows, or they do not fit the model.
    """
    observe(Stage("Locating the model"))
    if not runs.is_run(Path(target)):
        raise SourceError(
            f"{target} is not a run directory, so there are no held-out rows to compare with.",
            "Give the run directory that `toolkit finetune` wrote.",
            id="run.not-a-run",
        )
    run = runs.Run(Path(target))
    checkpoint, recipe, config, labels = find_stored(target, values, recipe_name)
    check_task(recipe)
    stored = StoredModel(checkpoint.path, recipe, labels, config, observe=observe)
    observe(Stage("Reading the rows"))
    note_assumptions(source, values, observe)
    batch = read_batch(source, values, stored, rows, config.training.seed)
    folder = run.path / FOLDER
    with sole_writer(folder):
        earlier = history.read(folder)
        record = _record(run, stored, source, batch, earlier, observe, rows=rows, looks=looks, margin=margin)
        same = history.find(earlier, record["fingerprint"])
        if same is not None:
            observe(Note(f"This batch is recorded already, as look {same['look']}; it is not counted again."))
        else:
            brief = {**record, "shift": {**record["shift"], "examples": []}}
            history.append(folder, earlier, brief)
            earlier = [*earlier, brief]
        page = {
            "version": toolkit.__version__,
            "command": command,
            "model": shown(target),
            "records": earlier,
            "shown": record,
        }
        runs.write_text(folder / history.PAGE, to_html(page))
    return folder, record


def check_task(recipe: Recipe) -> None:
    """Refuse a task whose rows cannot be compared by its predictions.

    Raises:
        ConfigError: It predicts texts or items.
    """
    if not recipe.task.takes_shift:
        raise ConfigError(
            f"New rows can be compared where classes or numbers are predicted; this task predicts "
            f"{recipe.target.title or 'something else'}.",
            "Use `toolkit evaluate RUN --data FILE` on labelled rows.",
            id="watch.not-for-task",
        )


def _record(
    run: runs.Run,
    stored: StoredModel,
    source: str,
    batch: Batch,
    earlier: list[dict[str, Any]],
    observe: Observe,
    *,
    rows: int,
    looks: int,
    margin: float,
) -> dict[str, Any]:
    config, recipe = stored.config, stored.recipe
    reference = held_out(run, stored, rows, observe, keep=True)
    if reference.side.clusters is not None and clusters(recipe.task, batch.rows, config.data.group_column) is None:
        raise ConfigError(
            f"The run's rows belong to groups, and {in_utf8(Path(source).name)} has no column "
            f"{config.data.group_column or 'of them'}: rows of a few groups would look like a shift.",
            "Add the column, or compare all rows as independent: --set data.group_column=null.",
            id="watch.no-groups",
        )
    check_rows(reference.side.rows.num_rows, batch.rows.num_rows)
    observe(Stage(f"Predicting {batch.rows.num_rows:,} new rows"))
    predictions = predict_features(stored.loaded, encode_rows(batch.rows, stored.loaded), observe)
    new = Side(batch.rows, predictions.columns, clusters(recipe.task, batch.rows, config.data.group_column))
    features = vectors(stored.loaded, reference.side.rows, batch.rows, observe)
    group = config.data.group_column
    grouped = [group] if group is not None and group in batch.rows.column_names else []
    digest = fingerprint({"test": batch.rows}, [*recipe.task.inputs_in(batch.rows), *grouped])
    same = history.find(earlier, digest)
    look = (
        history.looks([same])[0]
        if same is not None
        else next_look(history.looks(earlier), 1 - config.evaluation.confidence, looks)
    )
    observe(Stage("Comparing the rows"))
    settings = Settings(
        (1 - PART) * look.level, margin, config.evaluation.confidence, config.evaluation.resamples, config.training.seed
    )
    lost = compare_unreadable(
        Count(batch.unreadable, batch.unreadable + batch.rows.num_rows),
        unreadable(run, recipe.task.inputs_in(batch.rows)),
        PART * look.level,
        grouped=new.clusters is not None,
    )
    shift = compare(recipe.task, stored.labels, reference.side, new, reference.validation, features, settings)
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "source": in_utf8(Path(source).name),
        "fingerprint": digest,
        "rows_read": batch.read,
        "unreadable": asdict(lost),
        "seed": config.training.seed,
        "period": look.period,
        "look": look.number,
        "looks": looks,
        "level": look.level,
        "claimed": lost.claimed or shift["claimed"],
        "shift": shift,
    }
