"""Numbers as people write them: with a decimal point or comma, thousands apart, and signs of all kinds."""

import math
import re
from collections.abc import Iterable, Sequence

from toolkit.errors import DataError

_SIGNS = str.maketrans({"\u2212": "-", "\u2012": "-", "\u2013": "-", "\ufe63": "-", "\uff0b": "+"})
_SPACES = re.compile(r"(?<=\d)[\s\u00a0\u2009\u202f'\u2019](?=\d{3}(?!\d))")  # 1 234, 1'234
_BOTH = {",": re.compile(r"[-+]?\d{1,3}(\.\d{3})+,\d+"), ".": re.compile(r"[-+]?\d{1,3}(,\d{3})+\.\d+")}
_SEVERAL = {",": re.compile(r"[-+]?\d{1,3}(\.\d{3}){2,}"), ".": re.compile(r"[-+]?\d{1,3}(,\d{3}){2,}")}
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+")
_COMMA = re.compile(r"[-+]?\d*,\d+(e[-+]?\d+)?", re.IGNORECASE)


def number(text: str) -> float | None:
    """Return the finite number that a text is, with a decimal point or comma; None where it is none."""
    plain = _plain(text)
    return _parsed(plain, _decimal_sign([plain]))


def numbers(texts: Sequence[str | None], name: str = "") -> list[float | None]:
    """Return the numbers of a column, in which all are written in the same way.

    A value with both signs, such as 1.234,50, says which is the decimal one.

    Args:
        texts: The cells.
        name: Of the column, for messages.

    Raises:
        DataError: The only commas are before three digits, as of thousands or of decimals.
    """
    plain = [None if text is None else _plain(text) for text in texts]
    decimal = _decimal_sign([text for text in plain if text])
    if decimal is None:
        commas = [text for text in plain if text and "," in text]
        if commas and all(_THOUSANDS.fullmatch(text) for text in commas):
            raise DataError(
                f"In the column `{name}`, {commas[0]} may be a number of thousands or one with decimals.",
                f"Write {commas[0].replace(',', '')} or {commas[0].replace(',', '.', 1)} instead.",
                id="label.ambiguous-number",
            )
    return [None if text is None else _parsed(text, decimal) for text in plain]


def _decimal_sign(texts: Iterable[str]) -> str | None:
    """Return the decimal sign that some values show; None where none does, or they contradict each other."""
    shown = {sign for text in texts for sign in ",." if _BOTH[sign].fullmatch(text) or _SEVERAL[sign].fullmatch(text)}
    return shown.pop() if len(shown) == 1 else None


def _plain(text: str) -> str:
    return _SPACES.sub("", text.strip().translate(_SIGNS))


def _parsed(text: str, decimal: str | None) -> float | None:
    if decimal is not None:
        text = text.replace("." if decimal == "," else ",", "").replace(decimal, ".")
    elif _COMMA.fullmatch(text):
        text = text.replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
