"""Run commands of the toolkit, each in a process of its own, forked from one that has imported what is heavy.

    python forks.py     requests on standard input, a line of JSON each:
                        {"environment": {…}, "cwd": …, "arguments": […], "folder": …, "program": null or …}

A line with the process id answers each. The command is the leader of a process group; it writes to the named pipes out
and err in FOLDER, and when it has ended, a line with its exit code and its processor time is written to `ended` there.
It reads from the named pipe `in`, where there is one. A program is run in the place of the toolkit, in a process that
has imported libraries and nothing of the toolkit.

    this process             has imported what reads nothing of the environment but `cli.EARLY_VARIABLES`
      ├─ a process for each environment       has imported the other libraries, which do, and all of the toolkit
      │    ├─ a command
      …    …

Environments that differ only in variables that no import reads, or in the place of the Hub and its caches, share a
process: it has imported with other places, and each command exchanges them for its own in the modules that kept them.

Run as a file, so that each process has the import path of `python -m toolkit` and imports nothing of the tests.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, NamedTuple, NoReturn, TextIO

KEPT = 4  # processes for environments
EARLY = (
    "joblib",
    "networkx",
    "onnxruntime",
    "onnxscript.rewriter.onnx_fusions",
    "pandas",
    "PIL.Image",
    "pyarrow.parquet",
    "scipy.stats",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "sklearn.metrics.pairwise",
    "sympy.tensor.tensor",
    "torch",
    "torch._dynamo",
    "torch._inductor.fx_passes.joint_graph",
    "torch.export._trace",
    "torch.fx.experimental.validator",
    "torch.onnx",
    "torch.onnx._internal.exporter._compat",
    "torch.onnx._internal.exporter._torchlib.ops",
)
LATE = (
    "accelerate",
    "captum.attr",
    "datasets",
    "evaluate",
    "matplotlib.figure",
    "peft",
    "requests",
    "transformers.activations",
    "transformers.exporters.exporter_onnx",
    "transformers.modeling_utils",
    "transformers.models.bert.modeling_bert",
    "transformers.models.bert.tokenization_bert",
    "transformers.models.distilbert.modeling_distilbert",
    "transformers.pipelines",
)
LIBRARIES = (  # for programs
    "peft",
    "transformers.modeling_utils",
    "transformers.models.bert.modeling_bert",
    "transformers.models.distilbert.modeling_distilbert",
    "transformers.pipelines",
)
LATER = {
    "COLUMNS",
    "PATH",
    "HF_TOKEN",
    *(f"{kind}_PROXY" for kind in ("HTTP", "HTTPS", "ALL", "NO")),
}  # read by no import
PLACES = f"{tempfile.gettempdir()}/nowhere-yet/"
MOVED = {  # the values with which libraries are imported
    "HF_ENDPOINT": "http://127.0.0.1:1/nowhere-yet",
    **{name: f"{PLACES}{name}/end" for name in ("HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "HF_TOKEN_PATH")},
}
KEEPERS = ("accelerate", "datasets", "evaluate", "huggingface_hub", "peft", "toolkit", "transformers")
PROGRAMS = ("toolkit.__main__", "toolkit.exporting.run")  # modules that are run as a file


class Channel(NamedTuple):
    """Where requests come in or go out, and replies the other way."""

    requests: TextIO
    replies: TextIO

    def close(self) -> None:
        """Close both."""
        self.requests.close()
        self.replies.close()


def main() -> None:
    """Hand each request to the process of its environment, until standard input ends."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # as the command line does
    for name in EARLY:
        importlib.import_module(name)
    ours = Channel(os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    gc.freeze()  # so that collections copy no memory
    environments: dict[str, Channel] = {}  # the latest used last
    for line in ours.requests:
        request = json.loads(line)
        variables, plain = shared(request["environment"]), request["program"] is not None
        key = json.dumps([plain, variables], sort_keys=True)
        if key not in environments and len(environments) == KEPT:
            environments.pop(next(iter(environments))).close()
            os.wait()
        channel = environments.pop(key, None) or open_environment(variables, [ours, *environments.values()], plain)
        environments[key] = channel
        channel.requests.write(line)
        channel.requests.flush()
        ours.replies.write(channel.replies.readline())
        ours.replies.flush()
    for channel in environments.values():
        channel.close()
        os.wait()


def shared(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which the libraries are imported for commands in this one."""
    kept = {name: value for name, value in variables.items() if name.upper() not in LATER}
    local = variables.get("HF_ENDPOINT", "").startswith("http://127.0.0.1:")  # libraries keep the host alone, too
    moved = {name: value for name, value in MOVED.items() if name in kept and (local or name != "HF_ENDPOINT")}
    return {**kept, **moved}


def moved_values() -> list[tuple[Any, str, Any]]:
    """Return what keeps a value of `MOVED`, the name of the attribute and the value."""
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in KEEPERS]
    inside = [
        value
        for module in modules
        for value in vars(module).values()
        if type(value).__module__.partition(".")[0] in KEEPERS and hasattr(value, "__dict__")
    ]
    return [
        (keeper, name, value)
        for keeper in (*modules, *inside)
        for name, value in list(vars(keeper).items())
        if isinstance(value, str | PurePath) and any(mark in str(value) for mark in (PLACES, MOVED["HF_ENDPOINT"]))
    ]


def move(values: Iterable[tuple[Any, str, Any]], variables: Mapping[str, str]) -> None:
    """Put the places of this environment where those of `MOVED` are."""
    exchanged = {place: variables[name] for name, place in MOVED.items() if name in variables}
    folders = {
        str(PurePath(place).parent): str(PurePath(to).parent) for place, to in exchanged.items() if PLACES in place
    }
    for keeper, name, value in values:
        text = str(value)
        for place, to in (*exchanged.items(), *folders.items()):
            text = text.replace(place, to)
        setattr(keeper, name, type(value)(text))


def open_environment(variables: Mapping[str, str], others: Iterable[Channel], plain: bool) -> Channel:
    """Fork a process that serves requests of one environment."""
    requests, replies = os.pipe(), os.pipe()
    if os.fork() == 0:
        for channel in others:
            channel.close()
        os.close(requests[1])
        os.close(replies[0])
        theirs = Channel(os.fdopen(requests[0], encoding="utf-8"), os.fdopen(replies[1], "w", encoding="utf-8"))
        serve(variables, theirs, LIBRARIES if plain else None)
    os.close(requests[0])
    os.close(replies[1])
    return Channel(os.fdopen(requests[1], "w", encoding="utf-8"), os.fdopen(replies[0], encoding="utf-8"))


def serve(variables: Mapping[str, str], channel: Channel, libraries: Iterable[str] | None) -> NoReturn:
    """Import the rest and start commands, until there are no more requests."""
    os.environ.clear()
    os.environ.update(variables)
    if libraries is None:
        import_late()
    else:
        for name in libraries:
            importlib.import_module(name)
    places = moved_values()
    gc.freeze()
    assert threading.active_count() == 1  # a fork has no other
    wakes, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # without a handler nothing is written to `waker`
    running: dict[int, int] = {}  # the pipe `ended` by process id
    while True:
        ready, _, _ = select.select([channel.requests, wakes], [], [])
        if wakes in ready:
            os.read(wakes, 4096)
            report_ended(running)
        if channel.requests in ready:
            line = channel.requests.readline()  # one is written at a time, so nothing stays in the buffer
            if not line:
                break
            child, ended = begin(json.loads(line), channel, places)
            running[child] = ended
            print(child, file=channel.replies, flush=True)
    for child in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    os._exit(0)


def report_ended(running: dict[int, int]) -> None:
    """Write how commands ended to those who wait for it."""
    while running:
        child, status, usage = os.wait4(-1, os.WNOHANG)
        if child == 0:
            break
        ended = json.dumps([os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime])
        pipe = running.pop(child)
        with contextlib.suppress(BrokenPipeError):
            os.write(pipe, f"{ended}\n".encode())
        os.close(pipe)


def begin(request: dict[str, Any], channel: Channel, places: Iterable[tuple[Any, str, Any]]) -> tuple[int, int]:
    """Fork a process for a command; return its id and the pipe on which its end is reported."""
    folder = request["folder"]
    out, err, ended = (os.open(f"{folder}/{name}", os.O_WRONLY) for name in ("out", "err", "ended"))
    given = os.open(f"{folder}/in", os.O_RDONLY) if os.path.exists(f"{folder}/in") else None  # noqa: PTH110
    child = os.fork()
    if child == 0:
        channel.close()
        os.close(ended)
        os.dup2(out, 1)
        os.dup2(err, 2)
        if given is not None:
            os.dup2(given, 0)
        os.environ.clear()
        os.environ.update(request["environment"])
        move(places, request["environment"])
        run(request["cwd"], request["arguments"], request["program"])
    os.setpgid(child, child)
    for pipe in (out, err, *([] if given is None else [given])):
        os.close(pipe)
    return child, ended


def import_late() -> None:
    """Import libraries and all of the toolkit, in the state in which the command line would."""
    import toolkit
    from toolkit import environment
    from toolkit.cli.streams import prepare_streams

    prepare_streams()  # before libraries keep a stream for their logs
    environment.use_writable_caches(os.environ)
    environment.wait_briefly(os.environ)
    environment.send_no_telemetry(os.environ)
    own = (module.name for module in pkgutil.walk_packages(toolkit.__path__, "toolkit."))
    for name in (*LATE, *own):
        if name not in PROGRAMS:
            importlib.import_module(name)
    compile_templates()
    sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__


def compile_templates() -> None:
    """Let Jinja compile the templates of all pages and keep them."""
    from toolkit.report.pages.render import environment

    for form, ending in (("html", ".html.j2"), ("markdown", ".md.j2")):
        jinja = environment(form)
        for name in jinja.list_templates(extensions=["j2"]):
            if name.endswith(ending):
                jinja.get_template(name)


def run(cwd: str, arguments: list[str], program: str | None) -> NoReturn:
    """Run one command in this process as `python -m toolkit` does, or as `python -c` a program, which ends it."""
    import numpy

    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    numpy.random.seed()  # each process draws its own; Python's generator knows of forks
    os.chdir(cwd)
    sys.path[0] = os.getcwd()  # noqa: PTH109 - as the interpreter spells it
    sys.argv = ["toolkit" if program is None else "-c", *arguments]
    code = 1
    try:
        if program is None:
            runpy.run_module("toolkit", run_name="__main__", alter_sys=True)
        else:
            exec(program, {"__name__": "__main__"})
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    end_quickly(code)


def end_quickly(code: int) -> NoReturn:
    """End this process as an interpreter does, but for freeing its objects one by one, which takes two seconds."""
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
