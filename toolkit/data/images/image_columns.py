"""Pictures as columns of a table, decoded as a viewer shows them.

A picture is a structure: its file's `bytes`, or their `path`; a `digest` of the decoded pixels; `width` and
`height`. Of a folder only paths are held, so that memory does not grow with the pictures. Nothing is decoded whose
header states more pixels than allowed, and no format is opened that would start another program.
"""

import base64
import hashlib
import io
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.config import normal_form
from toolkit.data.sources.folders import files
from toolkit.errors import ConfigError, DataError

SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm",
    ".pbm", ".pnm", ".jp2", ".j2k", ".avif", ".ico", ".tga", ".pcx",
)  # fmt: skip
TYPE = pa.struct(
    [
        ("bytes", pa.large_binary()),
        ("path", pa.string()),
        ("digest", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
    ]
)

THUMBNAIL = "data:image/png;base64,"  # begins every address that `thumbnail` makes

_FORMATS = (
    "JPEG", "PNG", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF", "TGA", "PCX",
)  # fmt: skip
_ICON = b"\0\0\1\0"
_bounding = threading.Lock()  # Pillow's own limit is global
_DRAFT = (256, 256)  # a JPEG is decoded at its smallest scale that is no smaller
_CHUNK = 1024  # pictures in memory at a time
_GROUP = 64  # pictures that a thread takes at a time
_GROUP_PIXELS = 4_000_000  # and how many pixels they may have together, where all are decoded at once

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


class UnreadableError(Exception):
    """A picture that cannot be decoded; its message continues a sentence after the picture's name."""


@dataclass(frozen=True)
class InspectedImage:
    """Properties of a picture that was decoded once.

    Attributes:
        digest: Of its pixels: equal for the same picture in two files.
        width: In pixels, after rotation.
        height: In pixels.
        problem: Why it cannot be decoded; None for a good one.
    """

    digest: str | None = None
    width: int | None = None
    height: int | None = None
    problem: str | None = None


def is_type(kind: pa.DataType) -> bool:
    """Whether a column of this type holds inspected pictures."""
    return bool(kind.equals(TYPE))


def threads() -> int:
    """Return how many pictures to decode at once."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(16, count)


# --- one picture ----------------------------------------------------------------------------------------------------


def decode(picture: Mapping[str, Any], most_pixels: int) -> Any:
    """Return a picture as an RGB image of Pillow: rotated by its EXIF data, on white where it is transparent.

    Of several frames the first is taken; more than 8 bits a channel are scaled to 8.

    Args:
        picture: With "bytes" or "path".
        most_pixels: A picture whose header states more is not decoded.

    Raises:
        UnreadableError: It cannot be decoded.
    """
    with opened(picture, most_pixels) as image:
        return as_seen(image)


@contextmanager
def opened(picture: Mapping[str, Any], most_pixels: int) -> Iterator[Any]:
    """Open a picture; every failure of opening or decoding raises the same type of error."""
    image_module = pillow()
    data, path = picture.get("bytes"), picture.get("path")
    if data is None and path is None:
        raise UnreadableError("is missing")
    if data is not None and len(data) == 0:
        raise UnreadableError("is empty (0 bytes)")
    try:
        if data is None and Path(str(path)).stat().st_size == 0:
            raise UnreadableError("is empty (0 bytes)")
        file: Any = nullcontext(io.BytesIO(data)) if data is not None else Path(str(path)).open("rb")  # noqa: SIM115
        with file as stream, _identified(image_module, stream, most_pixels) as image:
            width, height = image.size
            if width * height > most_pixels:
                raise UnreadableError(f"has {width:,} × {height:,} pixels, more than data.max_pixels ({most_pixels:,})")
            yield image
    except UnreadableError:
        raise
    except image_module.DecompressionBombError as error:
        count = int(next(iter(re.findall(r"\d+", str(error))), 0))
        raise UnreadableError(f"has {count:,} pixels, more than data.max_pixels ({most_pixels:,})") from None
    except FileNotFoundError:
        raise UnreadableError("does not exist") from None
    except PermissionError:
        raise UnreadableError("may not be read") from None
    except image_module.UnidentifiedImageError:
        raise UnreadableError("is not a picture, or its format is not supported") from None
    except MemoryError:
        raise UnreadableError("does not fit into memory") from None
    except Exception as error:  # decoders raise whatever they meet: OSError, SyntaxError, struct.error, …
        raise UnreadableError(f"is damaged or truncated ({' '.join(str(error).split())[:120]})") from None


def _identified(image_module: Any, stream: Any, most_pixels: int) -> Any:
    """Open a picture of any format that is read; an icon, which is decoded as it is opened, with a bound."""
    icon = stream.read(len(_ICON)) == _ICON
    stream.seek(0)
    if not icon:
        return image_module.open(stream, formats=[name for name in _FORMATS if name in image_module.OPEN])
    with _bounding:
        warnings.simplefilter("ignore", image_module.DecompressionBombWarning)  # half of the limit does not warn
        image_module.MAX_IMAGE_PIXELS = most_pixels // 2  # more than twice the limit is refused
        try:
            return image_module.open(stream, formats=["ICO"])
        finally:
            image_module.MAX_IMAGE_PIXELS = None


def pillow() -> Any:
    """Return Pillow's Image module.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        raise ConfigError(
            "Pictures need Pillow.", "pip install 'finetune-toolkit[image]'", id="machine.package-missing"
        ) from None
    Image.init()
    Image.MAX_IMAGE_PIXELS = None  # `data.max_pixels` is checked before decoding
    return Image


