"""Lists in one cell of a table, and several labels in one cell.

A list is written ['O', 'B-PER'] by pandas, ['O' 'B-PER'] by NumPy and ["O", "B-PER"] by JSON. Several labels of one
row are separated by a sign: sport;cars.
"""

import re
from collections import defaultdict
from collections.abc import Collection

SEPARATORS = ";|,"
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_BARE = re.compile(r"""[^\s,'"\[\]]+""")
_BETWEEN = re.compile(r"\s*,?\s*")
_ARRAY = re.compile(r"array\(\s*(\[.*\])\s*(?:,\s*dtype=[^()]*)?\)", re.DOTALL)
_OPENING = re.compile(r"""(?:array\(\s*)?\[\s*['"]""")
_ESCAPED = re.compile(r"\\(u[0-9a-fA-F]{4}|U000[0-9a-fA-F]{5}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_SIGNS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


class BrokenListError(ValueError):
    """A cell that begins like a list of quoted items and is not a complete one.

    Attributes:
        row: Number of the row in its column, from 0.
    """

    def __init__(self, text: str, row: int = 0) -> None:
        shown = text if len(text) <= 60 else f"{text[:40]} … {text[-20:]}"
        super().__init__(f"`{shown}` begins like a list, but is truncated or malformed")
        self.row = row


def items(text: str, *, bare: bool = False) -> list[str] | None:
    """Return the items of a list that is written into a cell; None where the cell holds no such list.

    Args:
        text: The cell.
        bare: Whether items without quotes make a list, too: numbers of labels.

    Raises:
        BrokenListError: It begins like a list of quoted items and is not a complete one.
    """
    text = text.strip()
    array = _ARRAY.fullmatch(text)
    inner = array[1] if array else text
    scanned = _scanned(inner[1:-1]) if len(inner) > 1 and inner[0] == "[" and inner[-1] == "]" else None
    if scanned is not None and (bare or all(quoted for _, quoted in scanned)):
        return [item for item, _ in scanned]
    if _OPENING.match(text):
        raise BrokenListError(text)
    return None


def _scanned(inner: str) -> list[tuple[str, bool]] | None:
    """Return the items between the brackets, and whether each is quoted; None where there is other text."""
    scanned: list[tuple[str, bool]] = []
    at = len(inner) - len(inner.lstrip())
    while at < len(inner):
        match = _QUOTED.match(inner, at) or _BARE.match(inner, at)
        if match is None or match[0] == "...":  # NumPy leaves out the middle of long arrays
            return None
        quoted = match[0][0] in "'\""
        scanned.append((_unescaped(match[0][1:-1]) if quoted else match[0], quoted))
        at = match.end()
        between = _BETWEEN.match(inner, at)
        at = between.end() if between else at
    return scanned


def _unescaped(written: str) -> str:
    def sign(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code[1:], 16)) if len(code) > 1 else _SIGNS.get(code, code)

    if "\\" not in written:
        return written
    # JSON writes a character beyond 16 bits as two surrogates
    return _ESCAPED.sub(sign, written).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def separator(labels: Collection[str]) -> str | None:
    """Return the separator of several labels of one row; None where each row has one.

    Most of the pieces must occur in more than one label, and some of them in more than one position: "sport;cars" and
    "cars" are made of labels, but neither "Arts, Culture" nor "large, new" and "large, old" are.

    Args:
        labels: The different labels as they are written.
    """
    for sign in SEPARATORS:
        parted = [[piece.strip() for piece in label.split(sign)] for label in labels]
        if not any(len(pieces) > 1 for pieces in parted):
            continue
        places: dict[str, list[int]] = defaultdict(list)
        for pieces in parted:
            for place, piece in enumerate(pieces):
                places[piece].append(place)
        joined = {piece for pieces in parted if len(pieces) > 1 for piece in pieces if piece}
        repeated = [piece for piece in joined if len(places[piece]) > 1]
        if 2 * len(repeated) > len(joined) and any(len(set(places[piece])) > 1 for piece in repeated):
            return sign
    return None
