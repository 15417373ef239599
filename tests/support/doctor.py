"""Read what one check of the doctor found."""

from collections.abc import Callable, Iterable

from toolkit.doctor import Check


def one(check: Callable[[], Iterable[Check]]) -> Check:
    """Return the only finding of a check; it has a fix just when it is not ok."""
    found = list(check())
    assert len(found) == 1
    assert (found[0].fix is None) == (found[0].verdict == "ok")
    return found[0]
