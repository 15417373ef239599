"""Sheets of pictures of each class."""

import numpy as np
from PIL import Image

from toolkit.report.pages import contact_sheet


def test_names_stand_in_their_own_letters() -> None:
    def drawn(name: str) -> bytes:
        raw, seen = [Image.new("RGB", (8, 8))], np.zeros((1, 8, 8, 3), np.uint8)
        result: bytes = contact_sheet.draw([(name, raw, seen)]).tobytes()
        return result

    assert len({drawn(name) for name in ("röse", "rose", "rése", "rыse")}) == 4
