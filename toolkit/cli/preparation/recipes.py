"""`toolkit recipes list | show | copy`."""

import shlex
import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli import completion, options
from toolkit.cli.console import say, say_document, table
from toolkit.cli.own_options import WithOwnOptions
from toolkit.errors import RecipeError

if TYPE_CHECKING:
    from toolkit.model_names import Alias

_INDENT = "    "

app = typer.Typer(
    help="List recipes and presets, show resolved values, copy a recipe to edit.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_() -> None:
    """List the recipes and presets that come with the toolkit, and the short names of models."""
    from toolkit.api.documents.preparation import NamedModel, NamedPreset, NamedRecipe, RecipeList
    from toolkit.model_names import ALIASES
    from toolkit.tasks import catalogue

    say_document(
        lambda: RecipeList(
            [NamedRecipe(name, catalogue.summary(path)) for name, path in catalogue.available().items()],
            [NamedPreset(name, _first_line(path)) for name, path in catalogue.presets().items()],
            [NamedModel(name, alias.hub or None, alias.packaged) for name, alias in ALIASES.items()],
        )
    )
    say("Recipes (toolkit finetune NAME):")
    say(table([(f"  {name}", catalogue.summary(path)) for name, path in catalogue.available().items()]))
    say("\nPresets (--preset NAME); the first line of each is the command that runs it:")
    say(table([(f"  {name}", _first_line(path)) for name, path in catalogue.presets().items()]))
    say("\nModels (--model NAME); any Hub id, folder or pkg://package/path works as well:")
    say(table([(f"  {name}", _where(alias)) for name, alias in ALIASES.items()]))


def _where(alias: "Alias") -> str:
    if alias.form is not None:
        return "random weights, with --from-scratch"
    return alias.hub + (f"  or {alias.packaged}" if alias.packaged else "")


def _first_line(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("#").strip()


@app.command(cls=WithOwnOptions)
def show(
    recipe: Annotated[str, typer.Argument(help="Name or path of a recipe.", autocompletion=completion.recipes)],
    preset: options.Preset = None,
    config: options.ConfigFile = None,
    assignments: options.Assignments = None,
    data: options.Data = None,
    model: options.Model = None,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    target: options.Target = None,
) -> None:
    """Show every value that a run would use, its origin, and its meaning."""
    given = dict(locals())
    from toolkit.api.call import words
    from toolkit.api.documents.preparation import ResolvedValue, ShownRecipe
    from toolkit.commands.finetune.defaults import KEYS
    from toolkit.commands.finetune.prepare import configure
    from toolkit.commands.finetune.preview import preview
    from toolkit.config import describe, leaves

    loaded, resolved = configure(recipe, words.layers(words.flags(given), preset, config, assignments))
    resolved = preview(loaded, resolved, read_data=data is not None)
    meanings = dict(describe())
    own = loaded.options
    if own is not None:
        meanings |= {f"options.{name}": field.description or "" for name, field in own.model_fields.items()}
    values = []
    for path, value in leaves(resolved.config.model_dump()):
        key = ".".join(path)
        meaning = meanings.get(key) or next((text for name, text in meanings.items() if key.startswith(f"{name}.")), "")
        origin = resolved.origin(key)
        if origin == "default" and key in KEYS:
            value, origin = None, "from the training rows, see --data"
        if origin == "default" and key == "training.learning_rate":
            origin = "the model decides"
        values.append(ResolvedValue(key, value, origin, meaning))
    width = shutil.get_terminal_size().columns
    say_document(lambda: ShownRecipe(recipe, values))
    for row in values:
        say(_entry(f"{row.key:<36}  {_shown(row.value)}", f"({row.origin})", width))
        say(textwrap.fill(row.meaning, width, initial_indent=_INDENT, subsequent_indent=_INDENT))


def _entry(start: str, origin: str, width: int) -> str:
    """Place the origin after key and value, or on the next line where this one is full."""
    fits = len(start) + 2 + len(origin) <= width
    return f"{start}  {origin}" if fits else f"{start}\n{_INDENT}{origin}"


def _shown(value: object) -> str:
    return "-" if value is None or value in ("", {}) else str(value)


@app.command()
def copy(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe.", autocompletion=completion.recipes)],
    destination: Annotated[Path, typer.Argument(help="File to write.")] = Path("my_recipe.py"),
) -> None:
    """Copy a recipe to a file of your own, to edit and run by its path."""
    from toolkit.api.documents.preparation import CopiedRecipe
    from toolkit.tasks import catalogue

    source = catalogue.find(recipe)
    if destination.is_dir():
        destination = destination / source.name
    if destination.exists():
        raise RecipeError(f"{destination} already exists.", "Give another file name.", id="output.exists")
    try:
        destination.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    except OSError as error:
        raise RecipeError(
            f"{destination} cannot be written: {error.strerror}.", "Give another file name.", id="output.not-writable"
        ) from None
    shown = destination if destination.is_absolute() else f"./{destination}"
    again = shlex.join(["toolkit", "finetune", str(shown)])
    say_document(lambda: CopiedRecipe(str(destination), again))
    say(f"Edit {destination}, then run: {again}")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Of the recipe: small letters, digits and dashes.")],
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="Folder to create; the name when not given.")
    ] = None,
) -> None:
    """Write a recipe to start from, with a test, as a package that can be installed."""
    from toolkit.api.documents.preparation import NewRecipe
    from toolkit.commands.new_recipe import write

    made = write(name, folder if folder is not None else Path(name))
    shown = made.folder if made.folder.is_absolute() else f"./{made.folder}"
    commands = NewRecipe(
        *(str(made.folder), str(made.recipe), shlex.join(["python", "-m", "pytest", str(made.folder)])),
        run=shlex.join(["toolkit", "finetune", str(made.recipe), "--data", "FILE"]),
        install=shlex.join(["pip", "install", str(shown)]),
    )
    say_document(lambda: commands)
    say(f"Recipe   {commands.recipe}")
    say(f"Test     {commands.test}")
    say(f"Run      {commands.run}")
    say(f"Install  {commands.install}; then: toolkit finetune {name} --data FILE")
