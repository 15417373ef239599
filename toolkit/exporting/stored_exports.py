"""Exports that a run holds, to be pushed with its model."""

import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from toolkit import runs
from toolkit.errors import SourceError
from toolkit.exporting.graph import MANIFEST
from toolkit.exporting.runtime import FILES
from toolkit.exporting.schema import Export

FORMS = ("onnx", "onnx-int8", "openvino")  # that programs load from the Hub by the names of their files
_FILES = re.compile(r"model(_quantized)?\.onnx(_data)?|openvino_model\.(xml|bin)")


@dataclass(frozen=True)
class StoredExport:
    """An export in a run directory.

    Attributes:
        folder: Where it is.
        files: Path in a repository → file of the graph.
        report: Its comparison with the model; None where it cannot be read, or is of an older version.
        current: Whether it was made from the run's present weights.
    """

    folder: Path
    files: dict[str, Path]
    report: Export | None
    current: bool


def digests(model: Path) -> dict[str, str]:
    """Return the name of each weight file of a model → its digest."""
    return {file.name: runs.digest(file) for file in sorted(model.glob("*.safetensors"))}


def of_run(run: runs.Run) -> list[StoredExport]:
    """Return the exports of a run in the forms that are pushed."""
    folders = {form: run.path / "exports" / form for form in FORMS}
    known = digests(run.model) if any(folder.is_dir() for folder in folders.values()) else {}
    return [_stored(folder, form, known) for form, folder in folders.items() if (folder / FILES[form]).is_file()]


def _stored(folder: Path, form: str, weights: dict[str, str]) -> StoredExport:
    place = Path(FILES[form]).parent
    files = {f"{place}/{file.name}": file for file in sorted((folder / place).iterdir()) if _FILES.fullmatch(file.name)}
    report = _report(folder, form)
    return StoredExport(folder, files, report, report is not None and report.weights == weights)


def _report(folder: Path, form: str) -> Export | None:
    try:
        facts = runs.read_object(folder / MANIFEST)
        report = Export.model_validate({key: facts[key] for key in Export.model_fields})
    except (SourceError, ValidationError, KeyError):
        return None
    return report if report.form == form else None
