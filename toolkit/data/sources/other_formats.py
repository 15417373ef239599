"""What to do with files of formats that are not read as tables."""

from pathlib import Path

from toolkit.data.audio.decoding import SUFFIXES as RECORDINGS
from toolkit.data.images.image_decoding import SUFFIXES as PICTURES

_OTHER_SHEETS = (".xls", ".xlsb", ".ods")
_OF_PICTURES = (
    "Pictures are data of the recipe image (`toolkit inspect DATA --recipe image`): a folder for each class "
    "(at least two), or a table with file names and labels."
)
_OF_RECORDINGS = (
    "Recordings are data of the recipe speech (`toolkit inspect DATA --recipe speech`): a folder for each class "
    "(at least two), or a table with file names and labels."
)


def advice_for(file: Path) -> str | None:
    """Return how to read a file of a medium, or a spreadsheet of another format; None for other files."""
    suffix = file.suffix.lower()
    if suffix in _OTHER_SHEETS:
        return "Open it in a spreadsheet program, and save it as .xlsx or as CSV."
    return _OF_PICTURES if suffix in PICTURES else _OF_RECORDINGS if suffix in RECORDINGS else None
