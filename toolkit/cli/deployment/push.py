"""`toolkit push`."""

from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli import completion, options
from toolkit.cli.console import Watcher, note, say, say_document, table

if TYPE_CHECKING:
    from toolkit.api.deployment.push import Pushed
    from toolkit.commands.publish.push import UploadPlan


def push(
    run: Annotated[str, completion.run_argument("RUN", "Run directory.")],
    name: Annotated[
        str, typer.Argument(metavar="ORG/NAME", help="Repository on the Hub; created if it does not exist.")
    ],
    recipe: options.RecipeOfModel = None,
    public: Annotated[
        bool, typer.Option("--public/--private", help="Whether the repository is public; private when not given.")
    ] = False,
    pr: Annotated[bool, typer.Option("--pr", help="Create a pull request instead of a commit.")] = False,
    revision: Annotated[str | None, typer.Option("--revision", help="Branch; main when not given.")] = None,
    tag: Annotated[str | None, typer.Option("--tag", help="Name for the commit, such as v1.0.")] = None,
    license: Annotated[
        str | None,
        typer.Option("--license", help="The Hub's name of a licence; that of the base model when not given."),
    ] = None,
    language: Annotated[
        list[str] | None,
        typer.Option("--language", help="Code of a language of the data, such as en; may be repeated."),
    ] = None,
    adapter: Annotated[
        bool, typer.Option("--adapter", help="Push the adapter alone, without the weights of its base model.")
    ] = False,
    examples: Annotated[
        bool, typer.Option("--examples/--no-examples", help="Whether report and card include examples of the data.")
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and list the files, without a push.")
    ] = False,
) -> None:
    """Push a run to the Hugging Face Hub: weights, processor, report, and a model card generated from the report."""
    given = dict(locals())
    from toolkit.api.deployment import push as api
    from toolkit.api.documents.deployment import PushedRun

    with Watcher() as watch:
        pushed = api.push(**given, progress=options.caller(watch))
    say_document(lambda: PushedRun.of(pushed))
    if dry_run:
        say(table([(path, f"{size:,} bytes") for path, size in pushed.files.items()]))
        say(f"Dry run: nothing was pushed. {_plan(pushed.plan)}")
        return
    say_pushed(pushed)


def _plan(plan: "UploadPlan") -> str:
    destination = plan.destination
    known = "exists" if plan.exists else f"would be created, {'public' if destination.public else 'private'}"
    if plan.exists is None:
        known = "was not checked"
    return f"{len(plan.files)} files, {plan.size / 1e6:,.1f} MB; {destination.name} {known}."


def say_pushed(pushed: "Pushed") -> None:
    """Print the address of a run on the Hub, and how to use it."""
    destination, outcome = pushed.plan.destination, pushed.outcome
    if outcome is None:
        return
    named = destination.name if outcome.revision == "main" else f"{destination.name}@{outcome.revision}"
    if not outcome.changed:
        note(f"{named} already has these files: no commit was made.")
    done = "proposed" if destination.pull_request else "pushed"
    say(table([(done if outcome.changed else "there", outcome.url), ("use", f"toolkit evaluate {named} --data FILE")]))
