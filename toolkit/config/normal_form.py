"""One written form for each label and name, in tables, names of folders, settings and models."""

import re
import unicodedata

_WHOLE = re.compile(r"([-+]?\d+)\.0+")


def normal(text: str) -> str:
    """Return a text in Unicode's NFC: é is one character in some files, and e with an accent behind it in others."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def label(value: object) -> str:
    """Return a label's written form: True and "False" → "true" and "false", 4.0 and "4.0" → "4", in NFC."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = normal(str(value).strip())
    if whole := _WHOLE.fullmatch(text):
        return whole[1]
    return text.lower() if text.lower() in ("true", "false") else text
