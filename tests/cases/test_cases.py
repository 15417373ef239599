"""Every case has the right outcome."""

from pathlib import Path

import pytest

from tests.cases.collect import cases


@pytest.mark.parametrize("name", cases())
def test_case(name: str, tmp_path: Path) -> None:
    cases()[name](tmp_path)
