"""Find a recipe by file name and load it by path; what a recipe must hold.

A recipe is one Python file. `toolkit finetune NAME` looks for `recipes/NAME.py`; there is no list to
update. The current directory is never scanned for code: a file of one's own is named by its path.
"""

import ast
import difflib
import importlib.util
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

from toolkit.errors import RecipeError

INPUTS = ("text", "words", "image")  # kinds of columns that a model is asked about


@dataclass(frozen=True)
class Column:
    """A column that a recipe reads.

    Attributes:
        role: The name by which the recipe knows it, whatever the table calls it.
        names: Names under which it is looked for in a table, most likely first; case does not matter. A name in braces
            is a key of the recipe's options, whose value stands in its place: "{target}". A dot leads into a column
            of objects: "translation.{target}".
        kind: "text" (a string), "words" (a list of strings, or a string cut at white space), "image" (a picture:
            bytes or the name of a file), "label" (one class for the example), "labels" (one class for each word),
            "target_text" (a text that is to be written), or "phrases" (pieces of a text, for training alone).
        required: Whether a table without it is refused.
    """

    role: str
    names: tuple[str, ...]
    kind: str = "text"
    required: bool = True

    @property
    def is_input(self) -> bool:
        """Whether it is what a model is asked about, not what it is to say."""
        return self.kind in INPUTS


