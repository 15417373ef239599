"""The extras of the package."""

import re
import tomllib
from pathlib import Path

import yaml

import toolkit

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


def test_conda_recipe_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "conda-forge.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    recipe = yaml.safe_load(block)
    assert recipe["context"]["version"] == toolkit.__version__
    needed = {f"python {project['project']['requires-python']}"}
    for requirement in project["project"]["dependencies"]:
        name, bound = re.fullmatch(r"([\w-]+)(.*)", requirement).groups()
        needed.add(f"{'pytorch' if name == 'torch' else name} {bound}")
    assert set(recipe["requirements"]["run"]) == needed
    assert {"hatchling >=1.27"} <= set(recipe["requirements"]["host"])
    (entry,) = (f"{name} = {place}" for name, place in project["project"]["scripts"].items())
    assert recipe["build"]["python"]["entry_points"] == [entry]


def test_source_archive_holds_what_its_tests_read() -> None:
    archive = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert {"toolkit", "recipes", "tests", "benchmarks", "docs", "mkdocs.yml"} <= set(archive["sdist"]["include"])
