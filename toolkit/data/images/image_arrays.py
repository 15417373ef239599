"""Pictures in array files: NumPy's .npz, the idx files of MNIST and its kin, tables with a column for each pixel.

    train_images, train_labels, val_images, …   one .npz, as MedMNIST has it
    x_train, y_train, x_test, y_test            one .npz, as Keras has it
    images, labels                              one part alone
    train-images-idx3-ubyte[.gz], …             a folder of idx files
    label,pixel0,pixel1,…                       one .csv[.gz] of square grey pictures; without names, the class is the
                                                first or the last value of a line

Each picture becomes an uncompressed file of its own in memory (PGM or PPM), so that it is processed like all others.
"""

import gzip
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.data.formats.text_decoding import MAX_UNPACKED, check_gzip, most_unpacked, too_large
from toolkit.data.images import image_columns
from toolkit.errors import DataError

_IMAGES = ("images", "image", "x", "data", "pixels", "arr_0")
_LABELS = ("labels", "label", "y", "targets", "target", "classes", "arr_1")
_PARTS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
_IDX = re.compile(r"(?P<part>.*?)[-_.]?(?P<what>images|labels)[-_.]idx(?P<dimensions>\d)[-_.]ubyte(\.gz)?", re.I)
_PIXEL = re.compile(r"(pixel|px|p|x)?[ _.-]?\d+(x\d+)?", re.I)
_FEWEST = 16  # pixels of a picture in a table
_SHADES = 16  # greatest value of pictures that are drawn in a few shades, as scikit-learn's digits are
_IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}

Array = np.ndarray[Any, Any]


def read_npz(file: Path) -> dict[str, pa.Table]:
    """Read the parts of an .npz file: {"all": table}, or one for each of train, validation and test.

    Raises:
        DataError: It is damaged, too large, or holds no pictures with labels.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            size = sum(info.file_size for info in archive.infolist())
        if size > min(MAX_UNPACKED, most_unpacked(file)):
            raise too_large(file)
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{file} cannot be read as an .npz file: {error}.",
            "Download or write it again; arrays of objects are refused because they are pickled code.",
            id="data.damaged-file",
        ) from None
    names_of_parts = {part: _part(arrays, part) for part in ("", *_PARTS)}
    parts = {_PARTS.get(part, "all"): names for part, names in names_of_parts.items() if names is not None}
    if len(parts) > 1:
        parts.pop("all", None)
    if not parts:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise DataError(
            f"{file} holds no recognised pictures with labels: it has {shapes}.",
            "Name the arrays images and labels, or train_images, train_labels, test_images, test_labels.",
            id="image.none-found",
        )
    return {
        part: _table(file, f"{file.name}:{images}", arrays[images], arrays[labels])
        for part, (images, labels) in parts.items()
    }


def _part(arrays: Mapping[str, Array], part: str) -> tuple[str, str] | None:
    """Find the names of a part's pictures and labels, with the name of the part as prefix or suffix."""
    by_name = {name.lower(): name for name in arrays}

    def find(names: tuple[str, ...]) -> str | None:
        tried = [(name,) if not part else (f"{part}_{name}", f"{name}_{part}") for name in names]
        return next((by_name[name] for pair in tried for name in pair if name in by_name), None)

    images, labels = find(_IMAGES), find(_LABELS)
    return None if images is None or labels is None else (images, labels)


def read_pixels(file: Path) -> dict[str, pa.Table] | None:
    """Read a table with a column for each pixel; None where the file is another kind of table.

    Raises:
        DataError: It is such a table, but cannot be read.
    """
    opener = gzip.open if file.suffix.lower() == ".gz" else open
    try:
        with opener(file, "rb") as stream:
            first = stream.readline(2**20).decode("utf-8-sig").strip().split(",")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error):
        return None  # the reader of tables reports the fault
    names = [name.strip().strip('"').lower() for name in first]
    named = not all(name.replace(".", "", 1).isdigit() for name in names)
    labels = [number for number, name in enumerate(names) if name in _LABELS]
    side = math.isqrt(len(names) - 1)
    if side * side != len(names) - 1 or side * side < _FEWEST or (named and len(labels) != 1):
        return None
    if named and not all(_PIXEL.fullmatch(name) for number, name in enumerate(names) if number not in labels):
        return None
    if opener is gzip.open:
        check_gzip(file)
    try:
        with opener(file, "rb") as stream:
            values = np.loadtxt(stream, np.float32, delimiter=",", skiprows=int(named), ndmin=2)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(
            f"{file} cannot be read as an array of pixels: {error}.", "Download it again.", id="data.damaged-file"
        ) from None
    at = labels[0] if named else _label_column(values)
    pixels = np.delete(values, at, axis=1).reshape(-1, side, side)
    if 1 < pixels.max(initial=0) <= _SHADES:
        pixels /= _SHADES
    return {"all": _table(file, file.name, pixels, values[:, at].astype(np.int64))}


def _label_column(values: Array) -> int:
    """Return the place of the class in lines without names: the first or last column, if it has more than one value.

    Corners of pictures are mostly empty; the column with more values is the class.
    """
    first, last = (len(np.unique(values[:, place])) for place in (0, -1))
    return 0 if first > last else values.shape[1] - 1


def idx_files(folder: Path) -> dict[str, dict[str, Path]]:
    """Return the idx files of a folder: part → {"images", "labels"} → file; empty where there are none."""
    files_of_parts: dict[str, dict[str, Path]] = {}
    for file in sorted(folder.iterdir()):
        match = _IDX.fullmatch(file.name)
        if match and file.is_file():
            name = match["part"].lower()
            part = "test" if name in ("t10k", "test") else _PARTS.get(name, "all")
            files_of_parts.setdefault(part, {})[match["what"].lower()] = file
    return {part: pair for part, pair in files_of_parts.items() if len(pair) == 2}


