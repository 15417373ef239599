"""`toolkit serve` and `toolkit app`."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from toolkit.cli import options
from toolkit.cli.console import Watcher, note, say

Target = Annotated[str, typer.Argument(metavar="MODEL", help="Run directory, folder or Hub id.")]
Host = Annotated[str, typer.Option("--host", help="Address to listen on; 0.0.0.0 lets the network ask.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes one that is free.")]


def serve(
    target: Target,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    recipe: options.RecipeOfModel = None,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, help="Seconds after which a request is given up.")
    ] = 30,
    max_inputs: Annotated[int, typer.Option("--max-inputs", min=1, help="Inputs in one request.")] = 256,
    max_megabytes: Annotated[float, typer.Option("--max-megabytes", min=0.01, help="Size of one request.")] = 20,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Inputs that are answered together.")] = 64,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", help="Name under which it may be addressed; repeatable; * for any."),
    ] = None,
    max_length: options.MaxLength = None,
    assignments: options.Assignments = None,
    trust_remote_code: options.TrustRemoteCode = False,
) -> None:
    """Answer over HTTP: POST /predict, POST /explain, GET /health, GET /openapi.json.

    Requests that arrive together are answered together. It listens to this machine alone unless --host says otherwise,
    and asks nobody who they are: put something in front of it before others may reach it.
    """
    from toolkit.api import words
    from toolkit.serve.limits import Limits

    limits = Limits(seconds=seconds, inputs=max_inputs, body_bytes=int(max_megabytes * 1e6), batch=batch)
    flags = {"data.max_length": max_length, "loading.trust_remote_code": trust_remote_code or None}
    values = words.merged(flags, assignments)
    _run(target, host, port, recipe, values, limits, allow_host or [], None)


def app(
    target: Target,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    recipe: options.RecipeOfModel = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
    assignments: options.Assignments = None,
    trust_remote_code: options.TrustRemoteCode = False,
) -> None:
    """Show a page on which to type a sentence or drop a picture, with the answer and what it rests on."""
    import webbrowser

    from toolkit.api import words
    from toolkit.serve.limits import Limits

    values = words.merged({"loading.trust_remote_code": trust_remote_code or None}, assignments)
    _run(target, host, port, recipe, values, Limits(), [], webbrowser.open if browser else lambda _address: None)


def _run(
    target: str,
    host: str,
    port: int,
    recipe: str | None,
    values: dict[str, Any],
    limits: Any,
    allowed: list[str],
    visit: Callable[[str], object] | None,
) -> None:
    """Load the model, listen, and answer; with a page where `visit` is there to open it."""
    from toolkit.serve.run import check_installed, listen, serve

    check_installed()
    with listen(host, port) as opened, Watcher() as watch:
        from toolkit.report.pages.service import page
        from toolkit.serve.app import LOOPBACK, create_app
        from toolkit.serve.service import load

        service = load(target, values, recipe, watch)
        local = host in LOOPBACK
        if not local:
            note(f"  note: everyone who reaches {host} may ask; nobody is asked who they are.")
        hosts = [*LOOPBACK, host, *allowed] if local or allowed else ["*"]
        shown = None if visit is None else page(service.describe(), service.inputs, limits.characters)
        named = f"[{host}]" if ":" in host else host
        address = f"http://{named}:{opened.getsockname()[1]}/"

        def started() -> None:
            say(f"{address} answers; Ctrl-C ends it.")
            if visit is not None:
                visit(address)

        serve(create_app(service, limits, hosts, shown), opened, limits, started)
