"""Folders of small pictures, good, odd and broken."""

import io
import random
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = ("dark", "light")


def picture(light: bool, size: int = 16, seed: int = 0) -> Any:
    """Return a noisy picture that is dark or light."""
    from PIL import Image

    values = np.random.default_rng(seed).integers(0, 120, (size, size, 3)) + 120 * light
    return Image.fromarray(values.astype(np.uint8))


def folder(path: Path, each: int, *, parts: tuple[str, ...] = ("",), size: int = 16) -> Path:
    """Write a folder for each class, with `each` pictures in it."""
    seed = 0
    for part in parts:
        for number, name in enumerate(CLASSES):
            (path / part / name).mkdir(parents=True)
            for index in range(each):
                seed += 1
                picture(bool(number), size, seed).save(path / part / name / f"{index:03}.png")
    return path


def encoded(image: Any, kind: str, **settings: Any) -> bytes:
    """Return a picture as the bytes of a file."""
    stream = io.BytesIO()
    image.save(stream, kind, **settings)
    return stream.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes whose header states a huge size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")


def hostile(path: Path, count: int, seed: int = 0) -> tuple[int, int]:
    """Write files of which some are pictures of odd kinds, and some broken or none; return how many of each."""
    from PIL import Image

    chance = random.Random(seed)
    turned = Image.Exif()
    turned[0x0112] = 8  # the EXIF rotation of an upright camera
    good = bad = 0
    for number in range(count):
        image = picture(bool(number % 2), 24, seed + number)
        whole = encoded(image, "JPEG")
        made: tuple[str, bytes, bool] = chance.choice(
            [
                ("jpg", whole, True),
                ("png", encoded(image.convert("L"), "PNG"), True),
                ("png", encoded(image.convert("P"), "PNG", transparency=0), True),
                ("png", encoded(image.convert("RGBA"), "PNG"), True),
                ("png", encoded(image.convert("1"), "PNG"), True),
                ("png", encoded(Image.fromarray(np.full((9, 7), 40_000 + number, np.uint16)), "PNG"), True),
                ("tif", encoded(image.convert("CMYK"), "TIFF"), True),
                ("tif", encoded(Image.fromarray(np.full((5, 5), number / count, np.float32)), "TIFF"), True),
                ("jpg", encoded(image.convert("CMYK"), "JPEG"), True),
                ("jpg", encoded(image, "JPEG", progressive=True), True),
                ("gif", encoded(image, "GIF", save_all=True, append_images=[image.rotate(90)]), True),
                ("webp", encoded(image, "WEBP"), True),
                ("webp", encoded(image, "WEBP", save_all=True, append_images=[image.rotate(90)]), True),
                ("png", encoded(image, "PNG", save_all=True, append_images=[image.rotate(90)]), True),
                ("jpg", encoded(image.resize((30, 20)), "JPEG", exif=turned), True),
                ("png", encoded(image.convert("LA"), "PNG"), True),
                ("tif", encoded(Image.fromarray(np.full((6, 5), 300 + number, np.uint16)), "TIFF"), True),
                ("bmp", encoded(image, "BMP"), True),
                ("png", whole, True),  # a JPEG by another name
                ("", whole, True),
                ("jpg", encoded(image.resize((300, 2)), "JPEG"), True),
                ("jpg", whole[: len(whole) // chance.choice([2, 3, 10])], False),
                ("png", encoded(image, "PNG")[:-30], False),
                ("jpg", b"", False),
                ("jpg", b"<html>Not found</html>", False),
                ("jpg", bytes(chance.randrange(256) for _ in range(200)), False),
                ("png", png_that_claims(60_000, 60_000), False),
                ("png", png_that_claims(40, 40), False),
                ("txt", b"notes", False),
                ("svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", False),
                ("eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", False),
            ]
        )
        suffix, data, is_good = made
        name = f"{number:04}.{suffix}" if suffix else f"{number:04}"
        (path / name).write_bytes(data)
        good, bad = good + is_good, bad + (not is_good)
    return good, bad
