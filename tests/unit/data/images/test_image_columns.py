"""Pictures are decoded as a viewer shows them, and failures are reported."""

import base64
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.support.errors import refused
from tests.support.pictures import encoded, folder, hostile, picture, png_that_claims
from toolkit.data.images import image_columns
from toolkit.errors import DataError

MOST = 1_000_000


def seen(data: bytes) -> np.ndarray:
    return np.asarray(image_columns.decode({"bytes": data}, MOST))


def flat(mode: str, color) -> Image.Image:
    return Image.new(mode, (6, 4), color)


@pytest.mark.parametrize(
    ("image", "kind", "expected"),
    [
        (flat("RGB", (200, 100, 50)), "PNG", (200, 100, 50)),
        (flat("L", 77), "PNG", (77, 77, 77)),
        (flat("1", 1), "PNG", (255, 255, 255)),
        (flat("LA", (77, 255)), "PNG", (77, 77, 77)),
        (flat("RGBA", (200, 100, 50, 0)), "PNG", (255, 255, 255)),
        (flat("RGBA", (200, 100, 50, 255)), "PNG", (200, 100, 50)),
        (flat("P", 3), "GIF", None),
        (flat("CMYK", (0, 255, 255, 0)), "TIFF", (255, 0, 0)),
        (Image.fromarray(np.full((4, 6), 65535, np.uint16)), "PNG", (255, 255, 255)),
        (Image.fromarray(np.full((4, 6), 257 * 99, np.uint16)), "PNG", (99, 99, 99)),
        (Image.fromarray(np.full((4, 6), 257 * 99, np.uint16)), "TIFF", (99, 99, 99)),
        (Image.fromarray(np.full((4, 6), 1.0, np.float32)), "TIFF", (255, 255, 255)),
    ],
)
def test_every_kind_of_picture_becomes_what_a_viewer_shows(image, kind, expected):
    result = seen(encoded(image, kind))
    assert result.shape == (4, 6, 3)
    assert result.dtype == np.uint8
    if expected is not None:
        assert (result == expected).all()


def test_a_palette_with_a_transparent_colour_lies_on_white():
    image = flat("P", 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    assert (seen(encoded(image, "PNG", transparency=0)) == 255).all()
    assert (seen(encoded(image, "PNG")) == (10, 20, 30)).all()


def test_exif_rotation_is_applied():
    image = flat("RGB", (0, 0, 0))
    image.putpixel((0, 0), (255, 255, 255))
    notes = Image.Exif()
    notes[0x0112] = 6  # to be turned by 90 degrees clockwise
    result = seen(encoded(image, "PNG", exif=notes))
    assert result.shape == (6, 4, 3)
    assert (result[0, -1] == 255).all()
    looked = image_columns.inspect({"bytes": encoded(image, "JPEG", exif=notes)}, MOST)
    assert (looked.width, looked.height) == (4, 6)


def test_of_an_animation_the_first_frame_is_taken():
    first, second = flat("RGB", (255, 0, 0)), flat("RGB", (0, 0, 255))
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        result = seen(encoded(first, kind, save_all=True, append_images=[second])).mean(axis=(0, 1))
        assert result[0] > 200 > 60 > result[2]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"GIF89a", "truncated|not a picture"),
        (b"hello", "not a picture"),
        (encoded(picture(True), "JPEG")[:300], "truncated"),
        (encoded(picture(True), "PNG")[:200], "truncated"),
        (png_that_claims(50_000, 50_000), "50,000 × 50,000 pixels, more than"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
    ],
)
def test_undecodable_pictures_are_reported(data, reason):
    with pytest.raises(image_columns.UnreadableError, match=reason):
        image_columns.decode({"bytes": data}, MOST)
    assert image_columns.inspect({"bytes": data}, MOST).problem


