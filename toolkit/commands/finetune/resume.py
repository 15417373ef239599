"""Stop a run without losing it, and find it again."""

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

# where things are kept, who is told, how often a state is written, how the result is judged: none changes a weight.
# A budget may be another when a run is resumed, as its clock begins anew.
_HARMLESS = (
    ("output",),
    ("data", "cache_gib"),
    ("training", "budget"),
    ("training", "checkpoint_minutes"),
    ("training", "trackers"),
    *(("evaluation", key) for key in EvaluationConfig.model_fields if key not in ("batch_size", "precision")),
)


def unfinished(prepared: Prepared, observe: Observe) -> runs.Run | None:
    """Return the run of the same configuration and data that did not finish, or None when there is none.

    With an output folder it is that one; else the newest of its kind under runs/.

    Raises:
        ConfigError: The output folder holds a run of another configuration or data.
        SourceError: Its run.json is damaged.
    """
    config = prepared.config
    if config.output is not None:
        run = runs.Run(Path(config.output))
        if not runs.is_run(run.path):
            observe(Note(f"There is nothing to resume in {run.path}; a new run begins."))
            return None
        runs.read_facts(run.path)  # a damaged one is said to be so
        differing = _differences(run, prepared)
        if differing:
            raise ConfigError(
                f"The run {run.path} was begun with another {', another '.join(differing)}.",
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
            observe(Note(f"Going on with {run.path}."))
            return run
    why = "no unfinished run has these values and data"
    if waiting:
        why += f" ({waiting[0].path} has another {', another '.join(_differences(waiting[0], prepared))})"
    observe(Note(f"There is nothing to resume: {why}. A new run begins."))
    return None


def _differences(run: runs.Run, prepared: Prepared) -> list[str]:
    """Name what sets a run on disk apart from the one that is prepared; what changes no weight does not count."""
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
    """Remove what a killed process left half-written, and the log lines of steps that will be taken again."""
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
        return float("inf")  # the line that the kill cut off


def find_state(run: runs.Run, observe: Observe) -> checkpoint.State | None:
    """Return the newest whole state of a run, telling of damaged ones, and of none."""
    state, notes = checkpoint.newest(run.path / "checkpoints")
    for note in notes:
        observe(Note(note))
    if state is None:
        observe(Note(f"{run.path} holds no whole state of training, so it begins at the first step again."))
    clean_up(run, state.step if state is not None else 0)
    return state


@dataclass
class StopFlag:
    """Whether the process was asked to stop.

    Attributes:
        signal: Number of the signal that asked, or None.
    """

    signal: int | None = None

    def __call__(self) -> bool:
        """Whether it was asked."""
        return self.signal is not None


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end what is done here as Ctrl-C does."""
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
    """Turn the first Ctrl-C or SIGTERM into a wish that the training loop grants at its next step.

    A second one ends the process at once.
    """
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before: dict[int, Any] = {}

    def ask(number: int, _frame: FrameType | None) -> None:
        flag.signal = number
        for signal_number, handler in before.items():
            signal.signal(signal_number, handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, ask)
    try:
        yield flag
    finally:
        for signal_number, handler in before.items():
            signal.signal(signal_number, handler)