def as_seen(image: Any) -> Any:
    """Bring an opened image of Pillow to RGB as a viewer shows it."""
    from PIL import Image, ImageOps

    image.load()
    with suppress(Exception):  # damaged EXIF data do not make a picture unreadable
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(_to_bytes(np.asarray(image)))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        seen = image.convert("RGBA")
        white = Image.new("RGBA", seen.size, "white")
        return Image.alpha_composite(white, seen).convert("RGB")
    return image.convert("RGB")


def _to_bytes(values: np.ndarray[Any, Any]) -> Pixels:
    """Scale grey values of more than 8 bits: integers from 16 bits, floats from 0 to 1 or else from their own range."""
    if np.issubdtype(values.dtype, np.floating):
        values = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
        low, high = min(0.0, float(values.min())), max(1.0, float(values.max()))
        if low < 0 or high > 1:
            low, high = float(values.min()), float(values.max())
        scaled = (values - low) * (255 / max(high - low, 1e-12))
    else:
        scaled = np.clip(values, 0, 65535) / 257
    return np.rint(scaled).astype(np.uint8)


def inspect(picture: Mapping[str, Any], most_pixels: int) -> InspectedImage:
    """Decode a picture once, to validate it and record its properties."""
    try:
        with opened(picture, most_pixels) as image:
            width, height = image.size
            image.draft("RGB", _DRAFT)  # only JPEGs support it, and are still read to their end
            seen = as_seen(image)
    except UnreadableError as error:
        return InspectedImage(problem=str(error))
    if (seen.width < seen.height) != (width < height):
        width, height = height, width  # it was rotated
    digest = hashlib.blake2b(f"{width} {height}".encode(), digest_size=16)
    digest.update(seen.tobytes())
    return InspectedImage(digest.hexdigest(), width, height)


# --- columns of pictures --------------------------------------------------------------------------------------------


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the decoders' warnings about odd files; also for the threads that are started within."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def in_groups(
    rows: Sequence[Any], work: Callable[[Sequence[Any]], Sequence[Any]], sizes: Sequence[int] | None = None
) -> list[Any]:
    """Return the results of `work` for rows, in their order; several groups at a time, since decoders release the
    interpreter lock.

    Args:
        rows: Pictures.
        work: Some rows → something for each of them.
        sizes: Pixels of each picture, where all of a group are in memory at once.
    """
    cuts, filled = [0], 0
    for place, pixels in enumerate(sizes if sizes is not None else [0] * len(rows)):
        if place - cuts[-1] == _GROUP or (filled and filled + pixels > _GROUP_PIXELS):
            cuts.append(place)
            filled = 0
        filled += pixels
    groups = [rows[start:end] for start, end in pairwise([*cuts, len(rows)])]
    with quiet(), ThreadPoolExecutor(threads()) as pool:
        return list(chain.from_iterable(pool.map(work, groups)))


def column(values: pa.ChunkedArray, places: Sequence[str], root: Path | None) -> pa.ChunkedArray:
    """Bring a column of pictures into one form; nothing is opened yet.

    Digests and sizes in the file are ignored, since they are not trusted.

    Args:
        values: Structures with "bytes" and "path" as `datasets` writes them, bytes, or names of files.
        places: The file of each row, relative to `root`.
        root: Folder of the data, or the one file of it; None where there is none, as on the Hub.

    Raises:
        DataError: The column holds something else.
    """
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    values = values.cast(kind) if kind is not values.type else values
    if pa.types.is_struct(kind) and {"bytes", "path"} & {field.name for field in kind}:
        names = {field.name for field in kind}
        chunks = [
            _array(
                chunk.field("bytes") if "bytes" in names else pa.nulls(len(chunk)),
                chunk.field("path") if "path" in names else pa.nulls(len(chunk)),
            )
            for chunk in values.chunks
        ]
        return pa.chunked_array(chunks, TYPE)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.chunked_array([_array(chunk, pa.nulls(len(chunk))) for chunk in values.chunks], TYPE)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        finder = _Finder(root)
        paths = [finder.path(name, place) for name, place in zip(values.to_pylist(), places, strict=True)]
        return pa.chunked_array([_array(pa.nulls(len(paths)), pa.array(paths, pa.string()))], TYPE)
    raise DataError(
        f"The picture column holds values of the type {kind}.",
        "It must hold file names, or the bytes of picture files.",
        id="data.wrong-kind",
    )


