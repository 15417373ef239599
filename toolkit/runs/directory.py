"""The run directory: the output of every stage, and the input of every later command.

    config.yaml          the complete configuration
    NAME.py              a copy of the recipe, if it is the user's own file; only run with --recipe
    run.json             recipe, command, status, environment, data facts, training facts
    metrics.jsonl        one line for each logged step and each validation
    data/                the held-out rows, so that the run can be evaluated again on any machine; digests of train rows
    model/               weights (safetensors), processor, label names
    adapter/             of a run with adapters: these alone, with the same small files
    predictions.parquet  predictions of the model and the baselines for each test row
    report.json, report.md, report.html
    watch/               batches of new rows that were compared with the held-out rows, and the page on their course
    SHA256SUMS           digests of held-out rows, weights, predictions and report, by which a change is noticed

A directory with a `run.json` is a run; `status` is "complete" only after all files exist.
Files appear whole or not at all: they are written aside, synced and renamed.
"""

import errno
import itertools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from toolkit.errors import ConfigError, ModelError, SourceError
from toolkit.runs import lock
from toolkit.runs.files import disk_errors, read_object, write_json
from toolkit.runs.trust import COPY_AGAIN, check_links

HOME = Path("runs")
CARD = "toolkit.json"  # next to the weights: what later commands need to use them
_FACTS = {"command": str, "created": str, "model": str, "recipe": str, "data": dict, "training": dict, "labels": list}
CORRECTIONS = "data/corrections.csv"  # of training rows, where the run was trained with some
NEAR_DUPLICATES = "data/near_duplicates.json"  # test rows that repeat a training row


@dataclass(frozen=True)
class Run:
    """A run directory."""

    path: Path

    @property
    def model(self) -> Path:
        """Folder of the exported model."""
        return self.path / "model"

    @property
    def adapter(self) -> Path:
        """Folder of the adapter, of a run that trained one."""
        return self.path / "adapter"

    @property
    def facts(self) -> dict[str, Any]:
        """The contents of run.json; empty when it is missing or damaged."""
        try:
            return read_facts(self.path)
        except SourceError:
            return {}

    @property
    def complete(self) -> bool:
        """Whether the run is complete, including its report."""
        return self.facts.get("status") == "complete"

    def record(self, **facts: Any) -> None:
        """Add `facts` to run.json."""
        write_json(self.path / "run.json", {**self.facts, **facts})

    def log(self, line: Mapping[str, Any]) -> None:
        """Append one line to metrics.jsonl."""
        target = self.path / "metrics.jsonl"
        with disk_errors(target), target.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")


def create(output: str | None, recipe: str, model: str, now: datetime) -> Run:
    """Make a new run directory.

    Raises:
        ConfigError: The folder exists already or cannot be written.
    """
    check_place(output)
    stem = f"{Path(recipe).stem}-{slug(model)}-{now:%Y%m%d-%H%M%S}"
    path = Path(output) if output else HOME / stem
    try:
        if output is None:
            path = free(path)
        elif is_run(path):  # only the rest of a failed run, otherwise it would have been refused
            _clear(Run(path))
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".write-test"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"The run directory {path} cannot be written: {error.strerror}.",
            "Give another --output.",
            id="output.not-writable",
        ) from None
    return Run(path)


def check_place(output: str | None, *, resume: bool = False) -> None:
    """Refuse a place where no run can be written, before any work is done for it; nothing is written yet.

    Args:
        output: The requested folder; runs/ when None.
        resume: Whether it may contain a run that did not finish.

    Raises:
        ConfigError: The folder exists already, is a file, or not writable.
        SourceError: It holds a run whose run.json is damaged, or contains a link to the outside.
    """
    path = Path(output) if output else HOME
    check_writable(path)
    if output is None or not path.is_dir() or not any(path.iterdir()):
        return
    if not is_run(path):
        if (path / "config.yaml").is_file() and any(
            (path / name).is_dir() for name in ("data", "checkpoints", "model")
        ):
            raise ConfigError(
                f"{path} holds a run whose run.json is missing.",
                "Copy the complete run directory again, or give another --output.",
                id="run.file-missing",
            )
        raise ConfigError(
            f"The folder {path} is not empty.", "Give another --output, or remove it first.", id="output.exists"
        )
    check_links(path)
    if read_facts(path).get("status") == "complete":
        outcome = " There is nothing to resume." if resume else ""
        raise ConfigError(
            f"{path} holds a complete run.{outcome}", "Give another --output, or remove it first.", id="output.exists"
        )
    if lock.is_claimed(path):
        raise lock.busy(path)
    if not resume and not _came_to_nothing(Run(path)):
        raise ConfigError(
            f"{path} holds a run that did not finish.",
            "Resume it with the same command and --resume, give another --output, or remove it first.",
            id="output.unfinished-run",
        )


