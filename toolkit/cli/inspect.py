"""`toolkit inspect`."""


def inspect() -> None:
    """Look at a table."""
