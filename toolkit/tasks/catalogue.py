"""Find recipes and presets by file name, and read their descriptions without running them.

A recipe is one Python file. `toolkit finetune NAME` looks for `recipes/NAME.py`, and for an entry point of an installed
package; there is no list to update. The current directory is never scanned for code: a user's own file is named by its
path.
"""

import ast
import difflib
import importlib.metadata
import importlib.util
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from toolkit.errors import RecipeError

# What tasks are called elsewhere, as on the Hub → recipe.
ALIASES = {
    **dict.fromkeys(("classification", "text-classification", "topics", "topic", "intent", "intents", "spam"), "text"),
    **dict.fromkeys(("multi-label", "multilabel", "regression", "text-regression", "sentence-similarity"), "text"),
    **dict.fromkeys(("nli", "natural-language-inference", "paraphrase", "pairs", "rerank", "text-ranking"), "text"),
    **dict.fromkeys(("sentiment-analysis", "sentiments", "polarity"), "sentiment"),
    **dict.fromkeys(("ner", "token-classification", "named-entities", "pos", "entities"), "tokens"),
    **dict.fromkeys(("vision", "images", "image-classification", "image-regression"), "image"),
    **dict.fromkeys(("translate", "mt", "text2text-generation", "machine-translation"), "translation"),
    **dict.fromkeys(("audio", "audio-classification", "keyword-spotting"), "speech"),
    **dict.fromkeys(("asr", "automatic-speech-recognition", "speech-to-text"), "transcribe"),
    **dict.fromkeys(("recommendation", "recommender", "next-item"), "recommend"),
}

GROUP = "finetune_toolkit.recipes"  # entry points of packages: NAME = "package.module"

_NAMED: set[Path] = set()  # recipe files that the user named in this process
_USER_CODE: set[str] = set()  # files of recipes and parts that the user named in this process


def option_names(path: Path) -> list[str]:
    """Return the recipe's own keys, read without running it: the fields of its `Options`."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, OSError, UnicodeDecodeError):
        return []
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Options"]
    fields = [part.target for node in classes for part in node.body if isinstance(part, ast.AnnAssign)]
    return [field.id for field in fields if isinstance(field, ast.Name) and field.id != "model_config"]


def folder() -> Path:
    """Return the folder of the recipes that come with the toolkit: the wheel's, else the checkout's."""
    here = Path(__file__).resolve().parents[1]
    packaged = here / "_recipes"
    if packaged.is_dir():
        return packaged
    checkout = here.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / "recipes").is_dir():
        return checkout / "recipes"
    raise RecipeError(
        f"There are no recipes next to {here}.",
        "The installation is broken; install finetune-toolkit again.",
        id="recipe.none-installed",
    )


def available() -> dict[str, Path]:
    """Return the recipes of installed packages and those that come with the toolkit, which no other replaces."""
    own = {path.stem: path for path in sorted(folder().glob("*.py")) if not path.stem.startswith("_")}
    return own | {name: path for name, path in _of_packages().items() if name not in own}


@cache
def _of_packages() -> dict[str, Path]:
    """Return the recipes that installed packages name as entry points of `GROUP`: name → file; nothing is run."""
    found = {}
    for point in sorted(importlib.metadata.entry_points(group=GROUP)):
        inside = Path(*point.value.split(".")).with_suffix(".py")
        file = Path(str(point.dist.locate_file(inside))) if point.dist is not None else inside
        if not file.is_file():  # of an editable installation
            with suppress(ImportError, ValueError):
                origin = getattr(importlib.util.find_spec(point.value), "origin", None)
                file = Path(origin) if origin else file
        if file.is_file():
            found[point.name] = file.resolve()
    return found


def presets() -> dict[str, Path]:
    """Return the presets that come with the toolkit: name → file."""
    return {path.stem: path for path in sorted((folder() / "presets").glob("*.yaml"))}


def canonical(name: str) -> str:
    """Return the recipe that a name means: an alias's, where no recipe has the name itself; else the name."""
    meant = ALIASES.get(name.lower().replace("_", "-"))
    if meant is None:
        return name
    known = available()
    return meant if name not in known and meant in known else name


def find(name: str) -> Path:
    """Return the file of the recipe `name`: a name from `available`, or a path ending in `.py`."""
    if name.endswith(".py"):
        path = Path(name)
        if path.is_file():
            return path.resolve()
        raise RecipeError(
            f"There is no recipe file {name}.",
            "Check the path; `toolkit recipes list` lists the known ones.",
            id="recipe.file-missing",
        )
    return _lookup(canonical(name), available(), "recipe")


def remember(name: str) -> None:
    """Remember a recipe file that the user named, for later calls in this process."""
    if name.endswith(".py"):
        _NAMED.add(Path(name).resolve())


def remember_code(file: Path) -> None:
    """Remember a file whose code the user wrote, so that errors in it are told from those of the toolkit."""
    _USER_CODE.add(str(file.resolve()))


def line_in_user_code(error: BaseException) -> tuple[str, int, str] | None:
    """Return file, line and function of the user's code in which an exception was raised, or that led to it."""
    frames = traceback.extract_tb(error.__traceback__)
    found = next((frame for frame in reversed(frames) if frame.filename in _USER_CODE), None)
    return None if found is None else (found.filename, found.lineno or 0, found.name)


def remembered(name: str, copies: Sequence[Path]) -> Path | None:
    """Return the file that the user named in this process and that a model was trained with; None where none is known.

    Args:
        name: The recipe's file, as it is stored with the model.
        copies: Files beside the model that claim to be the same; they are compared, and never run.
    """
    files = sorted(path for path in _NAMED if path.is_file())
    if not copies:
        return next((path for path in files if path == Path(name).resolve()), None)
    contents = {copy.read_bytes() for copy in copies}
    return next((path for path in files if path.read_bytes() in contents), None)


def find_preset(name: str) -> Path:
    """Return the file of the preset `name`."""
    return _lookup(name, presets(), "preset")


def _lookup(name: str, known: Mapping[str, Path], kind: str) -> Path:
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, list(known), n=1)
    guess = f" Did you mean `{near[0]}`?" if near else ""
    raise RecipeError(
        f"There is no {kind} `{name}`.{guess}",
        f"Known {kind}s: {', '.join(known) or 'none'}. `toolkit recipes list` lists them with their descriptions.",
        id="recipe.unknown-name",
    )


def summary(path: Path) -> str:
    """Return the first line of a recipe's docstring, read without running it."""
    try:
        return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
    except SyntaxError as error:
        return f"(broken: line {error.lineno} is not Python)"
