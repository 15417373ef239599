"""Numbers in sentences about data."""


def rows(count: int) -> tuple[str, str]:
    """Return how many rows, and the verb that goes with them: ("1 row", "was"), ("2,000 rows", "were")."""
    return ("1 row", "was") if count == 1 else (f"{count:,} rows", "were")
