"""Fonts of the PDF: DejaVu Sans, which matplotlib brings, and fonts of the user for further scripts.

Characters that no font has, and scripts whose letters must be joined or turned around, which ReportLab does not do, are
written as their code points. They are counted, so that none is lost in silence.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from toolkit.errors import ConfigError

_DEJAVU = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")
# Scripts of which letters change their form or place: Indic, Thai, Lao, Tibetan, Myanmar, Khmer, Mongolian.
_JOINED = ((0x0900, 0x109F), (0x1780, 0x18AF), (0x1A20, 0x1AAF), (0xA840, 0xA8FF))
_TO_THE_LEFT = ("R", "AL", "RLE", "RLO", "RLI", "AN")


class Fonts:
    """The fonts of a document.

    Args:
        files: TrueType fonts of the user, searched after DejaVu Sans in this order.

    Attributes:
        regular: Name of the usual font.
        bold: Name of the font of headings.
        undrawn: Characters that were written as code points.
    """

    regular = "toolkit-regular"
    bold = "toolkit-bold"

    def __init__(self, files: Sequence[Path] = ()) -> None:
        usual = [_register(name, file) for name, file in zip((self.regular, self.bold), _dejavu(), strict=True)]
        further = [(f"toolkit-further-{n}", _register(f"toolkit-further-{n}", file)) for n, file in enumerate(files)]
        self._fonts = {False: [(None, usual[0]), *further], True: [(None, usual[1]), *further]}
        self.undrawn: set[str] = set()

    def runs(self, text: str, *, bold: bool) -> Iterator[tuple[str | None, str]]:
        """Split a text by the fonts that draw it: the name of a font, None for the usual one, and the text."""
        text = unicodedata.normalize("NFC", text)
        for (drawn, font), part in groupby(text, lambda character: self._font(character, bold)):
            characters = "".join(part)
            if drawn:
                yield font, characters
                continue
            self.undrawn.update(characters)
            yield None, f"[{' '.join(f'U+{ord(character):04X}' for character in characters)}]"

    def _font(self, character: str, bold: bool) -> tuple[bool, str | None]:
        """Return whether a font draws a character, and the name of it, None for the usual one."""
        code = ord(character)
        turned = unicodedata.bidirectional(character) in _TO_THE_LEFT or any(a <= code <= b for a, b in _JOINED)
        if turned or unicodedata.category(character).startswith("C"):
            return False, None
        return next(((True, name) for name, glyphs in self._fonts[bold] if code in glyphs), (False, None))

    @property
    def note(self) -> str:
        """A sentence on the characters that could not be drawn."""
        count = len(self.undrawn)
        return (
            f"{count} {'character is' if count == 1 else 'different characters are'} written as code points, such as "
            f"[U+{ord(min(self.undrawn)):04X}], since no font at hand draws them; dossier.md has them as they are."
        )


def _dejavu() -> list[Path]:
    import importlib.util

    found = importlib.util.find_spec("matplotlib")
    home = Path((found.submodule_search_locations or [""])[0]) if found is not None else Path()
    return [home / "mpl-data" / "fonts" / "ttf" / name for name in _DEJAVU]


def _register(name: str, file: Path) -> Any:
    """Let ReportLab know a font; return the code points that it has.

    Raises:
        ConfigError: It is no TrueType font that can be embedded.
    """
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFError, TTFont

    try:
        font = TTFont(name, str(file))
    except (TTFError, OSError) as error:
        raise ConfigError(
            f"The font {file} cannot be embedded: {str(error).rstrip('.')}.",
            "Give a TrueType font (.ttf) with outlines of its own; fonts in OpenType's CFF form (.otf) do not work.",
            id="dossier.font-unusable",
        ) from None
    pdfmetrics.registerFont(font)
    return font.face.charToGlyph
