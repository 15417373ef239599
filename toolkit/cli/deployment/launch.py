"""`toolkit launch`."""

from typing import Annotated

import typer

from toolkit.cli import options
from toolkit.cli.console import Watcher, say, say_document, table

SETTINGS = {"allow_interspersed_args": False}  # after the first argument everything belongs to the command


def launch(
    command: Annotated[
        list[str],
        typer.Argument(metavar="COMMAND...", help="Command of the toolkit with its arguments, such as finetune text."),
    ],
    on: Annotated[str, typer.Option("--on", help="slurm, hf-jobs, sky or kubernetes.")],
    nodes: Annotated[int, typer.Option("--nodes", min=1, help="Machines that train together.")] = 1,
    gpus: Annotated[
        int | None, typer.Option("--gpus", min=0, help="GPUs of each machine; 1 when not given, 0 for none.")
    ] = None,
    hours: Annotated[float, typer.Option("--hours", help="Time limit of the job.")] = 4.0,
    hardware: Annotated[
        str | None, typer.Option("--hardware", help="Type of GPU or machine as the engine names it, such as A100.")
    ] = None,
    queue: Annotated[str | None, typer.Option("--queue", help="Partition of SLURM, or queue of Kueue.")] = None,
    image: Annotated[str | None, typer.Option("--image", help="Container image with the toolkit.")] = None,
    setup: Annotated[
        str | None, typer.Option("--setup", metavar="SHELL", help="Shell lines to run before the command.")
    ] = None,
    volume: Annotated[
        str | None,
        typer.Option(
            "--volume", metavar="STORAGE:/FOLDER", help="Bucket or claim, mounted as the job's current folder."
        ),
    ] = None,
    set_engine: Annotated[
        list[str] | None,
        typer.Option("--set-engine", metavar="KEY=VALUE", help="Further value of the engine; repeatable."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the job; toolkit-COMMAND when not given.")] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="File to write; the name of the job when not given.")
    ] = None,
    submit: Annotated[bool, typer.Option("--submit", help="Hand the file over to the engine's program.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and print the file instead.")] = False,
) -> None:
    """Write what SLURM, Hugging Face Jobs, SkyPilot or Kubernetes takes to run a command on other machines.

    The options of launch come before COMMAND; what follows it is checked and belongs to the job.
    """
    given = dict(locals())
    from toolkit.api.deployment import launch as api
    from toolkit.api.documents.deployment import LaunchedJob

    with Watcher() as watch:
        launched = api.launch(**given, progress=options.caller(watch))
    say_document(lambda: LaunchedJob.of(launched))
    if launched.path is None:
        say(launched.content.removesuffix("\n"))
        return
    done = ("submitted", launched.answer or "") if submit else ("submit", launched.submit)
    say(table([("file", str(launched.path)), ("runs", launched.command), done]))
