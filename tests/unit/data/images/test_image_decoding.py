"""Pictures are decoded as the eye sees them, and what cannot be is said."""

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.support.pictures import encoded, picture, png_that_claims
from toolkit.data.images import image_decoding

MOST = 1_000_000


def seen(data: bytes) -> np.ndarray:
    return np.asarray(image_decoding.decode({"bytes": data}, MOST))


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
    found = seen(encoded(image, kind))
    assert found.shape == (4, 6, 3)
    assert found.dtype == np.uint8
    if expected is not None:
        assert (found == expected).all()


def test_a_palette_with_a_transparent_colour_lies_on_white():
    image = flat("P", 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    assert (seen(encoded(image, "PNG", transparency=0)) == 255).all()
    assert (seen(encoded(image, "PNG")) == (10, 20, 30)).all()


def test_a_picture_is_turned_as_its_camera_says():
    image = flat("RGB", (0, 0, 0))
    image.putpixel((0, 0), (255, 255, 255))
    notes = Image.Exif()
    notes[0x0112] = 6  # to be turned by 90 degrees clockwise
    found = seen(encoded(image, "PNG", exif=notes))
    assert found.shape == (6, 4, 3)
    assert (found[0, -1] == 255).all()
    looked = image_decoding.inspect({"bytes": encoded(image, "JPEG", exif=notes)}, MOST)
    assert (looked.width, looked.height) == (4, 6)


def test_of_an_animation_the_first_frame_is_taken():
    first, second = flat("RGB", (255, 0, 0)), flat("RGB", (0, 0, 255))
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        found = seen(encoded(first, kind, save_all=True, append_images=[second])).mean(axis=(0, 1))
        assert found[0] > 200 > 60 > found[2]


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
def test_what_cannot_be_decoded_is_said(data, reason):
    with pytest.raises(image_decoding.UnreadableError, match=reason):
        image_decoding.decode({"bytes": data}, MOST)
    assert image_decoding.inspect({"bytes": data}, MOST).problem


@given(st.binary(max_size=60), st.integers(0, 200), st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"]))
def test_no_bytes_break_the_look(noise, place, kind):
    whole = bytearray(encoded(picture(False, 8), kind))
    whole[place : place + len(noise)] = noise
    with image_decoding.quiet():
        found = image_decoding.inspect({"bytes": bytes(whole)}, MOST)
    assert (found.problem is None) == (found.digest is not None)


def test_the_digest_is_of_what_is_seen():
    image = picture(True)
    png, again = ({"bytes": encoded(image, "PNG", compress_level=level)} for level in (1, 9))
    assert image_decoding.inspect(png, MOST) == image_decoding.inspect(again, MOST)
    other = image.copy()
    other.putpixel((3, 3), (0, 0, 0))
    assert (
        image_decoding.inspect({"bytes": encoded(other, "PNG")}, MOST).digest
        != image_decoding.inspect(png, MOST).digest
    )
    turned = image.transpose(Image.Transpose.ROTATE_90).resize((8, 32))
    flipped = Image.frombytes("RGB", (32, 8), turned.tobytes())  # the same pixels in another form
    one, two = (image_decoding.inspect({"bytes": encoded(im, "PNG")}, MOST).digest for im in (turned, flipped))
    assert one != two


def test_a_thumbnail_is_a_small_copy_for_a_page():
    address = image_decoding.thumbnail({"bytes": encoded(picture(True, 300), "PNG")})
    assert address.startswith(image_decoding.THUMBNAIL)
    copy = image_decoding.decode({"bytes": base64.b64decode(address.removeprefix(image_decoding.THUMBNAIL))}, MOST)
    assert copy.size == (96, 96)
    assert image_decoding.thumbnail({"bytes": b"not a picture"}) is None
