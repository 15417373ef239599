"""Read what one check of the doctor found."""

from collections.abc import Callable, Iterable

from toolkit.doctor import Check


def one(check: Callable[[], Iterable[Check]]) -> Check:
    """Return the only finding of a check; it has a fix just when it is not ok."""
    result = list(check())
    assert len(result) == 1
    assert (result[0].fix is None) == (result[0].verdict == "ok")
    return result[0]