def _array(data: pa.Array, paths: pa.Array, seen: Sequence[InspectedImage] | None = None) -> pa.Array:
    images = seen if seen is not None else [InspectedImage()] * len(data)
    arrays = [
        data.cast(pa.large_binary()),
        paths.cast(pa.string()),
        pa.array([image.digest for image in images], pa.string()),
        pa.array([image.width for image in images], pa.int32()),
        pa.array([image.height for image in images], pa.int32()),
    ]
    return pa.StructArray.from_arrays(arrays, fields=list(TYPE))


class _Finder:
    """Finds the file that a row names: next to its table, below it, or by the name without extension."""

    def __init__(self, root: Path | None) -> None:
        self.root = root
        self.known: dict[str, str] | None = None

    def path(self, name: str | None, place: str) -> str | None:
        if not name or not name.strip():
            return None
        name = name.strip()
        folder = self._folder(place)
        direct = Path(name) if folder is None else folder / name
        try:
            if direct.is_file():
                return str(direct)
        except (OSError, ValueError):  # too long, or with a zero byte
            return name
        if folder is None:
            return name
        if self.known is None:
            self.known = _index(folder if self.root is None or self.root.is_file() else self.root)
        return self.known.get(_key(name.replace("\\", "/").removeprefix("./")), str(direct))

    def _folder(self, place: str) -> Path | None:
        if self.root is None:
            return None
        return self.root.parent if self.root.is_file() else (self.root / place).parent if place else self.root


def _key(name: str) -> str:
    """Return a key that all names of one file share, on any system."""
    return normal_form.normal(name).lower()


def _index(folder: Path) -> dict[str, str]:
    """Return the pictures below a folder by name, with and without the extension and the parent folders.

    Names of more than one file are left out.
    """
    paths_by_name: dict[str, list[str]] = {}
    for file in files(folder):
        if file.suffix.lower() in SUFFIXES:
            parts = [_key(part) for part in file.relative_to(folder).parts]
            for start in range(len(parts)):
                whole = "/".join(parts[start:])
                for name in {whole, whole.removesuffix(file.suffix.lower())}:
                    paths_by_name.setdefault(name, []).append(str(file))
    return {name: files[0] for name, files in paths_by_name.items() if len(files) == 1}


def inspected(values: pa.ChunkedArray, most_pixels: int) -> tuple[pa.ChunkedArray, list[str | None]]:
    """Inspect every picture of a column, a few at a time; return the column with its properties, and each problem."""
    chunks: list[pa.Array] = []
    problems: list[str | None] = []
    for start in range(0, len(values), _CHUNK):
        part = values.slice(start, _CHUNK).combine_chunks()
        rows = part.to_pylist()
        seen = in_groups(rows, lambda group: [inspect(row or {}, most_pixels) for row in group])
        problems += [image.problem for image in seen]
        chunks.append(_array(part.field("bytes"), part.field("path"), seen))
    return pa.chunked_array(chunks, TYPE), problems


def name(picture: Mapping[str, Any]) -> str:
    """Return the name of a picture in messages: its file's name, else its size."""
    if picture.get("path"):
        return Path(picture["path"]).name
    return f"{picture.get('width')} × {picture.get('height')} pixels"


def embedded(rows: pa.Table) -> pa.Table:
    """Return rows that hold the bytes of their pictures themselves, so that they can be moved to another machine."""
    for number, field in enumerate(rows.schema):
        if is_type(field.type):
            chunks = [_embedded(rows[field.name].slice(at, _CHUNK)) for at in range(0, rows.num_rows, _CHUNK)]
            rows = rows.set_column(number, field.name, pa.chunked_array(chunks, TYPE))
    return rows


def _embedded(values: pa.ChunkedArray) -> pa.Array:
    pictures = values.to_pylist()
    data = [
        picture["bytes"] if picture["bytes"] is not None else Path(picture["path"]).read_bytes() for picture in pictures
    ]
    paths = [Path(picture["path"]).name if picture["path"] else None for picture in pictures]
    seen = [InspectedImage(picture["digest"], picture["width"], picture["height"]) for picture in pictures]
    return _array(pa.array(data, pa.large_binary()), pa.array(paths, pa.string()), seen)


def slim(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of pictures without their bytes and the folders of this machine."""
    pictures = values.to_pylist()
    paths = [Path(picture["path"]).name if picture and picture["path"] else None for picture in pictures]
    seen = [InspectedImage(picture["digest"], picture["width"], picture["height"]) for picture in pictures]
    return pa.chunked_array([_array(pa.nulls(len(paths)), pa.array(paths, pa.string()), seen)], TYPE)


def thumbnail(picture: Mapping[str, Any], side: int = 96) -> str | None:
    """Return a small copy of a picture as a data address for a page; None where it can no longer be read."""
    try:
        image = decode(picture, sys.maxsize)
    except UnreadableError:
        return None
    if max(image.size) > side:
        image.thumbnail((side, side))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return f"{THUMBNAIL}{base64.b64encode(stream.getvalue()).decode()}"
