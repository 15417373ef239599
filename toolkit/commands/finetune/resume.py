"""Interrupt a run so that it can be resumed, and find it again."""

import json
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from toolkit import runs
from toolkit.commands.finetune.prepare import Prepared
from toolkit.config import leaves
from toolkit.config.files import read_file
from toolkit.config.settings import EvaluationConfig
from toolkit.errors import ConfigError
from toolkit.events import Note, Observe
from toolkit.runs.trust import check_links
from toolkit.training.loop import checkpoint

# output folders, logging, the interval of states, settings of the evaluation: none affects the weights.
# A resumed run may have a different time budget, since its clock restarts.
_HARMLESS = (
    ("output",),
    ("data", "cache_gib"),
    ("training", "budget"),
    ("training", "checkpoint_minutes"),
    ("training", "max_restarts"),
    ("training", "trackers"),
    *(("evaluation", key) for key in EvaluationConfig.model_fields if key not in ("batch_size", "precision")),
)


def unfinished(prepared: Prepared, observe: Observe) -> runs.Run | None:
    """Return the run of the same configuration and data that did not finish, or None when there is none.

    With an output folder it is the run there; otherwise the newest such run under runs/.

    Raises:
        ConfigError: The output folder holds a run of another configuration or data.
        SourceError: Its run.json is damaged.
    """
    config = prepared.config
    if config.output is not None:
        run = runs.Run(Path(config.output))
        if not runs.is_run(run.path):
            observe(Note(f"There is nothing to resume in {run.path}; starting a new run."))
            return None
        runs.read_facts(run.path)  # raises for a damaged one
        differing = _differences(run, prepared)
        if differing:
            raise ConfigError(
                f"The run {run.path} was started with a different {', a different '.join(differing)}.",
                "Give the same values, or another --output.",
                id="run.other-configuration",
            )
        return run
    folders = sorted(runs.HOME.iterdir(), key=lambda path: path.stat().st_mtime) if runs.HOME.is_dir() else []
    waiting = [runs.Run(folder) for folder in reversed(folders) if runs.is_run(folder)]
    waiting = [run for run in waiting if not run.complete]
    for run in waiting:
        if not _differences(run, prepared):
            check_links(run.path)
            observe(Note(f"Resuming {run.path}."))
            return run
    why = "no unfinished run has these values and data"
    if waiting:
        why += f" ({waiting[0].path} has a different {', a different '.join(_differences(waiting[0], prepared))})"
    observe(Note(f"There is nothing to resume: {why}. Starting a new run."))
    return None


def _differences(run: runs.Run, prepared: Prepared) -> list[str]:
    """Name the differences between a run on disk and the prepared one; only what changes weights counts."""
    try:
        before = dict(leaves(read_file(run.path / "config.yaml")))
    except ConfigError:
        return ["configuration"]
    now = dict(leaves(prepared.config.model_dump()))
    keys = sorted(
        key for key in before.keys() | now.keys() if before.get(key) != now.get(key) and not _is_harmless(key)
    )
    differing = [".".join(key) for key in keys]
    if run.facts.get("data", {}).get("fingerprint") != prepared.splits.facts["fingerprint"]:
        differing.append("data")
    return differing


def _is_harmless(key: tuple[str, ...]) -> bool:
    return any(key[: len(harmless)] == harmless for harmless in _HARMLESS)


def clean_up(run: runs.Run, step: int) -> None:
    """Remove partial files of a killed process, and the log lines of steps that will be repeated."""
    for folder in (run.path, run.path / "checkpoints", run.path / "data"):
        for leftover in folder.glob(".*-*") if folder.is_dir() else ():
            shutil.rmtree(leftover, ignore_errors=True)
    log = run.path / "metrics.jsonl"
    if log.is_file():
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        runs.write_text(log, "".join(line for line in lines if _step_of(line) <= step))


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # the line that was incomplete when the process was killed


def find_state(run: runs.Run, observe: Observe) -> checkpoint.State | None:
    """Return the newest complete state of a run; report damaged ones, and the absence of any."""
    state, notes = checkpoint.newest(run.path / "checkpoints")
    for note in notes:
        observe(Note(note))
    if state is None:
        observe(Note(f"{run.path} has no complete training state, so training restarts at the first step."))
    clean_up(run, state.step if state is not None else 0)
    return state


@dataclass
class StopFlag:
    """A request to stop the process.

    Attributes:
        signal: Number of the signal, or None.
    """

    signal: int | None = None

    def __call__(self) -> bool:
        """Whether a stop was requested."""
        return self.signal is not None


@contextmanager
def terminable() -> Iterator[None]:
    """Handle SIGTERM like Ctrl-C in this block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def stoppable() -> Iterator[StopFlag]:
    """Turn the first Ctrl-C or SIGTERM into a request to stop after the current step.

    A second request ends the process at once.
    """
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before: dict[int, Any] = {}

    def request_stop(number: int, _frame: FrameType | None) -> None:
        flag.signal = number
        for signal_number, handler in before.items():
            signal.signal(signal_number, handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, request_stop)
    try:
        yield flag
    finally:
        for signal_number, handler in before.items():
            signal.signal(signal_number, handler)
