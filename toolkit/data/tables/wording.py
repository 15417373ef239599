"""Numbers in sentences about data."""

from collections.abc import Sequence


def rows(count: int) -> tuple[str, str]:
    """Return how many rows, and the verb that goes with them: ("1 row", "was"), ("2,000 rows", "were")."""
    return ("1 row", "was") if count == 1 else (f"{count:,} rows", "were")


def cut(texts: Sequence[int]) -> str:
    """Say which texts of pairs were truncated, as the end of a sentence; nothing for rows of one text.

    Args:
        texts: In how many rows the first text was, and the second.
    """
    return f": the first text in {texts[0]:,}, the second in {texts[1]:,}" if len(texts) == 2 else ""


def bound(longest: int | None) -> str:
    """Say to what values were truncated: a number of tokens, or with None to what the model reads."""
    return "to what the model reads" if longest is None else f"to {longest:,} tokens"
