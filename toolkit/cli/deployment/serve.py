"""`toolkit serve` and `toolkit app`."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from toolkit.cli import completion, options
from toolkit.cli.console import Watcher, note, say, say_document

Target = Annotated[
    str,
    completion.model_argument("MODEL", "Run directory, folder or Hub id."),
]
Host = Annotated[str, typer.Option("--host", help="Address to listen on; 0.0.0.0 accepts requests from the network.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 selects a free one.")]


def serve(
    target: Target,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    recipe: options.RecipeOfModel = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="Time limit of a request in seconds.")] = 30,
    max_inputs: Annotated[
        int, typer.Option("--max-inputs", min=1, help="Maximum number of inputs of a request.")
    ] = 256,
    max_megabytes: Annotated[
        float, typer.Option("--max-megabytes", min=0.01, help="Maximum size of a request in megabytes.")
    ] = 20,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Maximum number of inputs of a batch.")] = 64,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", help="Host name that requests may use; repeatable; * for any."),
    ] = None,
    max_length: options.MaxLength = None,
    config: options.ConfigFile = None,
    assignments: options.Assignments = None,
    trust_remote_code: options.TrustRemoteCode = False,
) -> None:
    """Serve a model over HTTP: POST /predict, POST /explain, GET /health, GET /openapi.json.

    Requests that arrive together share a batch. The service listens on this machine only, unless --host is given. It
    has no authentication: put it behind a proxy before others can reach it.
    """
    from toolkit.api.call import words
    from toolkit.serve.limits import Limits

    limits = Limits(seconds=seconds, inputs=max_inputs, body_bytes=int(max_megabytes * 1e6), batch=batch)
    flags = {"data.max_length": max_length, "loading.trust_remote_code": trust_remote_code or None}
    values = words.merged(flags, assignments, config)
    _run(target, host, port, recipe, values, limits, allow_host or [], None)


def app(
    target: Target,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    recipe: options.RecipeOfModel = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
    config: options.ConfigFile = None,
    assignments: options.Assignments = None,
    trust_remote_code: options.TrustRemoteCode = False,
) -> None:
    """Serve a page to enter a text or a picture, which shows the prediction and its explanation."""
    import webbrowser

    from toolkit.api.call import words
    from toolkit.serve.limits import Limits

    values = words.merged({"loading.trust_remote_code": trust_remote_code or None}, assignments, config)
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
    """Load the model and serve requests; with a page where `visit` is given to open it."""
    from toolkit.serve.run import check_installed, listen, serve

    check_installed()
    with listen(host, port) as opened, Watcher() as watch:
        from toolkit.api.documents.deployment import Page, Service
        from toolkit.report.pages.service import page
        from toolkit.serve.app import LOOPBACK, create_app
        from toolkit.serve.service import load

        service = load(target, values, recipe, watch)
        local = host in LOOPBACK
        if not local:
            note(f"  note: anyone who can reach {host} can send requests; there is no authentication.")
        hosts = [*LOOPBACK, host, *allowed] if local or allowed else ["*"]
        shown = None if visit is None else page(service.describe(), service.inputs, limits.characters)
        named = f"[{host}]" if ":" in host else host
        address = f"http://{named}:{opened.getsockname()[1]}/"

        def started() -> None:
            document = Service if visit is None else Page
            say_document(lambda: document.of(address, service.describe()))
            say(f"{address} is ready; press Ctrl-C to stop.")
            if visit is not None:
                visit(address)

        serve(create_app(service, limits, hosts, shown), opened, limits, started)
