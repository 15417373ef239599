"""`inspect`: a table as a run reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.api.call import tables, words
from toolkit.api.call.caller import Caller, called
from toolkit.commands.finetune.prepare import configure
from toolkit.commands.inspect import inspect as look
from toolkit.commands.inspect_images import show as draw_sheet
from toolkit.events import Note

if TYPE_CHECKING:
    from toolkit.data.tables.inspect import Part


@dataclass(frozen=True)
class Inspection:
    """The content of a table.

    Attributes:
        origin: Where the rows come from.
        parts: Rows, classes, lengths and duplicates of each part.
        unit: What lengths are counted in: "tokens", "words", or "pixels" along the shorter side.
        max_length: Tokens of a row that a run would read; None where lengths are not counted in tokens.
        shared: Description of duplicates between parts → number of rows.
        notes: What the user should know.
        sheet: File of the pictures that were drawn; None where not requested.
    """

    origin: str
    parts: Sequence["Part"]
    unit: str
    max_length: int | None
    shared: Mapping[str, int]
    notes: Sequence[str]
    sheet: Path | None

    def __repr__(self) -> str:
        parts = ", ".join(f"{part.rows:,} {part.name}" for part in self.parts)
        return f"<Inspection {self.origin}: {parts}>"


def inspect(
    data: Any,
    *,
    recipe: str | Path = "sentiment",
    model: str | Path | None = None,
    max_length: int | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    target: str | None = None,
    show: bool = False,
    config: str | Path | None = None,
    set: Mapping[str, Any] | Sequence[str] | None = None,
    progress: bool | Caller = True,
) -> Inspection:
    """Inspect a table as a run reads it: rows, classes, lengths, truncation, duplicates and anomalies.

    Args:
        data: As `finetune` takes it.
        recipe: The task that the table is for.
        model: Whose tokenizer counts the tokens.
        max_length: Tokens that a row may have.
        text_column: Column that holds the text.
        label_column: Column that holds the label.
        target: What the label column holds: class, classes, stars or number; inferred when not given.
        show: Draw a sheet of pictures of each class, raw and as training changes them.
        config: YAML file of values.
        set: Dotted key → value for any key of the configuration, or texts KEY=VALUE.
        progress: Whether to show a bar.

    Raises:
        ToolkitError: As the command line prints it.
    """
    given = {**locals(), "data": tables.stored(data)}
    layers = words.layers(words.flags(given), config_file=config, assignments=words.assignments(set))
    with called(progress, "inspect", [given["data"]], {}) as caller:
        loaded, resolved = configure(str(recipe), layers)
        result = look(loaded, resolved.config)
        notes, sheet = list(result.table.notes), None
        if show:
            sheet = Path(f"{Path(given['data']).stem or 'data'}-contact-sheet.png")
            remark = draw_sheet(loaded, resolved.config, result.table, sheet)
            notes += [remark] if remark else []
        for text in notes:
            caller.observe(Note(text))
    return Inspection(result.table.origin, result.parts, result.unit, result.longest, result.shared, notes, sheet)
