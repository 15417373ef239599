"""What reading and writing Excel workbooks share: the package, the limits of the format, and escaped characters."""

import re
from typing import Any

from toolkit.errors import ConfigError

MOST_ROWS, MOST_COLUMNS = 1_048_576, 16_384  # of a sheet
MOST_CHARACTERS = 32_767  # of a cell
ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def library() -> Any:
    """Return the package openpyxl.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        import openpyxl
    except ImportError:
        raise ConfigError(
            "Excel workbooks need the package openpyxl.",
            "pip install 'finetune-toolkit[excel]'",
            id="machine.package-missing",
        ) from None
    return openpyxl


def unescaped(text: str) -> str:
    """Return a text with characters that XML cannot contain, which are written as _x000D_."""
    if "_x" not in text:
        return text
    return ESCAPED.sub(lambda match: match[0] if 0xD7FF < (code := int(match[1], 16)) < 0xE000 else chr(code), text)
