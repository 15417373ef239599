"""Sentences that all forms of the technical documentation share."""

NOT_ADVICE = (
    "This document follows the structure of Annex IV of Regulation (EU) 2024/1689; it is not legal advice, and it does "
    "not state that the system meets any requirement."
)
SOURCES = (
    "Each row of a table ends with its source: a file of the run directory, and the key in it as jq and yq read it."
)


def blank_note(key: str) -> str:
    """Return the mark of a blank entry."""
    return f"Left to you (key `{key}`):"
