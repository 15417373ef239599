"""Files of chosen rows: a table to fill in, or what Label Studio and Argilla import."""

import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from toolkit import runs
from toolkit.data.formats.annotation_exports import LOCAL_FILE
from toolkit.data.tables.columns import SELECTED_BY
from toolkit.errors import ConfigError
from toolkit.tasks.task import Column, Task

CSV, LABEL_STUDIO, ARGILLA = "csv", "label-studio", "argilla"
TOOLS = (CSV, LABEL_STUDIO, ARGILLA)
_SUFFIX = {CSV: ".csv", LABEL_STUDIO: ".json", ARGILLA: ".json"}
_FACTS = ("position", SELECTED_BY)


@dataclass(frozen=True)
class Batch:
    """Chosen rows, and what a tool must know of their task.

    Attributes:
        rows: {"position", each input, "prediction", "score", "uncertainty", "selected_by"}.
        names: Role of each input → its column in the rows.
        label: Column of the label that is to be written.
        task: Of the run.
        labels: Names of the classes.
        model: Name of the model, for suggestions.
        root: Folder of the files that rows name; None where they name none.
    """

    rows: Sequence[Mapping[str, Any]]
    names: Mapping[str, str]
    label: str
    task: Task
    labels: Sequence[str]
    model: str
    root: Path | None

    @property
    def inputs(self) -> list[Column]:
        """The inputs that the rows have."""
        return [column for column in self.task.inputs if column.role in self.names]

    @property
    def several(self) -> bool:
        """Whether a row may have any number of the classes."""
        return self.task.several


def check_output(output: Path, tool: str) -> None:
    """Refuse an output that exists, since labels may have been written into it, or whose name is of another format.

    Raises:
        ConfigError: It is one of the two.
    """
    if output.suffix.lower() != _SUFFIX[tool]:
        raise ConfigError(
            f"{output} is not named like a file for {tool}.",
            f"Use a name that ends in {_SUFFIX[tool]}.",
            id="output.unknown-format",
        )
    for file in (output, *_beside(output, tool)):
        if file.exists():
            raise ConfigError(f"{file} already exists.", "Remove it, or give another --output.", id="output.exists")


def check_served(output: Path, root: Path, tool: str) -> None:
    """Refuse tasks of Label Studio outside whose folder the files lie that they name: it serves files of one folder.

    Raises:
        ConfigError: They do.
    """
    folder = (root if root.is_dir() else root.parent).resolve()
    if tool == LABEL_STUDIO and not folder.is_relative_to(output.parent.resolve()):
        raise ConfigError(
            f"{root} lies outside the folder of {output}, from which Label Studio would serve the files.",
            f"Give an --output in {folder.parent}, for example.",
            id="select.files-outside",
        )


def _beside(output: Path, tool: str) -> list[Path]:
    return [output.with_suffix(".xml")] if tool == LABEL_STUDIO else []


