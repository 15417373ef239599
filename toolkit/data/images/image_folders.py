"""Folders of pictures, and array files, as tables of pictures with labels.

flowers/rose/1.jpg, flowers/test/rose/9.jpg        see `toolkit.data.media.folders`
cells.npz, folder of idx files, digits.csv         see `image_arrays`
"""

from pathlib import Path

from toolkit.data.images import image_arrays
from toolkit.data.images.image_columns import PICTURES
from toolkit.data.media import folders
from toolkit.data.sources.folders import visible
from toolkit.data.sources.zip_archives import unpacked
from toolkit.tasks.contract import Tables


def read(path: Path, *, class_from_name: bool = False) -> Tables | None:
    """Read a folder of pictures, or array files of them, into tables by part; None where `path` is neither.

    Args:
        path: A file or a folder.
        class_from_name: Whether what stands before the number in a file's name is its class.

    Returns:
        Columns are `image` (name of the file, or the picture itself), `label`, `_file` and `_row`; notes name the
        pictures and tables in it that are passed over.

    Raises:
        DataError: It is one of them, and cannot be read.
    """
    try:
        path = unpacked(path)
        if not path.is_file():
            return folders.read(path, PICTURES, class_from_name=class_from_name, packed=_arrays)
        if path.suffix.lower() == ".npz":
            return Tables(image_arrays.read_npz(path))
        pixels = image_arrays.read_pixels(path) if path.name.lower().endswith((".csv", ".csv.gz")) else None
        return None if pixels is None else Tables(pixels)
    except OSError as error:
        raise folders.unreadable(path, error) from None


def _arrays(folder: Path) -> Tables | None:
    """Read the array files that a folder holds instead of pictures."""
    idx = image_arrays.idx_files(folder)
    if idx:
        return Tables(image_arrays.read_idx(idx))
    packed = [entry for entry in visible(folder) if entry.suffix.lower() == ".npz" and entry.is_file()]
    return Tables(image_arrays.read_npz(packed[0])) if len(packed) == 1 else None
