"""`toolkit push`."""

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli import options
from toolkit.cli.console import Watcher, note, say, table

if TYPE_CHECKING:
    from toolkit.commands import verbs
    from toolkit.hub.upload import Destination, Pushed


def push(
    target: Annotated[str, typer.Argument(metavar="RUN", help="Run directory.")],
    name: Annotated[str, typer.Argument(metavar="ORG/NAME", help="Repository on the Hub; made if it is new.")],
    recipe: options.RecipeOfModel = None,
    public: Annotated[
        bool, typer.Option("--public/--private", help="Whether everybody may read it; private when not given.")
    ] = False,
    pull_request: Annotated[bool, typer.Option("--pr", help="Propose the change in a pull request.")] = False,
    revision: Annotated[str | None, typer.Option("--revision", help="Branch; main when not given.")] = None,
    tag: Annotated[str | None, typer.Option("--tag", help="Name for the commit, such as v1.0.")] = None,
    licence: Annotated[
        str | None,
        typer.Option("--license", help="The Hub's name of a licence; the fine-tuned model's own when not given."),
    ] = None,
    examples: Annotated[
        bool, typer.Option("--examples/--no-examples", help="Whether the report may quote texts of the data.")
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, list the files, send nothing.")] = False,
) -> None:
    """Put a run on the Hugging Face Hub: weights, processor, report, and a model card written from the report."""
    from toolkit.commands import verbs
    from toolkit.hub import upload

    destination = upload.Destination(name, public, revision, pull_request, tag)
    with Watcher() as watch:
        parcel = verbs.pack(target, destination, licence, watch, recipe_name=recipe, examples=examples, dry=dry_run)
        if dry_run:
            sizes = [(path, f"{verbs.size_of(content):,} bytes") for path, content in parcel.files.items()]
            say(table(sizes))
            say(f"Nothing was pushed: this was a dry run. {_plan(parcel)}")
            return
        pushed = verbs.push(parcel, watch)
    _conclude(destination, pushed)


def _plan(parcel: "verbs.Parcel") -> str:
    destination = parcel.destination
    known = "exists" if parcel.exists else f"would be made, {'public' if destination.public else 'private'}"
    if parcel.exists is None:
        known = "was not looked for"
    return f"{len(parcel.files)} files, {parcel.size / 1e6:,.1f} MB; {destination.name} {known}."


def push_now(target: str, recipe: str, destination: "Destination", watch: Watcher) -> None:
    """Push a run that was just made with a recipe; when that fails, say how it is done later."""
    from toolkit.commands import verbs
    from toolkit.errors import RunError, ToolkitError

    try:
        pushed = verbs.push(verbs.pack(target, destination, None, watch, recipe_name=recipe), watch)
    except ToolkitError as error:
        later = shlex.join(["toolkit", "push", target, destination.name, *options.own_recipe(recipe)])
        raise RunError(
            f"The run is whole, but it was not pushed. {error.problem}",
            f"{error.fix} Then: {later}",
            id=error.id,
        ) from error
    _conclude(destination, pushed)


def _conclude(destination: "Destination", pushed: "Pushed") -> None:
    named = destination.name if pushed.revision == "main" else f"{destination.name}@{pushed.revision}"
    if not pushed.changed:
        note(f"{named} holds exactly this already: no commit was made.")
    done = "proposed" if destination.pull_request else "pushed"
    say(table([(done if pushed.changed else "there", pushed.url), ("use", f"toolkit evaluate {named} --data FILE")]))
