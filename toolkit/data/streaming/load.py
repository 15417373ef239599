"""From files that are larger than memory to held-out rows in memory, and a stream of training rows."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit import __version__, runs
from toolkit.config import RunConfig
from toolkit.config.settings import DataConfig
from toolkit.data.load import Splits, divide, load_table
from toolkit.data.streaming import survey as survey_
from toolkit.data.streaming import units
from toolkit.data.streaming.training_stream import TrainingStream
from toolkit.data.streaming.units import Unit
from toolkit.errors import ConfigError, DataError
from toolkit.tasks.contract import Recipe, Tables


def check(recipe: Recipe, config: RunConfig) -> None:
    """Refuse what needs all training rows in memory.

    Raises:
        ConfigError: With the key.
    """
    data, training = config.data, config.training
    wanted = {
        "data.where": bool(data.where),
        "data.min_label_rows": data.min_label_rows is not None,
        "data.max_train_rows": data.max_train_rows is not None,
        "data.time_column": data.time_column is not None,
        "data.corrections": data.corrections is not None,
        "data.unlabelled": data.unlabelled is not None,
        "data.deduplicate=false": not data.deduplicate,
        "training.budget": training.budget is not None,
        "training.few_labels": training.few_labels == "on",
        "loss.attention_entropy": bool(config.loss.attention_entropy),
        "loss.attention_supervision": bool(config.loss.attention_supervision),
    }
    refused = [name for name, given in wanted.items() if given]
    if recipe.arrange is not None or recipe.read is not None or recipe.clean is not None:
        refused.append(f"the recipe {config.recipe}")
    if len(recipe.targets) > 1 and data.target is None:
        raise ConfigError(
            "With streaming the kind of target is not inferred.",
            f"Give --target {' or '.join(recipe.targets)}.",
            id="data.streaming-target",
        )
    if refused:
        raise ConfigError(
            f"{refused[0]} does not work with streaming: it needs all training rows in memory.",
            "Leave it out, or train without --streaming.",
            id="data.streaming-unsupported",
        )


def load_splits(recipe: Recipe, config: DataConfig, seed: int, options: Mapping[str, Any]) -> Splits:
    """Survey the data that `config` names; return held-out rows, a sample of training rows, and the stream of all.

    Raises:
        SourceError: The data are not on this machine.
        DataError: The data do not fit the recipe.
    """
    target = recipe.task.target.role

    def usable(raw: pa.Table) -> pa.Table:
        try:
            table = load_table(recipe, config, lenient=True, options=options, raw=Tables({"train": raw}))
        except DataError as error:
            if error.id not in ("data.no-rows", "data.empty-column"):
                raise
            return raw.slice(0, 0)
        rows = table.parts["train"]
        if target not in rows.column_names:
            return rows.slice(0, 0)
        if not table.labels:
            return rows
        names = np.array(table.labels, object)
        written = rows[target].to_pylist()
        named = [names[value] if isinstance(value, int) else None for value in written]
        return rows.append_column("_class", pa.array(named, pa.string()))

    def classes(rows: pa.Table) -> list[Any]:
        return rows["_class"].to_pylist() if "_class" in rows.column_names else [None] * rows.num_rows

    def inputs(rows: pa.Table) -> list[str]:
        return list(recipe.task.identifying_in(rows)) if rows.num_rows else []

    makers = [__version__, runs.digest(Path(recipe.file)), dict(options)]
    found = survey_.survey(config, usable, inputs, classes, makers)
    table = load_table(recipe, config, options=options, raw=Tables(found.parts, found.notes))
    splits = divide(table, recipe, config, seed)
    later = config.model_copy(update={"label_map": dict(splits.label_map)})

    def read(unit: Unit) -> pa.Table:
        raw, _ = units.read(unit, config)
        rows = load_table(recipe, later, splits.labels, options=options, raw=Tables({"train": raw})).parts["train"]
        held = survey_.is_held_out(survey_.hashes_of(rows, inputs(rows), config), config, found.shares)
        return rows.filter(pa.array(~np.logical_or.reduce(list(held.values()))))

    notes = [
        f"Streaming: {sum(found.rows):,} training rows in {len(found.units):,} pieces are read while training runs. "
        "Everything else that reads training rows (baselines, near-duplicates, class weights, the linear probe) uses "
        f"a sample of {splits.train.num_rows:,} of them.",
        "Rows are held out by a hash of their inputs: "
        f"{', '.join(f'{share:.2%} for {part}' for part, share in found.shares.items())}.",
        *([f"{found.unused:,} rows without inputs or label are left out."] if found.unused else []),
    ]
    facts = {
        **splits.facts,
        "fingerprint": f"{splits.facts['fingerprint']}+{found.fingerprint}",
        "splits": [_whole(part, sum(found.rows)) for part in splits.facts["splits"]],
        "notes": [*splits.facts["notes"], *notes],
    }
    return replace(splits, facts=facts, stream=TrainingStream(found.units, found.rows, read, config.buffer_rows))


def _whole(part: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """Return the facts of a part; of train those of all its rows, whose classes are not known where there are more."""
    if part["name"] != "train" or part["rows"] == rows:
        return dict(part)
    return {"name": part["name"], "rows": rows, "given": part["given"]}
