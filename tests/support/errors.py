"""Checks of an error: its class, its identifier, and the facts that its message must contain."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from toolkit.errors import ToolkitError


@contextmanager
def refused(kind: type[ToolkitError], identifier: str, *facts: str) -> Iterator[pytest.ExceptionInfo[ToolkitError]]:
    """Check that the block raises an error of this class and identifier, with every fact in its problem or fix."""
    with pytest.raises(kind) as caught:
        yield caught
    check(caught.value, identifier, *facts)


def check(error: ToolkitError, identifier: str, *facts: str) -> None:
    """Check an error that was caught."""
    assert error.id == identifier, f"{error.id}: {error}"
    assert error.fix, "the error has no fix"
    assert not [fact for fact in facts if fact not in str(error)], str(error)
