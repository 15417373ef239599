"""The command line: a file a command, and the only place that prints or exits.

Nothing heavy is imported here, so that `toolkit --help` starts quickly.
"""

import os
import sys
from typing import Annotated

import typer

from toolkit import __version__, environment
from toolkit.cli.analysis import attend, compare, evaluate, explain, runs, select, watch
from toolkit.cli.console import INTERRUPTED, output_mode, report_failure, say_failure
from toolkit.cli.conventions import rewritten
from toolkit.cli.deployment import dossier, export, launch, predict, prune_heads, push, serve
from toolkit.cli.options import before_arguments, named_command, of_command
from toolkit.cli.own_options import Program, WithOwnOptions
from toolkit.cli.preparation import doctor, inspect, recipes, schema
from toolkit.cli.streams import OutputLost, prepare_streams
from toolkit.cli.training import distill, finetune, lr_find, plan, pretrain, repair, tune
from toolkit.distributed.membership import EndedElsewhere
from toolkit.errors import CallError

_HELP = {"--help", "-h", "--version"}  # what they print is for people

app = typer.Typer(
    name="toolkit",
    cls=Program,
    help="Fine-tune pretrained transformers, and evaluate them with a statistical report.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
app.command("finetune", epilog=finetune.EPILOG, cls=WithOwnOptions)(finetune.finetune)
app.command("plan", cls=WithOwnOptions)(plan.plan)
app.command("lr-find", cls=WithOwnOptions)(lr_find.lr_find)
app.command("tune", cls=WithOwnOptions)(tune.tune)
app.command("evaluate", cls=WithOwnOptions)(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("distill", cls=WithOwnOptions)(distill.distill)
app.command("repair")(repair.repair)
app.command("watch", cls=WithOwnOptions)(watch.watch)
app.command("explain")(explain.explain)
app.command("select", cls=WithOwnOptions)(select.select)
app.command("attend")(attend.attend)
app.command("pretrain")(pretrain.pretrain)
app.command("predict", cls=WithOwnOptions)(predict.predict)
app.command("prune-heads")(prune_heads.prune_heads)
app.command("export")(export.export)
app.command("push")(push.push)
app.command("dossier")(dossier.dossier)
app.command("launch", context_settings=launch.SETTINGS)(launch.launch)
app.command("serve")(serve.serve)
app.command("app")(serve.app)
app.command("inspect", cls=WithOwnOptions)(inspect.inspect)
app.add_typer(recipes.app, name="recipes")
app.add_typer(runs.app, name="runs")
app.command("doctor")(doctor.doctor)
app.command("schema")(schema.schema)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"finetune-toolkit {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the full traceback of a failure.")] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON document on standard output, all else on standard error."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but results and failures.")] = False,
) -> None:
    """Fine-tune pretrained transformers, and evaluate them with a statistical report.

    --debug, --json and --quiet work after any command.
    """


def main() -> None:
    """Run the command line; every failure ends with one message and a documented exit code."""
    prepare_streams()
    environment.use_writable_caches(os.environ)
    environment.wait_briefly(os.environ)
    environment.send_no_telemetry(os.environ)
    sys.exit(_run(sys.argv[1:]))


def _run(arguments: list[str]) -> int:
    """Run one command, report how it failed if it did, and return its exit code."""
    given = before_arguments(arguments)
    as_json = "--json" in given and _HELP.isdisjoint(given)
    named = named_command(of_command(arguments), lambda: typer.main.get_command(app)) if as_json else None
    with output_mode(quiet="--quiet" in given, as_json=as_json, command=named):
        try:
            arguments = rewritten(arguments, lambda: typer.main.get_command(app))
            sys.argv[1:] = arguments  # so that reports, and processes that are started, have the options' own names
            code = _call(of_command(arguments))
            sys.stdout.flush()
            return code
        except EndedElsewhere as end:
            return end.code
        except (Exception, KeyboardInterrupt) as error:
            if "--debug" in given and not isinstance(error, OutputLost):
                raise
            return report_failure(error)


def _asks_for_command(error: BaseException | None) -> bool:
    """Whether a command line ends before the command, for which Typer prints the help."""
    return type(error).__name__ == "NoArgsIsHelpError"


def _call(arguments: list[str]) -> int:
    """Let Typer run a command; return the exit code that it ends the process with."""
    try:
        app(arguments, prog_name=app.info.name)
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # of a connection; Typer assumes standard output
            raise end.__context__ from None
        if end.code == INTERRUPTED:  # Typer turns Ctrl-C into this without a message
            return report_failure(KeyboardInterrupt())
        wrong = getattr(end.__context__, "format_message", None)  # of an exception that Typer has printed as text
        if wrong is not None:
            problem = "No command is given." if _asks_for_command(end.__context__) else wrong()
            context = getattr(end.__context__, "ctx", None)  # of the command that was typed
            path = context.command_path if context is not None else "toolkit COMMAND"
            fix = f"`{path} --help` lists the arguments and options."
            say_failure(CallError(problem, fix, id="config.command-line"))
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
