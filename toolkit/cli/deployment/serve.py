"""`toolkit serve` and `toolkit app`."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
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
MaxError = Annotated[
    float | None,
    typer.Option("--max-error", help="Abstain where more than this share of predictions could be wrong, such as 0.05."),
]
Sets = Annotated[
    float | None,
    typer.Option("--sets", help="Add sets of classes that hold the true one for this share of inputs, such as 0.9."),
]


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
    max_error: MaxError = None,
    sets: Sets = None,
    max_length: options.MaxLength = None,
    config: options.ConfigFile = None,
    assignments: options.Assignments = None,
    trust_remote_code: options.TrustRemoteCode = False,
) -> None:
    """Serve a model over HTTP: POST /predict, POST /explain, GET /info, GET /metrics, GET /docs.

    Requests that arrive together share a batch. The service listens on this machine only, unless --host is given. It
    has no authentication: put it behind a proxy before others can reach it.
    """
    from toolkit.api.call import words
    from toolkit.serve.limits import Limits

    limits = Limits(seconds=seconds, inputs=max_inputs, body_bytes=int(max_megabytes * 1e6), batch=batch)
    flags = {"data.max_length": max_length, "loading.trust_remote_code": trust_remote_code or None}
    values = words.merged(flags, assignments, config)
    _run([target], (host, port), recipe, values, limits, _wanted(max_error, sets), allow_host or [], None)


def app(
    target: Target,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    recipe: options.RecipeOfModel = None,
    beside: Annotated[
        str | None, typer.Option("--beside", metavar="MODEL", help="Second model of the same task, to compare.")
    ] = None,
    max_error: MaxError = None,
    sets: Sets = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
    config: options.ConfigFile = None,
    assignments: options.Assignments = None,
    trust_remote_code: options.TrustRemoteCode = False,
) -> None:
    """Serve a page to enter a text, a picture or a file of rows, which shows predictions and their explanation."""
    import webbrowser

    from toolkit.api.call import words
    from toolkit.serve.limits import Limits

    values = words.merged({"loading.trust_remote_code": trust_remote_code or None}, assignments, config)
    visit = webbrowser.open if browser else lambda _address: None
    models = [target] if beside is None else [target, beside]
    _run(models, (host, port), recipe, values, Limits(), _wanted(max_error, sets), [], visit)


def _wanted(max_error: float | None, sets: float | None) -> Any:
    from toolkit.commands.predict.answer_options import AnswerOptions

    return AnswerOptions(all_scores=True, max_error=max_error, sets=sets)


def _run(
    models: list[str],
    place: tuple[str, int],
    recipe: str | None,
    values: dict[str, Any],
    limits: Any,
    wanted: Any,
    allowed: list[str],
    visit: Callable[[str], object] | None,
) -> None:
    """Load the models and serve requests; with a page where `visit` is given to open it."""
    from toolkit.serve.run import check_installed, listen, serve

    check_installed()
    host, port = place
    with listen(host, port) as opened, Watcher() as watch, ExitStack() as ending:
        from toolkit.api.documents.deployment import Page, Service
        from toolkit.report.pages.service import page
        from toolkit.serve.app import LOOPBACK, create_app
        from toolkit.serve.service import check_alike, load

        services = [load(name, values, recipe, watch, wanted) for name in models]
        service, beside = services[0], (services[1] if services[1:] else None)
        for loaded in services:
            ending.callback(loaded.close)
        if beside is not None:
            check_alike(service, beside)
        local = host in LOOPBACK
        if not local:
            note(f"  note: anyone who can reach {host} can send requests; there is no authentication.")
        hosts = [*LOOPBACK, host, *allowed] if local or allowed else ["*"]
        shown = None
        if visit is not None:
            other = None if beside is None else beside.name
            shown = page(asdict(service.describe()), service.inputs, limits, service.example(), other)
        named = f"[{host}]" if ":" in host else host
        address = f"http://{named}:{opened.getsockname()[1]}/"

        def started() -> None:
            document = Service if visit is None else Page
            say_document(lambda: document.of(address, service.describe()))
            say(f"{address} is ready; press Ctrl-C to stop.")
            if visit is not None:
                visit(address)

        serve(create_app(service, limits, hosts, shown, beside), opened, limits, started)
