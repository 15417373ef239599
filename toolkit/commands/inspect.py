"""Inspect a table as a run reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from toolkit import checkpoints
from toolkit.commands.finetune.training.tokenize import remarks
from toolkit.config import RunConfig
from toolkit.data.division.split import shared_rows
from toolkit.data.load import Table, divide, load_table
from toolkit.data.tables.encode_labels import REFUSED
from toolkit.data.tables.inspect import Part
from toolkit.data.tables.inspect import inspect as describe_parts
from toolkit.errors import DataError, SourceError
from toolkit.tasks.contract import Recipe, Rows


@dataclass(frozen=True)
class Inspected:
    """The result of `inspect`.

    Attributes:
        table: The rows in the recipe's roles.
        parts: Contents of each part.
        unit: What lengths are counted in: "tokens", "words" without a tokenizer, or "pixels" along the
            shorter side of a picture.
        shared: Description of duplicates between parts → number of rows.
        longest: Tokens that are read of a row; None where lengths are not counted in tokens.
    """

    table: Table
    parts: Sequence[Part]
    unit: str
    shared: Mapping[str, int]
    longest: int | None


def inspect(recipe: Recipe, config: RunConfig) -> Inspected:
    """Inspect a data source as a run reads it, without training.

    Raises:
        DataError: The table does not fit the recipe.
    """
    table = load_table(recipe, config.data, lenient=True, options=config.options, clean=True)
    recipe = table.recipe(recipe)
    notes = []
    target = recipe.task.labelled.role if recipe.task.labelled is not None else None
    if "train" in table.parts or "all" in table.parts:
        try:
            if target is None or all(target in rows.column_names for rows in table.parts.values()):
                divide(table, recipe, config.data, config.training.seed)
        except DataError as error:
            refusal = f"{REFUSED} {error.problem} {error.fix}"
            notes += [] if any(note.startswith(REFUSED) for note in table.notes) else [refusal]
    first = recipe.task.inputs[0].kind
    if first.plain is None:
        return _inspected(recipe, table, notes, None, first.length_unit, None)
    try:
        checkpoint = checkpoints.locate(config.model, config.loading, config.options)
        processor = recipe.load_processor(checkpoint.path, config)
        unlimited = config.model_copy(update={"data": config.data.model_copy(update={"max_length": 1_000_000})})
        lengths_of: Any = lambda rows: recipe.features(Rows(rows, table.labels), processor, unlimited)  # noqa: E731
        unit = "tokens"
        learned = next((table.parts[part] for part in ("train", "all") if part in table.parts), None)
        notes += remarks(recipe, learned, processor, config) if learned is not None else []
    except SourceError as error:
        lengths_of, unit = None, first.length_unit
        notes.append(f"{error.problem} Lengths are counted in {unit}; give a tokenizer with --model.")
    longest = config.data.max_length if lengths_of is not None else None
    return _inspected(recipe, table, notes, lengths_of, unit, longest)


def _inspected(
    recipe: Recipe, table: Table, notes: list[str], lengths_of: Any, unit: str, longest: int | None
) -> Inspected:
    parts = describe_parts(table, recipe.columns, lengths_of, unit)
    shared = {}
    for held_out in ("validation", "test"):
        if "train" in table.parts and held_out in table.parts:
            present = recipe.task.identifying_in(table.parts["train"])
            shared[f"train rows in {held_out}"] = shared_rows(table.parts["train"], table.parts[held_out], present)
    return Inspected(replace(table, notes=(*table.notes, *notes)), parts, unit, shared, longest)
