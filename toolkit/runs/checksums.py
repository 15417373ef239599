"""Digests of the files behind reported figures, so that a file edited afterwards is refused.

A run directory and the folder of an evaluation hold a SHA256SUMS, as `sha256sum --check SHA256SUMS` reads it. A file
that no SHA256SUMS names, as of earlier versions, is not checked.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from toolkit import runs
from toolkit.errors import SourceError

FILE = "SHA256SUMS"


def record(folder: Path, names: Iterable[str]) -> None:
    """Record the digests of some files of a folder, in addition to those recorded before.

    Args:
        folder: Holds the files.
        names: Their paths in it, with forward slashes.
    """
    digests = {**_recorded(folder), **{name: runs.digest(folder / name) for name in names}}
    runs.write_text(folder / FILE, "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items())))


def record_weights(run: runs.Run) -> None:
    """Record the digests of a run's weights, to which its report applies."""
    files = (*run.model.glob("*.safetensors"), *run.adapter.glob("*.safetensors"))
    record(run.path, [file.relative_to(run.path).as_posix() for file in files])


def is_recorded(file: Path) -> bool:
    """Whether the digest of a file is recorded, in its folder or the parent folder."""
    return recorded(file) is not None


def recorded(file: Path) -> str | None:
    """Return the digest of a file that was recorded, in its folder or the parent folder; None where none was."""
    for folder in (file.parent, file.parent.parent):
        digest = _recorded(folder).get(file.relative_to(folder).as_posix())
        if digest is not None:
            return digest
    return None


def is_changed(file: Path) -> bool:
    """Whether a file differs from its recorded digest."""
    expected = recorded(file)
    return expected is not None and file.is_file() and runs.digest(file) != expected


def check(file: Path, advice: str) -> None:
    """Refuse a file that was changed after its digest was recorded.

    Raises:
        SourceError: It was.
    """
    if is_changed(file):
        raise SourceError(
            f"{file} was changed after it was written: its digest differs from that in {FILE}.",
            advice,
            id="run.changed",
        )


def read_rows(file: Path) -> Any:
    """Read rows that a run keeps.

    Raises:
        SourceError: The file is missing, damaged or changed, or names files of pictures.
    """
    check(file, "Undo the change, or copy the run directory again; use --data for other rows.")
    rows = runs.read_table(file)
    if any(_names_files(column) for column in rows.columns):
        raise SourceError(
            f"{file} names files of pictures instead of holding them; files that a run names are not opened.",
            "Copy the run directory again; use --data for other rows.",
            id="run.picture-paths",
        )
    return rows


def _names_files(column: Any) -> bool:
    """Whether a column holds pictures of which some have a path and no bytes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_struct(column.type) or "path" not in {field.name for field in column.type}:
        return False
    named = pc.is_valid(pc.struct_field(column, "path"))
    if "bytes" in {field.name for field in column.type}:
        named = pc.and_(named, pc.is_null(pc.struct_field(column, "bytes")))
    return bool(pc.any(named).as_py())


def _recorded(folder: Path) -> dict[str, str]:
    try:
        file = folder / FILE
        lines = file.read_text(encoding="utf-8").split("\n") if file.is_file() else []  # excludes pipes
    except (OSError, UnicodeDecodeError):
        return {}
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines) if name}
