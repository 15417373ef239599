"""Write the skeleton of a recipe: a package with the recipe, a test, and an entry point."""

import re
from dataclasses import dataclass
from pathlib import Path

from toolkit import runs
from toolkit.errors import ConfigError
from toolkit.tasks import catalogue

SKELETON = "skeleton"  # folder among the recipes
_NAME = re.compile("[a-z][a-z0-9-]*")


@dataclass(frozen=True)
class NewRecipe:
    """What was written.

    Attributes:
        folder: Of the package.
        recipe: The file of the recipe.
    """

    folder: Path
    recipe: Path


def write(name: str, folder: Path) -> NewRecipe:
    """Write a package with a recipe, whole or not at all.

    Args:
        name: Of the recipe, and of the package.
        folder: To create.

    Raises:
        ConfigError: The name cannot be one, is taken, or the folder exists.
    """
    if _NAME.fullmatch(name) is None or name in catalogue.available() or name in catalogue.ALIASES:
        raise ConfigError(
            f"`{name}` cannot be the name of a new recipe.",
            "Give a name of small letters, digits and dashes that no recipe has (`toolkit recipes list`).",
            id="recipe.name",
        )
    if folder.exists():
        raise ConfigError(f"{folder} already exists.", "Give another folder.", id="output.exists")
    module = name.replace("-", "_")
    source = catalogue.folder() / SKELETON
    runs.check_writable(folder.parent)
    with runs.aside(folder) as draft:
        package = draft / module
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("", encoding="utf-8")
        for file in ("recipe.py", "test_recipe.py"):
            (package / file).write_text((source / file).read_text(encoding="utf-8"), encoding="utf-8")
        project = (source / "pyproject.toml").read_text(encoding="utf-8")
        project = project.replace("NAME", name).replace("MODULE", module)
        (draft / "pyproject.toml").write_text(project, encoding="utf-8")
    return NewRecipe(folder, folder / module / "recipe.py")
