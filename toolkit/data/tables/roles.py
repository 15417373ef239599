"""Bring each part of a data set into the roles of a recipe; parts without labels are ignored."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import pyarrow as pa

from toolkit.config.settings import DataConfig
from toolkit.data import remarks as remarks_
from toolkit.data.formats import headers
from toolkit.data.tables import class_names
from toolkit.data.tables import columns as columns_
from toolkit.errors import DataError
from toolkit.tasks.task import Column


def in_roles(
    parts: Mapping[str, pa.Table],
    columns: Sequence[Column],
    target: Column | None,
    config: DataConfig,
    *,
    lenient: bool,
) -> tuple[dict[str, pa.Table], list[str], list[str]]:
    """Find the columns of each part.

    Args:
        parts: Part → rows as they were read.
        columns: The recipe's.
        target: The column of labels, if the recipe has one.
        config: Names columns.
        lenient: Whether there may be no column of labels at all.

    Returns:
        The parts in the recipe's roles; the classes in the order in which the data describe them; and notes on columns
        that were found by other names. A held-out part without a column of labels is ignored, where train has one.

    Raises:
        DataError: A column is missing or unreadable.
    """
    prepared: dict[str, pa.Table] = {}
    order: list[str] = []
    notes: list[str] = []
    without = []
    of_train: dict[str, str] = {}
    for part, rows in sorted(parts.items(), key=lambda item: item[0] != "train"):
        chosen = {role: name for role, name in of_train.items() if name in rows.column_names} | config.columns
        held_out = part != "train" and "train" in parts
        if target is not None and held_out and columns_.lacks(rows.column_names, chosen.get(target.role)):
            del chosen[target.role]
        likely = headers.of_table(rows.drop_columns(list(columns_.POSITION)))
        find = partial(columns_.find, _selectable(rows, columns, chosen), chosen=chosen, likely=likely)
        try:
            roles = find(_wanted(columns, target, optional=held_out))
        except DataError:
            if not lenient:
                raise
            roles = find(_wanted(columns, target, optional=True))
        of_train = dict(roles) if part == "train" else of_train
        if target is not None and target.role in roles:
            roles, own, remarks = _named(rows, roles, target, config)
            notes += remarks
            order = order or own
        elif held_out:
            without.append(part)
        taken = [f"{role} is `{name}`" for role, name in roles.items() if role not in (name, *config.columns)]
        notes += [note for note in [f"Columns: {', '.join(taken)}."] if taken and note not in notes]
        if part in ("train", "all"):
            notes += remarks_.of_unused_texts(rows, roles.values(), config.columns.values())
        prepared[part] = columns_.take_roles(rows, roles, columns)
    if target is not None and target.role in prepared.get("train", pa.table({})).column_names:
        for part in without:
            notes.append(f"The {part} part has no column of the {target.role} and is ignored.")
            del prepared[part]
    return {part: prepared[part] for part in parts if part in prepared}, order, notes


def _selectable(rows: pa.Table, columns: Sequence[Column], chosen: Mapping[str, str]) -> list[str]:
    """Return the columns that may have a role: of objects their values, unless files are stored as such."""
    files = any(getattr(column.kind, "files", None) is not None for column in columns)
    return [
        field.name
        for field in rows.schema
        if files or field.name in chosen.values() or not pa.types.is_struct(field.type)
    ]


def _wanted(columns: Sequence[Column], target: Column | None, *, optional: bool) -> list[Column]:
    """Return the recipe's columns; that of the labels is not required where it is optional."""
    free = target.role if optional and target is not None else None
    return [replace(column, required=False) if column.role == free else column for column in columns]


def _named(
    rows: pa.Table, roles: Mapping[str, str], target: Column, config: DataConfig
) -> tuple[dict[str, str], list[str], list[str]]:
    """Use the column of class names as labels, where there is one; return the order of the classes, and notes.

    With a mapping by the user the written labels are kept.
    """
    column = roles[target.role]
    names = class_names.beside(rows, column) if not config.label_map else None
    if names is None:
        contradiction = class_names.contradicting(rows, column) if not config.label_map else None
        notes = [contradiction] if contradiction is not None else []
        return dict(roles), class_names.order(rows, column), notes
    return {**roles, target.role: names[0]}, names[1], []