def _came_to_nothing(run: Run) -> bool:
    """Whether a run ended before it saved any training state, so that it may be replaced."""
    kept = [path for path in (run.path / "checkpoints").glob("*") if not path.name.startswith(".")]
    return run.facts.get("status") in ("failed", "interrupted") and not kept


def _clear(run: Run) -> None:
    """Remove the files of a failed run to which a new one would append."""
    (run.path / "metrics.jsonl").unlink(missing_ok=True)
    (run.path / "run.json").unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Refuse a place that is a file, or not writable; nothing is written yet.

    Raises:
        ConfigError: With the reason.
    """
    if not _encodes(str(path)):
        raise ConfigError(
            f"The name {path} cannot be used for a run: this shell's locale supports only ASCII.",
            "Set PYTHONUTF8=1, or give an --output in ASCII letters.",
            id="machine.locale",
        )
    try:
        nearest = next(place for place in (path, *path.parents) if place.exists())
        if not nearest.is_dir():
            raise ConfigError(
                f"{nearest} is a file, so it cannot hold a run.",
                "Give another --output: a new folder.",
                id="output.is-file",
            )
        if not os.access(nearest, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise ConfigError(
            f"The run directory {path} cannot be written: {error.strerror}.",
            "Give another --output.",
            id="output.not-writable",
        ) from None


def _encodes(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:  # Python keeps bytes that it cannot read as lone surrogates, which libraries refuse
        return False
    return True


def free(path: Path) -> Path:
    """Return a path, or if it exists, one with a number appended."""
    further = (path.with_name(f"{path.name}-{number}") for number in itertools.count(2))
    return next(candidate for candidate in itertools.chain([path], further) if not candidate.exists())


def slug(model: str) -> str:
    """Return the last part of a model's name in a form for file names."""
    name = model.rstrip("/").split("@")[0].split("/")[-1]
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)[:60] or "model"


def is_run(path: Path) -> bool:
    """Whether `path` is a run directory, complete or not."""
    return (path / "run.json").is_file()


def check_whole(run: Run) -> None:
    """Refuse a run that later commands cannot start from.

    Raises:
        SourceError: run.json is damaged, or a link leads out of the run directory.
        ModelError: The run did not finish, or a part of it is missing.
    """
    check_links(run.path)
    if read_facts(run.path).get("status") != "complete":
        raise ModelError(
            f"The run {run.path} did not finish, so it holds no model.",
            "Resume it: add --resume to its command, which is in run.json.",
            id="run.unfinished",
        )
    kept = "adapter" if run.adapter.is_dir() and not run.model.exists() else "model"  # one of them is enough
    missing = [name for name in ("config.yaml", kept, f"{kept}/{CARD}") if not (run.path / name).exists()]
    if missing:
        raise ModelError(
            f"The run {run.path} is incomplete: {missing[0]} is missing.",
            "Copy the complete run directory again.",
            id="run.file-missing",
        )


def finished(target: str) -> Run:
    """Return a run directory of which a report exists.

    Raises:
        SourceError: It is none, or damaged.
        ModelError: The run did not finish, or a part of it is missing.
    """
    path = Path(target)
    if not path.exists():
        raise SourceError(
            f"There is no run directory {target}.", "Give a folder that `toolkit finetune` wrote.", id="run.not-found"
        )
    if not is_run(path):
        raise SourceError(
            f"{target} is not a run directory, so it has no report.",
            "Give the folder that `toolkit finetune` wrote, with run.json in it.",
            id="run.not-a-run",
        )
    run = Run(path)
    check_whole(run)
    return run


def newest(home: Path = HOME) -> Run:
    """Return the newest complete run under `home`.

    Raises:
        SourceError: There is none.
    """
    folders = home.iterdir() if home.is_dir() else ()
    runs = [run for run in map(Run, folders) if run.complete]
    if not runs:
        raise SourceError(
            f"There is no complete run under {home}/.",
            "Give a run directory or model, or run `toolkit finetune sentiment` first.",
            id="run.not-found",
        )
    return max(runs, key=lambda run: (run.facts.get("created", ""), run.path.name))


def read_facts(run: Path) -> dict[str, Any]:
    """Read the run.json of a run directory.

    Raises:
        SourceError: It is missing or damaged.
    """
    file = run / "run.json"
    facts = read_object(file)
    for name, kind in _FACTS.items():
        if not isinstance(facts.get(name), kind | None):
            raise SourceError(f"`{name}` in {file} differs from what was written.", COPY_AGAIN, id="run.damaged")
    return facts
