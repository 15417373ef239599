"""Console output: failures, notes and progress on standard error, results on standard output."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

import typer

from toolkit.cli.faults import explained
from toolkit.cli.streams import OutputLost, Stream, shown
from toolkit.errors import Interrupted, ToolkitError

if TYPE_CHECKING:
    from toolkit.api.documents.document import Document
    from toolkit.events import Settled

INTERRUPTED = 130  # exit code, as shells expect it
NOT_PASSED = 3  # exit code of a command that ran, whose gate was not passed
_LOG_SECONDS = 10.0
_quiet = False  # of this process: only results and failures are printed
_documents: TextIO | None = None  # standard output, where it holds one JSON document and nothing else
_command: str | None = None  # name of the command that runs


@contextlib.contextmanager
def output_mode(*, quiet: bool, as_json: bool, command: str | None = None) -> Iterator[None]:
    """Set what the process prints while a command runs.

    Args:
        quiet: Print nothing but results and failures.
        as_json: Print one document on standard output; whatever is written there otherwise, by a library too, goes to
            standard error.
        command: Name of the command, for the document of a failure; None where there is none.
    """
    global _quiet, _documents, _command
    _quiet, _documents, _command = quiet, sys.stdout if as_json else None, command
    try:
        with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
            yield
    finally:
        _quiet, _documents, _command = False, None, None


def prints_document() -> bool:
    """Whether standard output holds one JSON document."""
    return _documents is not None


def say(text: str = "") -> None:
    """Print a result; beside a JSON document it is a note."""
    if _documents is not None:
        note(text)
    else:
        typer.echo(shown(text))


def say_document(document: "Callable[[], Document]") -> None:
    """Print the result for a program, where `--json` is given.

    Args:
        document: Returns it.
    """
    if _documents is not None:
        _write_json(_documents, document().as_json())


def note(text: str) -> None:
    """Print a message that is neither a result nor a failure."""
    if not _quiet:
        _warn(text)


def _warn(text: str) -> None:
    typer.echo(shown(text), err=True)


def say_row(row: dict[str, Any]) -> None:
    """Print a row as one line of JSON."""
    _write_json(sys.stdout, row)


def _write_json(stream: TextIO, content: object) -> None:
    """Write one line of JSON: as it is for a program that reads it, without control characters for a person."""
    line = json.dumps(content, ensure_ascii=False, default=str)
    line = line.encode("utf-8", "backslashreplace").decode("utf-8")  # a lone surrogate stays an escape
    if isinstance(stream, Stream) and not stream.isatty():
        stream.write_data(f"{line}\n".encode())  # UTF-8, whatever the locale: JSON has no other encoding
    else:
        typer.echo(shown(line), file=stream)


def report_failure(error: BaseException) -> int:
    """Print the problem and the next step, with `--json` as a document as well; return the exit code.

    Args:
        error: What ended the command.
    """
    if isinstance(error, OutputLost) and error.reader_gone:
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        failure: ToolkitError = Interrupted("Interrupted.", "", id="run.interrupted")
        _warn("\nInterrupted.")
    else:
        failure = explained(error) or ToolkitError(
            f"{type(error).__name__}: {error}",
            "This is a bug in the toolkit or in a recipe. Run the command again with --debug for the traceback.",
            id="internal.unexpected",
        )
        start = "\n" if isinstance(failure, Interrupted) else f"Error [{failure.id}]: "
        _warn(f"{start}{failure.problem}\n  → {failure.fix}")
    if not isinstance(failure, OutputLost):
        say_failure(failure)
    return failure.exit_code


def say_failure(failure: ToolkitError) -> None:
    """Print a failure for a program, where `--json` is given."""
    if _documents is not None:
        from toolkit.api.documents.document import Failure, Problem, as_json, envelope

        problem = Problem(failure.id, failure.problem, failure.fix, failure.exit_code)
        _write_json(_documents, {**envelope(_command), **as_json(Failure(problem))})


def duration(seconds: float) -> str:
    """Format a duration: 48 s, 2 min 05 s, 1 h 20 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Watcher:
    """Shows a pipeline's events: a live bar with an ETA on a terminal, plain lines in a log.

    Use as a context manager; `watcher` itself is the observer to hand to the pipeline.

    Args:
        silent: Show nothing, as in all processes of a run but the main one.
    """

    def __init__(self, silent: bool = False) -> None:
        self.silent = silent or _quiet
        self.live = sys.stderr.isatty()
        self._bar: Any = None
        self._task: Any = None
        self._last_line = 0.0
        self._began = time.monotonic()

    def __enter__(self) -> "Watcher":
        """Start the display."""
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Remove the bar."""
        self._close()

    def __call__(self, event: Any) -> None:
        """Show one event."""
        if self.silent:
            return
        from toolkit.events import Begun, Counted, Note, Settled, Stage
        from toolkit.training.loop.progress import Progress, Validation

        if isinstance(event, Stage):
            self._close()
            self._began = time.monotonic()
            note(f"{event.name} …")
        elif isinstance(event, Note):
            note(f"  note: {event.text}")
        elif isinstance(event, Settled):
            self._settled(event)
        elif isinstance(event, Begun):
            note(f"  {event.name} {event.folder}")
        elif isinstance(event, Counted):
            line = self._counted(event.done, event.total)
            self._advance(event.done, event.total, "", line, line.rpartition("  ")[2] if line else "")
        elif isinstance(event, Progress):
            text = f"loss {event.loss:.4f}  {event.samples_per_second:.0f} samples/s  waiting {event.waiting:.0%}"
            place = f"  step {event.step}/{event.total_steps}  epoch {event.epoch:.2f}"
            left = ""
            if event.seconds_left is not None:
                left = f"{'at most ' if event.may_stop_early else ''}{duration(event.seconds_left)} left"
            finished = event.step == event.total_steps
            line = f"{place}  {text}  {left}".rstrip()
            self._advance(event.step, event.total_steps, text, line, left, finished)
        elif isinstance(event, Validation):
            figures = "  ".join(f"{name} {value:.4f}" for name, value in event.values.items())
            name = "first validation, on some rows," if event.early else "validation"
            self._print(f"  {name} at epoch {event.epoch:.2f}: {figures}{'  (kept)' if event.best else ''}")

    def _settled(self, event: "Settled") -> None:
        parts = ", ".join(f"{rows:,} {name}" for name, rows in event.parts.items())
        note(f"  model  {event.model}")
        note(f"  data   {event.data}: {parts}")
        if event.labels:
            more = len(event.labels) - 8
            note(f"  labels {one_line(', '.join(event.labels[:8]))}{f' and {more} more' if more > 0 else ''}")

    def _counted(self, done: int, total: int) -> str | None:
        """Show the progress of a stage and the remaining time, unless it has just started."""
        seconds = time.monotonic() - self._began
        if seconds < _LOG_SECONDS or not 0 < done < total:
            return None
        return f"  {done:,} of {total:,}  {duration(seconds / done * (total - done))} left"

    def _advance(self, done: int, total: int, text: str, line: str | None, left: str, finished: bool = False) -> None:
        if self.live:
            self._open(total)
            self._bar.update(self._task, completed=done, text=shown(text), left=left)
        elif line is not None and (finished or time.monotonic() - self._last_line >= _LOG_SECONDS):
            self._last_line = time.monotonic()
            note(line)

    def _open(self, total: int) -> None:
        if self._bar is not None:
            return
        from rich.console import Console
        from rich.file_proxy import FileProxy
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        drawn: Any = sys.stderr.drawn_on() if isinstance(sys.stderr, Stream) else sys.stderr
        self._bar = Progress(
            TextColumn("  "), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}", markup=False),
            TextColumn("{task.fields[text]}", markup=False), console=Console(file=drawn), transient=True,
            redirect_stdout=sys.stdout.isatty(),
        )  # fmt: skip
        self._bar.start()
        for name in ("stdout", "stderr"):  # other output goes through the bar, which restores both streams
            if isinstance(getattr(sys, name), FileProxy):
                setattr(sys, name, Stream(getattr(sys, name), vital=False))
        self._task = self._bar.add_task("", total=total, text="", left="")

    def _print(self, line: str) -> None:
        if self._bar is not None:
            self._bar.console.print(shown(line), markup=False, highlight=False)
        else:
            note(line)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def one_line(text: str) -> str:
    """Return a label or a name on one line, so that it cannot imitate another line of the output."""
    return text.replace("\n", "\\n")


def table(rows: Sequence[tuple[str, ...]], header: tuple[str, ...] | None = None) -> str:
    """Format rows in columns as wide as their widest cell; the last column has no fixed width."""
    everything = [tuple(map(one_line, row)) for row in ([header, *rows] if header else rows)]
    if not everything:
        return ""
    widths = [max(len(row[i]) for row in everything) for i in range(len(everything[0]))]
    lines = [
        "  ".join([*(cell.ljust(w) for cell, w in zip(row[:-1], widths, strict=False)), row[-1]]).rstrip()
        for row in everything
    ]
    if header:
        lines.insert(1, "  ".join("-" * w for w in widths[:-1]) + "  " + "-" * len(header[-1]))
    return "\n".join(lines)
