"""Pictures decoded as the eye sees them, one or many at a time.

Nothing is decoded that says it has more pixels than allowed, and no format is opened that would start another program.
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

from toolkit.errors import ConfigError

SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm",
    ".pbm", ".pnm", ".jp2", ".j2k", ".avif", ".ico", ".tga", ".pcx",
)  # fmt: skip
THUMBNAIL = "data:image/png;base64,"  # begins every address that `thumbnail` makes

_FORMATS = (
    "JPEG", "PNG", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF", "TGA", "PCX",
)  # fmt: skip
_ICON = b"\0\0\1\0"
_bounding = threading.Lock()  # Pillow's own bound is one for the whole process
_DRAFT = (256, 256)  # a JPEG is looked through at the smallest of its scales that is no smaller
_GROUP = 64  # pictures that a thread takes at a time
_GROUP_PIXELS = 4_000_000  # and how many pixels they may have together, where all are decoded at once

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


class UnreadableError(Exception):
    """A picture that cannot be decoded; its text says why, in words that follow the picture's name."""


@dataclass(frozen=True)
class InspectedImage:
    """Properties of a picture that was decoded once.

    Attributes:
        digest: Of its pixels: equal for the same picture in two files.
        width: In pixels, as the eye sees it.
        height: In pixels.
        problem: Why it cannot be decoded; None for a good one.
    """

    digest: str | None = None
    width: int | None = None
    height: int | None = None
    problem: str | None = None


def threads() -> int:
    """Return how many pictures to decode at once."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(16, count)


def decode(picture: Mapping[str, Any], most_pixels: int) -> Any:
    """Return a picture as an RGB image of Pillow: turned as its camera says, on white where it is transparent.

    Of several frames the first is taken; more than 8 bits a channel are scaled to 8.

    Args:
        picture: With "bytes" or "path".
        most_pixels: A picture that says it has more is not decoded.

    Raises:
        UnreadableError: It cannot be decoded.
    """
    with opened(picture, most_pixels) as image:
        return as_seen(image)


@contextmanager
def opened(picture: Mapping[str, Any], most_pixels: int) -> Iterator[Any]:
    """Open a picture, with every way in which that or its decoding fails told in one kind of error."""
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
        warnings.simplefilter("ignore", image_module.DecompressionBombWarning)  # the half of the bound is none
        image_module.MAX_IMAGE_PIXELS = most_pixels // 2  # what has more than twice that is refused
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
    Image.MAX_IMAGE_PIXELS = None  # `data.max_pixels` is asked before anything is decoded
    return Image


def as_seen(image: Any) -> Any:
    """Bring an opened image of Pillow to RGB as a viewer shows it."""
    from PIL import Image, ImageOps

    image.load()
    with suppress(Exception):  # damaged notes of a camera do not make a picture unreadable
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
    """Decode a picture once, to know that it can be and what it is."""
    try:
        with opened(picture, most_pixels) as image:
            width, height = image.size
            image.draft("RGB", _DRAFT)  # JPEGs alone know how, and are read to their end all the same
            seen = as_seen(image)
    except UnreadableError as error:
        return InspectedImage(problem=str(error))
    if (seen.width < seen.height) != (width < height):
        width, height = height, width  # it was turned
    digest = hashlib.blake2b(f"{width} {height}".encode(), digest_size=16)
    digest.update(seen.tobytes())
    return InspectedImage(digest.hexdigest(), width, height)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the decoders' warnings about odd files; also for the threads that are started within."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def in_groups(
    rows: Sequence[Any], work: Callable[[Sequence[Any]], Sequence[Any]], sizes: Sequence[int] | None = None
) -> list[Any]:
    """Return what `work` makes of rows, in their order; several groups at a time, for decoders let others run.

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
