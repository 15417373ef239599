"""Output formats of `predict` that contain only the generated texts: lines, or a translated catalogue."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from toolkit.data.bitext import gettext_catalogue
from toolkit.errors import ConfigError
from toolkit.events import Note, Observe
from toolkit.tasks.contract import Recipe

WRITTEN_TEXTS = (".txt", ".po")  # formats of nothing but the texts that were written

Write = Callable[[Path, Iterator[dict[str, Any]]], None]


def writer(recipe: Recipe, options: Mapping[str, Any], source: str, output: Path, observe: Observe) -> Write | None:
    """Return the writer of plain lines or of a catalogue; None for tables, which also contain the rows.

    Raises:
        ConfigError: Predictions are not texts, or the input is not a catalogue.
    """
    suffix = output.suffix.lower()
    if suffix not in WRITTEN_TEXTS:
        return None
    if recipe.generate is None:
        raise ConfigError(
            f"{output} would contain only texts, but this task does not generate texts.",
            "Use a .csv file.",
            id="output.unfit-format",
        )
    of_catalogue = Path(source).suffix.lower() == ".po"
    if suffix == ".txt":
        if of_catalogue:
            observe(Note(f"{output} will contain one translation per line; for a catalogue use a .po file."))
        return _write_lines
    if not of_catalogue:
        raise ConfigError(
            f"{output} is a catalogue, but {source} is not.",
            "Give a .po file as --input, or a .txt file as --output.",
            id="output.unfit-format",
        )

    def write_catalogue(draft: Path, rows: Iterator[dict[str, Any]]) -> None:
        translations = (row["prediction"] for row in rows)
        gettext_catalogue.write(Path(source), draft, translations, everything=bool(options.get("retranslate")))

    return write_catalogue


def _write_lines(draft: Path, rows: Iterator[dict[str, Any]]) -> None:
    """Write one line for each row; an empty line for a row without a prediction."""
    with draft.open("w", encoding="utf-8", errors="replace") as stream:
        stream.writelines(" ".join((row["prediction"] or "").split()) + "\n" for row in rows)
