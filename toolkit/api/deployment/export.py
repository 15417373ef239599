"""`export`: a model in a format that other programs run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.api.call import tables, words
from toolkit.api.call.caller import Caller, called
from toolkit.commands.export import export as export_model

if TYPE_CHECKING:
    from toolkit.exporting.schema import Export


@dataclass(frozen=True)
class Exported:
    """An exported model.

    Attributes:
        path: Its folder.
        report: Contents of export.json: agreement with the model, size, speed.
    """

    path: Path
    report: "Export"

    def __repr__(self) -> str:
        same = self.report.agreement
        return f"<Exported {self.path}: the same prediction on {same.same:,} of {same.rows:,} rows>"


def export(
    run: Any,
    form: str,
    *,
    output: str | Path | None = None,
    data: Any = None,
    rows: int = 1000,
    tolerance: float | None = None,
    recipe: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    max_length: int | None = None,
    config: str | Path | None = None,
    set: Mapping[str, Any] | Sequence[str] | None = None,
    trust_remote_code: bool = False,
    progress: bool | Caller = True,
) -> Exported:
    """Export a model for other programs, and verify on held-out rows that its predictions are the same.

    Args:
        run: A run, the path of its directory, a folder or a Hub id.
        form: "onnx", "onnx-int8", "openvino", "safetensors" or "torch-export"; the command line's `--to`.
        output: Folder to write; exports/FORM in the run when None.
        data: Rows to compare on, as `finetune` takes data; the run's held-out rows when None.
        rows: How many of them, at most.
        tolerance: Share of the rows that may get a different prediction; 0.001 when None, 0.05 in 8 bits.
        recipe: The task of a model that was not trained here, or the file of its recipe.
        text_column: Column that holds the text.
        label_column: Column that holds the label.
        max_length: Tokens that an example may have.
        config: YAML file of values.
        set: Dotted key → value for any key of the configuration, or texts KEY=VALUE.
        trust_remote_code: Run Python code that comes with the checkpoint.
        progress: Whether to show a bar.

    Raises:
        RunError: The export disagrees by more than `tolerance`; nothing was written then.
        ToolkitError: As the command line prints it.
    """
    given = {**locals(), "data": tables.stored(data)}
    target, place = words.target_of(run), None if output is None else str(output)
    values = words.merged(words.flags(given), words.assignments(set), config)
    with called(progress, "export", [target], {}) as caller:
        done = export_model(target, form, place, values, recipe, caller.observe, rows=rows, tolerance=tolerance)
    return Exported(done.folder, done.report)
