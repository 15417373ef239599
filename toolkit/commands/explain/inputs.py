"""Read the texts or pictures that are to be explained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit.commands.explain import images, translations
from toolkit.commands.explain.request import Given, RecipeAndConfig, Texts, lines_or_table
from toolkit.data.tables import columns
from toolkit.errors import ConfigError, DataError, ModelError
from toolkit.tasks.shown_labels import plain
from toolkit.tasks.task import PATCH, WORD, Column


def read_texts(path: Path, subject: RecipeAndConfig) -> list[Texts]:
    """Read many texts: the lines of a .txt file, or the text columns of a table."""
    texts = lines_or_table(path, lambda table: texts_of(table, subject), subject, "text")
    required = [column.role for column in subject.recipe.task.inputs if column.required]
    if len(texts[0]) < len(required):
        raise DataError(
            f"{path} has one text on each line, and an input of this model needs {' and '.join(required)}.",
            "Give a table with these columns.",
            id="data.column-missing",
        )
    return texts


def read_inputs(path: Path, subject: RecipeAndConfig) -> list[Any]:
    """Read many texts or pictures from a file or a folder, whichever the model takes."""
    if reads_pictures(subject):
        return list(images.read_pictures(path, subject))
    if aligns(subject):
        return list(translations.read_pairs(path, subject))
    return list(read_texts(path, subject))


def reads_pictures(subject: RecipeAndConfig) -> bool:
    """Whether the model classifies pictures."""
    return subject.recipe.task.explained_by == PATCH


def aligns(subject: RecipeAndConfig) -> bool:
    """Whether explanations say which words of its input a generated text is made from."""
    return subject.recipe.task.written


def labels_words(subject: RecipeAndConfig) -> bool:
    """Whether the model labels the words of a single text."""
    return subject.recipe.task.labels_words and len(subject.recipe.task.inputs) == 1


def class_number(name: str | None, subject: RecipeAndConfig, labels: Sequence[str]) -> int | None:
    """Return the number of a class that is to be explained; None where none is named.

    Raises:
        ConfigError: There is no such class, or the model does not predict classes of texts or pictures.
    """
    if name is None:
        return None
    if labels_words(subject) or subject.recipe.task.labelled is None:
        raise ConfigError(
            f"The class `{name}` cannot be explained: this model predicts {subject.recipe.task.target.kind.title}.",
            "Name no class.",
            id="config.not-for-task",
        )
    if name not in labels:
        raise ConfigError(
            f"There is no class `{name}`.", f"The classes are {', '.join(labels)}.", id="config.unknown-choice"
        )
    return list(labels).index(name)


def examples_of(rows: pa.Table, subject: RecipeAndConfig) -> list[Given]:
    """Return the texts or the picture of each row."""
    return pictures_of(rows, subject) if reads_pictures(subject) else list(texts_of(rows, subject))


def texts_of(rows: pa.Table, subject: RecipeAndConfig) -> list[Texts]:
    """Return the texts of each row of a table that has all that are required."""
    wanted = text_columns(subject)
    named = {role: name for role, name in subject.config.data.columns.items() if name in rows.column_names}
    chosen = {column.role: named[column.role] for column in wanted if column.role in named}
    roles = columns.find(rows.column_names, wanted, chosen)
    present = [column for column in wanted if column.role in roles]
    values = [list(map(plain, rows[roles[column.role]].to_pylist())) for column in present]
    needed = [number for number, column in enumerate(present) if column.required]
    return [row for row in zip(*values, strict=True) if all(row[number].strip() for number in needed)]


def text_columns(subject: RecipeAndConfig) -> Sequence[Column]:
    """Return the columns of texts that the recipe reads.

    Raises:
        ModelError: It reads none.
    """
    task = subject.recipe.task
    if any(column.kind.unit is None for column in task.inputs) and not labels_words(subject):
        raise ModelError(
            f"The recipe {subject.config.recipe} reads {task.inputs[0].kind.nouns[1]}, whose predictions cannot be "
            "explained: they have no words or patches that could be scored.",
            "Explain a run of a recipe that classifies texts or pictures, such as `sentiment` or `image`.",
            id="model.wrong-input",
        )
    if task.explained_by != WORD and not labels_words(subject):
        raise ModelError(
            f"The recipe {subject.config.recipe} predicts neither classes nor a number, as explanations need.",
            "Explain a run of a recipe that does, such as `sentiment` or `tokens`.",
            id="model.wrong-input",
        )
    return task.inputs


def pictures_of(rows: pa.Table, subject: RecipeAndConfig) -> list[Given]:
    """Return the picture of each row that has one."""
    (role,) = (column.role for column in subject.recipe.task.inputs)
    return [row for row in rows[role].to_pylist() if row]
