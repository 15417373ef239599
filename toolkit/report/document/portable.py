"""A run's facts without private names: no absolute path, and thus no name of a user or a folder.

Single examples of the data can be removed as well.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

# A path from the root or from home, of two parts or more, where a word could begin: not a web address, not and/or.
_ABSOLUTE = re.compile(r"""(?:(?<=[\s'"=(:,\[{])|^)(?:~[\w.-]*/|/(?=[^\s/'"]+/)|[A-Za-z]:\\)[^\s'",)\]}]*""")


def portable(value: Any, roots: Sequence[str] = ()) -> Any:
    """Return a value in which every absolute path is its last part.

    Args:
        value: Dictionaries, lists, texts and numbers, as JSON holds them.
        roots: Folders of this machine, without a slash at the end; they are removed everywhere.
    """
    if isinstance(value, Mapping):
        return {str(portable(key, roots)): portable(item, roots) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [portable(item, roots) for item in value]
    return _text(value, roots) if isinstance(value, str) else value


def _text(text: str, roots: Sequence[str]) -> str:
    for root in sorted((root for root in roots if len(root) > 1), key=len, reverse=True):
        text = text.replace(f"{root}/", "./")  # without the dot `models/bert` could be read as a Hub id
    return _ABSOLUTE.sub(lambda match: re.split(r"[/\\]", match[0].rstrip("/\\"))[-1], text)


_EXAMPLES = ("errors", "examples", "pairs", "drawn")  # lists of the report's evaluation that quote the data


def without_examples(value: Any) -> Any:
    """Return a report's evaluation without quotes of the data."""
    if isinstance(value, Mapping):
        return {
            key: [] if key in _EXAMPLES and isinstance(item, list) else without_examples(item)
            for key, item in value.items()
        }
    return [without_examples(item) for item in value] if isinstance(value, list) else value


def quoted(value: Any) -> bool:
    """Whether a report's evaluation quotes the data."""
    return bool(value != without_examples(value))
