"""The extras of the package."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
OWN = {"dev", "docs", "all"}  # not for users, or the sum of the others


def test_all_holds_every_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    named = re.fullmatch(r"finetune-toolkit\[([a-z,-]+)\]", everything)
    assert named is not None
    assert set(named[1].split(",")) == extras.keys() - OWN


def test_every_requirement_has_a_lower_bound() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    assert [r for r in listed if not re.search(r">=|==|^finetune-toolkit\[", r)] == []