class Recipe(Protocol):
    """What a recipe file holds; see `recipes/sentiment.py` for one to read.

    Beside these a recipe may hold `FALLBACK_DATA` (data settings used when the Hub cannot be reached),
    `LABEL_NAMES` (number of classes → names, for labels that are bare numbers), `OUTSIDE` (name of the class that words
    get which the model does not read), `BASELINES` (name → function), `POLARITY` (name of a class in lower case → how
    positive it is, -1 to 1, for checks of direction and bias) and `Options` (a pydantic model of the recipe's own keys,
    each of which is an option of the command line).

    It may hold these functions, too:
        read(path, data, options, notes) → tables by part, or None: reads files of a format of the task's own; what
            the user should know of them is added to the notes.
        clean(rows, options) → reason → which rows: what is not to be learnt from.
        generate(model, batch, processor, config) → columns: writes the answers to a batch, for a task whose answers
            are not read off one forward pass, by a sequence-to-sequence model; it stands in the place of `predictions`.
        start(rows, folder, config): writes a checkpoint with random weights and a vocabulary learnt from the training
            rows, for `--from-scratch` where no `--model` is named.
        remarks(rows, processor, config) → sentences: what the user should know of the data before training starts.
        label_remarks(labels) → sentences: what is odd about the names of the classes.
        augmentation(processor, labels, config) → a function on batches, or None: changes training batches at random, on
            the device where the model is.
    """

    __file__: str
    __doc__: str

    DEFAULTS: Mapping[str, Any]  # nested configuration values
    COLUMNS: Sequence[Column]
    METRICS: Sequence[Any]  # names of metrics or `toolkit.metrics.Metric`; the first is the headline

    def load_processor(self, path: Path, config: Any) -> Any:
        """Load the tokenizer or image processor that stands in the checkpoint folder `path`."""

    def preprocess(self, rows: Mapping[str, Sequence[Any]], processor: Any, config: Any) -> dict[str, list[Any]]:
        """Turn columns of raw values into columns of model inputs, row by row the same order.

        What `collate` leaves out of a batch no model gets; `predictions` finds it there all the same.
        """

    def build_model(self, path: Path, labels: Sequence[str], config: Any, **arguments: Any) -> Any:
        """Load the checkpoint with the right head for `labels`."""

    def collate(self, features: Sequence[Mapping[str, Any]], processor: Any) -> dict[str, Any]:
        """Stack examples into the tensors of one batch."""

    def predictions(self, outputs: Any, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Turn a batch's outputs into columns, one value an example; "prediction" is what metrics compare.

        The batch holds the tensors that the model got, and lists of what `collate` left out.
        """


def has_classes(recipe: Recipe) -> bool:
    """Whether the task's answers are classes, and not texts or numbers."""
    return any(column.kind in ("label", "labels") for column in recipe.COLUMNS)


def generates(recipe: Recipe) -> bool:
    """Whether the task's answers have to be written, token by token."""
    return hasattr(recipe, "generate")


def columns(recipe: Recipe, options: Mapping[str, Any]) -> list[Column]:
    """Return the recipe's columns; names in braces take the values of its options, or go where these are not set."""
    given = {key: value for key, value in options.items() if isinstance(value, str) and value}
    found = []
    for column in recipe.COLUMNS:
        names = [name.format_map(given) for name in column.names if set(re.findall(r"{(\w+)}", name)) <= given.keys()]
        found.append(replace(column, names=tuple(names)))
    return found


def option_names(path: Path) -> list[str]:
    """Return the recipe's own keys, read without running it: the fields of its `Options`."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, OSError, UnicodeDecodeError):
        return []
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Options"]
    fields = [part.target for node in classes for part in node.body if isinstance(part, ast.AnnAssign)]
    return [field.id for field in fields if isinstance(field, ast.Name) and field.id != "model_config"]


_REQUIRED = ("DEFAULTS", "COLUMNS", "METRICS", "load_processor", "preprocess", "build_model", "collate", "predictions")


def folder() -> Path:
    """Return the folder of the recipes that come with the toolkit: the wheel's, else the checkout's."""
    here = Path(__file__).resolve().parent
    packaged = here / "_recipes"
    if packaged.is_dir():
        return packaged
    checkout = here.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / "recipes").is_dir():
        return checkout / "recipes"
    raise RecipeError(
        f"No recipes stand beside {here}.",
        "The installation is broken; install finetune-toolkit again.",
        id="recipe.none-installed",
    )


def available() -> dict[str, Path]:
    """Return the recipes that come with the toolkit: name → file."""
    return {path.stem: path for path in sorted(folder().glob("*.py")) if not path.stem.startswith("_")}


def presets() -> dict[str, Path]:
    """Return the presets that come with the toolkit: name → file."""
    return {path.stem: path for path in sorted((folder() / "presets").glob("*.yaml"))}


def find(name: str) -> Path:
    """Return the file of the recipe `name`: a name from `available`, or a path ending in `.py`."""
    if name.endswith(".py"):
        path = Path(name)
        if path.is_file():
            return path.resolve()
        raise RecipeError(
            f"There is no recipe file {name}.",
            "Check the path; `toolkit recipes list` names those at hand.",
            id="recipe.file-missing",
        )
    return _lookup(name, available(), "recipe")


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
        f"Known {kind}s: {', '.join(known) or 'none'}. `toolkit recipes list` says more.",
        id="recipe.unknown-name",
    )


def summary(path: Path) -> str:
    """Return the first line of a recipe's docstring, read without running it."""
    try:
        return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
    except SyntaxError as error:
        return f"(broken: line {error.lineno} is not Python)"


def load(name: str) -> Recipe:
    """Import the recipe `name` and check that it holds every part.

    Raises:
        RecipeError: There is no such recipe, it cannot be imported, or a part is missing.
    """
    return _load(find(name))


@cache
def _load(path: Path) -> Recipe:
    specification = importlib.util.spec_from_file_location(f"toolkit_recipe_{path.stem}", path)
    if specification is None or specification.loader is None:
        raise RecipeError(
            f"{path} cannot be imported.",
            "A recipe is a Python file; see `toolkit recipes copy`.",
            id="recipe.cannot-run",
        )
    module: ModuleType = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        del sys.modules[specification.name]
        line = next((f.lineno for f in reversed(_frames(error)) if f.filename == str(path)), None)
        raise RecipeError(
            f"{path}{f', line {line},' if line else ''} cannot be run: {type(error).__name__}: {error}.",
            "Mend the recipe file.",
            id="recipe.cannot-run",
        ) from error
    missing = [part for part in _REQUIRED if not hasattr(module, part)]
    if hasattr(module, "generate") and "predictions" in missing:
        missing.remove("predictions")
    if missing:
        raise RecipeError(
            f"The recipe {path} lacks {', '.join(missing)}.",
            "`toolkit recipes copy sentiment` gives a whole one to start from.",
            id="recipe.incomplete",
        )
    return cast("Recipe", module)


def _frames(error: Exception) -> list[Any]:
    import traceback

    return list(traceback.extract_tb(error.__traceback__))