def write(batch: Batch, output: Path, tool: str, *, suggestions: bool) -> list[Path]:
    """Write chosen rows.

    Args:
        batch: The rows.
        output: The file.
        tool: One of `TOOLS`.
        suggestions: Whether a labelling tool shows the model's predictions; a table has them in columns of their own.

    Returns:
        The files that were written.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    batch = _with_files_from(batch, output.parent, _under_label_studio if tool == LABEL_STUDIO else str)
    if tool == CSV:
        runs.write_text(output, _csv(batch))
    elif tool == LABEL_STUDIO:
        tasks = [_label_studio(batch, row, suggestions=suggestions) for row in batch.rows]
        runs.write_text(output, json.dumps(tasks, ensure_ascii=False, indent=1) + "\n")
        runs.write_text(output.with_suffix(".xml"), labelling_config(batch))
    else:
        records = [_argilla(batch, row, suggestions=suggestions) for row in batch.rows]
        runs.write_text(output, json.dumps(records, ensure_ascii=False, indent=1) + "\n")
    return [output, *_beside(output, tool)]


def _with_files_from(batch: Batch, folder: Path, written: Callable[[str], str]) -> Batch:
    """Name files relative to the folder of the output, from which they are found again."""
    of_files = [column for column in batch.inputs if column.kind.files is not None]
    if not of_files or batch.root is None:
        return batch
    rows = [dict(row) for row in batch.rows]
    for column in of_files:
        name = batch.names[column.role]
        for row in rows:
            found = column.kind.files([row[name]], batch.root) if row[name] else ()
            if found and found[0].is_file():
                row[name] = written(Path(os.path.relpath(found[0], folder)).as_posix())
    return Batch(rows, batch.names, batch.label, batch.task, batch.labels, batch.model, batch.root)


def _under_label_studio(name: str) -> str:
    return f"{LOCAL_FILE}{quote(name)}"


def _csv(batch: Batch) -> str:
    stream = io.StringIO()
    inputs = [batch.names[column.role] for column in batch.inputs]
    names = [*inputs, batch.label, "position", "prediction", "score", "uncertainty", SELECTED_BY]
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) if name != batch.label else "" for name in names] for row in batch.rows)
    return stream.getvalue()


def _cell(value: Any) -> Any:
    return "|".join(map(str, value)) if isinstance(value, list | tuple) else value


def _listed(prediction: Any) -> list[str]:
    """Return the names of predicted classes."""
    return [str(name) for name in prediction] if isinstance(prediction, list | tuple) else [str(prediction)]


def _label_studio(batch: Batch, row: Mapping[str, Any], *, suggestions: bool) -> dict[str, Any]:
    """Return a task in the basic JSON format of Label Studio: the data, and predictions where they are wanted."""
    task: dict[str, Any] = {
        "data": {name: row[name] for name in (*batch.names.values(), *_FACTS)},
    }
    if suggestions and row["prediction"] is not None:
        of_class = bool(batch.labels)
        value = {"choices": _listed(row["prediction"])} if of_class else {"number": row["prediction"]}
        result = {
            "from_name": batch.label,
            "to_name": batch.names[batch.inputs[0].role],
            "type": "choices" if of_class else "number",
            "value": value,
        }
        score = {} if row["score"] is None else {"score": row["score"]}
        task["predictions"] = [{"model_version": batch.model, **score, "result": [result]}]
    return task


def labelling_config(batch: Batch) -> str:
    """Return the labelling configuration of Label Studio: the inputs, and the classes to choose from, or a number."""
    lines = ["<View>"]
    for column in batch.inputs:
        name = batch.names[column.role]
        tag = str(column.kind.modality).capitalize()  # Text, Image and Audio are tags of Label Studio
        lines.append(f"  <{tag} name={quoteattr(name)} value={quoteattr('$' + name)}/>")
    to = f"name={quoteattr(batch.label)} toName={quoteattr(batch.names[batch.inputs[0].role])}"
    if batch.labels:
        lines.append(f'  <Choices {to} choice="{"multiple" if batch.several else "single"}">')
        lines += [f"    <Choice value={quoteattr(label)}/>" for label in batch.labels]
        lines.append("  </Choices>")
    else:
        lines.append(f"  <Number {to}/>")
    return "\n".join([*lines, "</View>", ""])


def _argilla(batch: Batch, row: Mapping[str, Any], *, suggestions: bool) -> dict[str, Any]:
    """Return a record as `dataset.records.from_json` of Argilla reads it."""
    suggested: dict[str, Any] = {}
    if suggestions and row["prediction"] is not None:
        value = _listed(row["prediction"]) if batch.several else row["prediction"]
        suggested = {batch.label: {"value": value, "score": row["score"], "agent": batch.model}}
    return {
        "id": str(row["position"]),
        "fields": {name: row[name] for name in batch.names.values()},
        "metadata": {name: row[name] for name in _FACTS},
        "suggestions": suggested,
        "responses": {},
        "vectors": {},
    }