def read_idx(files_of_parts: Mapping[str, Mapping[str, Path]]) -> dict[str, pa.Table]:
    """Read the parts that `idx_files` found."""
    return {
        part: _table(pair["images"], pair["images"].name, _idx(pair["images"]), _idx(pair["labels"]))
        for part, pair in files_of_parts.items()
    }


def _idx(file: Path) -> Array:
    """Read one idx file: two zero bytes, type, number of dimensions, their sizes, the numbers, all big-endian."""
    opener = gzip.open if file.suffix.lower() == ".gz" else open
    try:
        with opener(file, "rb") as stream:
            zero, kind, dimensions = struct.unpack(">HBB", stream.read(4))
            shape = struct.unpack(f">{dimensions}I", stream.read(4 * dimensions))
            dtype = np.dtype(_IDX_TYPES[kind])
            size = int(np.prod(shape, dtype=object)) * dtype.itemsize
            if zero or size > min(MAX_UNPACKED, most_unpacked(file)):
                raise ValueError("its header is invalid")
            data = stream.read(size)
        return np.frombuffer(data, dtype).reshape(shape)
    except (OSError, EOFError, KeyError, ValueError, zlib.error, struct.error) as error:
        raise DataError(
            f"{file} cannot be read as an idx file: {error}.", "Download it again.", id="data.damaged-file"
        ) from None


def _table(file: Path, name: str, images: Array, labels: Array) -> pa.Table:
    shaped = _channels_last(file, images)
    classes = _classes(file, labels)
    if len(shaped) != len(classes):
        raise DataError(
            f"{file} holds {len(shaped):,} pictures but {len(classes):,} labels.",
            "Write it again.",
            id="label.wrong-count",
        )
    if not len(shaped):
        raise DataError(f"{file} holds no rows of data.", "Check that it was written completely.", id="data.no-rows")
    places = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), len(classes)), pa.array([name]))
    return pa.table(
        {
            "image": as_pictures(shaped),
            "label": pa.array([str(value) for value in classes.tolist()], pa.string()),
            "_file": places,
            "_row": pa.array(np.arange(1, len(classes) + 1)),
        }
    )


def _channels_last(file: Path, images: Array) -> Array:
    """Return pictures as (N, H, W, C) of 8 or 16 bits, with one channel or three."""
    if images.ndim == 4 and images.shape[1] in (1, 3, 4) and images.shape[3] not in (1, 3, 4):
        images = np.moveaxis(images, 1, 3)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[3] not in (1, 3, 4) or 0 in images.shape[1:]:
        raise DataError(
            f"The pictures in {file} have the shape {images.shape}.",
            "It must be (N, H, W), (N, H, W, C) or (N, C, H, W), with 1, 3 or 4 channels.",
            id="image.wrong-shape",
        )
    if images.shape[3] == 4:  # on white, as for other pictures
        opaque = images[..., 3:].astype(np.float64) / (1.0 if images.dtype.kind == "f" else np.iinfo(images.dtype).max)
        white = 1.0 if images.dtype.kind == "f" and images.max(initial=0) <= 1 else 255.0
        images = (images[..., :3] * opaque + white * (1 - opaque)).astype(images.dtype)
    if images.dtype in (np.uint8, np.bool_):
        return images.astype(np.uint8) * (255 if images.dtype == np.bool_ else 1)
    if images.dtype.kind == "f":
        if not np.isfinite(images).all():
            raise DataError(
                f"The pictures in {file} hold values that are not finite.",
                "Write them again.",
                id="image.wrong-values",
            )
        unit = images.max(initial=0) <= 1 + 1 / 255  # a resampling filter may exceed the range slightly
        scaled = images * (255.0 if unit else 1.0)
        if scaled.min(initial=0) >= -1 and scaled.max(initial=0) <= 256:
            return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
    if images.dtype.kind in "iu":
        least, most = images.min(initial=0), images.max(initial=0)
        if least >= 0 and most <= 255:
            return images.astype(np.uint8)
        if least >= 0 and most <= 65535:
            return np.asarray(images, ">u2")
    raise DataError(
        f"The pictures in {file} hold values of the type {images.dtype}, from {images.min()} to {images.max()}.",
        "Write them as bytes, 0 to 255, or as fractions, 0 to 1.",
        id="image.wrong-values",
    )


def _classes(file: Path, labels: Array) -> Array:
    """Return one class for each picture, from (N,), (N, 1) or one of C marked in (N, C)."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        return labels[:, 0]
    if labels.ndim == 2 and labels.shape[1] and ((labels != 0).sum(axis=1) == 1).all():
        return np.asarray(labels.argmax(axis=1))
    if labels.ndim != 1:
        raise DataError(
            f"The labels in {file} have the shape {labels.shape}: more than one class per picture.",
            "Give one class per picture.",
            id="label.several-in-a-row",
        )
    return labels


def as_pictures(images: Array) -> pa.Array:
    """Return pictures (N, H, W, C) of bytes, or of 16 big-endian bits, as a column of PGM or PPM files."""
    count, height, width, channels = images.shape
    most = 255 if images.dtype.itemsize == 1 else 65535
    head = np.frombuffer(f"P{5 if channels == 1 else 6}\n{width} {height}\n{most}\n".encode(), np.uint8)
    body = np.ascontiguousarray(images).reshape(count, -1).view(np.uint8)
    files = np.concatenate([np.broadcast_to(head, (count, len(head))), body], axis=1)
    offsets = np.arange(count + 1, dtype=np.int64) * files.shape[1]
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(files))]
    return image_columns.column(
        pa.chunked_array([pa.Array.from_buffers(pa.large_binary(), count, buffers)]), [], None
    ).combine_chunks()