@given(st.binary(max_size=60), st.integers(0, 200), st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"]))
def test_arbitrary_bytes_do_not_crash_inspection(noise, place, kind):
    whole = bytearray(encoded(picture(False, 8), kind))
    whole[place : place + len(noise)] = noise
    with image_columns.quiet():
        result = image_columns.inspect({"bytes": bytes(whole)}, MOST)
    assert (result.problem is None) == (result.digest is not None)


def test_digest_covers_pixels():
    image = picture(True)
    png, again = ({"bytes": encoded(image, "PNG", compress_level=level)} for level in (1, 9))
    assert image_columns.inspect(png, MOST) == image_columns.inspect(again, MOST)
    other = image.copy()
    other.putpixel((3, 3), (0, 0, 0))
    assert (
        image_columns.inspect({"bytes": encoded(other, "PNG")}, MOST).digest != image_columns.inspect(png, MOST).digest
    )
    turned = image.transpose(Image.Transpose.ROTATE_90).resize((8, 32))
    flipped = Image.frombytes("RGB", (32, 8), turned.tobytes())  # the same pixels in another form
    first, two = (image_columns.inspect({"bytes": encoded(im, "PNG")}, MOST).digest for im in (turned, flipped))
    assert first != two


def test_names_of_files_are_found_beside_and_below_the_table(tmp_path: Path):
    folder(tmp_path / "pictures", 2)
    names = ["pictures/dark/000.png", "light/001.png", "001", None, " ", "http://x/y.png", "nothing.png", "x\0y"]
    table = pa.chunked_array([pa.array(names)])
    (tmp_path / "pictures" / "dark" / "001.png").rename(tmp_path / "pictures" / "dark" / "alone.png")
    result = image_columns.column(table, ["table.csv"] * len(names), tmp_path).to_pylist()
    paths = [row["path"] for row in result]
    assert paths[0] == str(tmp_path / "pictures/dark/000.png")
    assert paths[1] == paths[2] == str(tmp_path / "pictures/light/001.png")
    assert paths[3] is paths[4] is None
    _, problems = image_columns.inspected(image_columns.column(table, ["table.csv"] * len(names), tmp_path), MOST)
    assert problems[:3] == [None, None, None]
    assert problems[3] == problems[4] == "is missing"
    assert problems[6] == "does not exist"
    assert all(problems[3:])


def test_columns_of_bytes_and_of_the_datasets_library_are_pictures():
    data = encoded(picture(True), "PNG")
    plain = image_columns.column(pa.chunked_array([pa.array([data, None])]), ["", ""], None)
    theirs = image_columns.column(pa.chunked_array([pa.array([{"bytes": data, "path": "a.png"}])]), [""], None)
    assert plain.type == theirs.type == image_columns.TYPE
    looked, problems = image_columns.inspected(plain, MOST)
    assert problems == [None, "is missing"]
    assert looked[0].as_py()["width"] == 16
    with refused(DataError, "data.wrong-kind", "int64"):
        image_columns.column(pa.chunked_array([pa.array([1])]), [""], None)


def test_rows_that_are_kept_hold_the_bytes_and_no_folder(tmp_path: Path):
    file = folder(tmp_path, 1) / "dark" / "000.png"
    looked, _ = image_columns.inspected(
        image_columns.column(pa.chunked_array([pa.array([str(file)])]), [""], None), MOST
    )
    rows = pa.table({"image": looked, "label": [0]})
    kept = image_columns.embedded(rows)["image"][0].as_py()
    assert kept["bytes"] == file.read_bytes()
    assert kept["path"] == "000.png"
    assert kept["digest"] == looked[0].as_py()["digest"]
    slim = image_columns.slim(looked)[0].as_py()
    assert (slim["bytes"], slim["path"]) == (None, "000.png")
    file.unlink()
    assert image_columns.inspected(image_columns.embedded(rows.slice(0, 0))["image"], MOST)[1] == []
    again, problems = image_columns.inspected(pa.chunked_array([pa.array([kept], image_columns.TYPE)]), MOST)
    assert problems == [None]
    assert np.asarray(image_columns.decode(again[0].as_py(), MOST)).shape == (16, 16, 3)


def test_a_thumbnail_is_a_small_copy_for_a_page():
    address = image_columns.thumbnail({"bytes": encoded(picture(True, 300), "PNG")})
    assert address.startswith(image_columns.THUMBNAIL)
    copy = image_columns.decode({"bytes": base64.b64decode(address.removeprefix(image_columns.THUMBNAIL))}, MOST)
    assert copy.size == (96, 96)
    assert image_columns.thumbnail({"bytes": b"not a picture"}) is None


def test_hostile_files_are_all_accounted_for(tmp_path: Path):
    good, bad = hostile(tmp_path, 300)
    files = sorted(tmp_path.iterdir())
    raw = image_columns.column(pa.chunked_array([pa.array([str(f) for f in files])]), [""] * len(files), None)
    looked, problems = image_columns.inspected(raw, MOST)
    assert len(looked) == len(problems) == 300
    assert sum(problem is None for problem in problems) == good
    assert sum(problem is not None for problem in problems) == bad
    for row, problem in zip(looked.to_pylist(), problems, strict=True):
        if problem is None:
            assert image_columns.decode(row, MOST).size == (row["width"], row["height"])


def test_names_of_files_meet_in_either_normal_form(tmp_path: Path):
    folder(tmp_path / "pictures", 1)
    (tmp_path / "pictures" / "dark" / "000.png").rename(tmp_path / "pictures" / "dark" / "cafe\u0301.png")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "caf\u00e9.png").touch()
    (tmp_path / "pictures" / "._caf\u00e9.png").touch()
    for name in ("pictures/dark/caf\u00e9.png", "Caf\u00e9.png", "caf\u00e9"):
        (result,) = image_columns.column(pa.chunked_array([pa.array([name])]), ["table.csv"], tmp_path).to_pylist()
        assert result["path"] == str(tmp_path / "pictures/dark/cafe\u0301.png")
