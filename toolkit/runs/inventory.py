"""The runs of a folder: what each is, which is best by a metric, and their removal.

Only what a run recorded is read, from regular files of a bounded size, and no link is followed: a folder may be from
elsewhere.
"""

import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import ConfigError, SourceError
from toolkit.runs import lock
from toolkit.runs.directory import HOME, read_facts
from toolkit.runs.files import read_object

FINISHED, RUNNING, DAMAGED = "finished", "running", "damaged"
_MOST_BYTES = 32 * 2**20  # of a file that is read
_TEST_ROWS = "data/test.parquet"


@dataclass(frozen=True)
class Figure:
    """A metric of a run on its held-out rows, with the interval of its report.

    Attributes:
        name: As configuration and reports have it.
        title: For people.
        unit: "fraction", "score", "points", or "value": in the unit of the data.
        value: The estimate.
        low: Lower end of the interval; None where there is none.
        high: Its upper end.
        better: "higher" or "lower".
    """

    name: str
    title: str
    unit: str
    value: float
    low: float | None
    high: float | None
    better: str


@dataclass(frozen=True)
class Summary:
    """A run in a list.

    Attributes:
        path: Its directory.
        state: finished, running, interrupted, failed or damaged.
        recipe: Its task; empty where not recorded, as are the other texts.
        model: The checkpoint it started from.
        data: Where its rows come from.
        created: When it started, in ISO 8601.
        command: The command that started it.
        bytes: Size of its files, without those that links lead to.
        test_rows: Digest of the file of its test rows.
        metrics: Its figures, the main one first.
    """

    path: Path
    state: str
    recipe: str
    model: str
    data: str
    created: str
    command: str
    bytes: int
    test_rows: str | None
    metrics: tuple[Figure, ...]

    def figure(self, metric: str) -> Figure | None:
        """Return the figure of a metric; None where the run has none."""
        return next((figure for figure in self.metrics if figure.name == metric), None)


@dataclass(frozen=True)
class Ranking:
    """Runs of one task with the same test rows, in the order of a metric.

    Attributes:
        recipe: The task.
        test_rows: Digest of the file of the test rows; None for a run that recorded none.
        runs: The runs, the best first.
    """

    recipe: str
    test_rows: str | None
    runs: tuple[Summary, ...]


def summaries(folder: Path = HOME) -> list[Summary]:
    """Return the runs in a folder, the newest first; links and hidden folders are not read.

    A folder that is no run may hold some, as that of several seeds does; it is looked into, and no further.

    Raises:
        SourceError: There is no such folder.
    """
    if not folder.is_dir():
        raise SourceError(f"There is no folder {folder}.", "Give the folder that holds runs.", id="run.not-found")
    places = [place for outer in _folders(folder) for place in ([outer] if _is_run(outer) else _folders(outer))]
    runs = map(_summary, filter(_is_run, places))
    return sorted(runs, key=lambda run: (run.created, str(run.path)), reverse=True)


def summary(run: str | Path) -> Summary:
    """Return what a run is.

    Raises:
        SourceError: It is no run directory.
    """
    return _summary(_run(run))


def rankings(metric: str, runs: Sequence[Summary]) -> list[Ranking]:
    """Return the finished runs by a metric, best first, apart for each task and set of test rows; largest set first.

    Raises:
        SourceError: There is no finished run.
        ConfigError: None of them has the metric.
    """
    finished = [run for run in runs if run.state == FINISHED]
    if not finished:
        raise SourceError("There is no finished run.", "Give the folder that holds runs.", id="run.not-found")
    groups: dict[tuple[str, str], list[tuple[Figure, Summary]]] = {}
    for run in finished:
        figure = run.figure(metric)
        if figure is not None:
            groups.setdefault((run.recipe, run.test_rows or str(run.path)), []).append((figure, run))
    if not groups:
        known = dict.fromkeys(figure.name for run in finished for figure in run.metrics)
        raise ConfigError(
            f"No finished run has a metric `{metric}`.",
            f"Give one of {', '.join(known)}." if known else "Evaluate the runs first.",
            id="config.unknown-choice",
        )
    results = []
    for (recipe, _), members in groups.items():
        sign = 1 if members[0][0].better == "lower" else -1
        ordered = [run for _, run in sorted(members, key=lambda member: sign * member[0].value)]
        results.append(Ranking(recipe, ordered[0].test_rows, tuple(ordered)))
    return sorted(results, key=lambda ranking: -len(ranking.runs))


def removable(runs: Sequence[str | Path]) -> list[Summary]:
    """Return what would be removed, of which nothing is in use or anything but a run directory.

    Raises:
        SourceError: One is no run directory, or a link, or holds the current or the home folder.
        ConfigError: A process trains in one of them.
    """
    results = []
    for run in dict.fromkeys(map(Path, runs)):
        found = _summary(_run(run))
        place = run.resolve()
        if any(inner.is_relative_to(place) for inner in (Path.cwd(), Path.home().resolve())):
            raise SourceError(
                f"{run} holds the current folder or your home folder.", "Give a run directory.", id="run.not-a-run"
            )
        if not found.recipe and _size(run / "config.yaml") is None:  # another program's run.json
            raise _no_run(run)
        if found.state == RUNNING:
            raise lock.busy(run)
        results.append(found)
    return results


def remove(run: Summary) -> None:
    """Remove a run that `removable` returned; what links in it lead to is kept."""
    aside = run.path.resolve()
    aside = aside.with_name(f".{aside.name}-removed-{os.getpid()}")
    run.path.resolve().rename(aside)  # at once, so that no half of a run is taken for a whole one
    shutil.rmtree(aside)


def _folders(folder: Path) -> list[Path]:
    """Return the folders in a folder that are neither links nor hidden; none where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return [folder / name for name in names if not name.startswith(".")]


def _run(run: str | Path) -> Path:
    path = Path(run)
    if not os.path.lexists(path):
        raise SourceError(f"There is no run directory {run}.", "`toolkit runs list` lists runs.", id="run.not-found")
    if path.is_symlink() or not _is_run(path):
        raise _no_run(path)
    return path


def _no_run(path: Path) -> SourceError:
    return SourceError(
        f"{path} is not a run directory.",
        "Give the folder itself that `toolkit finetune` wrote, with run.json in it.",
        id="run.not-a-run",
    )


def _is_run(path: Path) -> bool:
    return _size(path / "run.json") is not None


def _size(file: Path) -> int | None:
    """Return the size of a regular file; None for everything else, links included."""
    try:
        status = file.lstat()
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _is_readable(file: Path) -> bool:
    size = _size(file)
    return size is not None and size <= _MOST_BYTES


def _summary(run: Path) -> Summary:
    facts: Mapping[str, Any] = {}
    state = DAMAGED
    if _is_readable(run / "run.json"):
        try:
            facts = read_facts(run)
            state = _state(run, facts)
        except SourceError:
            pass
    figures = _figures(run) if state == FINISHED else ()
    data = facts.get("data") or {}
    texts = {name: _text(facts.get(name)) for name in ("recipe", "model", "created", "command")}
    origin = _text(data.get("origin")) or _text(data.get("source"))
    return Summary(run, state, **texts, data=origin, bytes=_bytes(run), test_rows=_test_rows(run), metrics=figures)


def _state(run: Path, facts: Mapping[str, Any]) -> str:
    status = facts.get("status")
    if status == "complete":
        return FINISHED
    if _size(run / lock.NAME) is not None and lock.is_claimed(run):
        return RUNNING
    return "failed" if status == "failed" else "interrupted"


def _figures(run: Path) -> tuple[Figure, ...]:
    """Return the figures of a report; none where it is damaged."""
    if not _is_readable(run / "report.json"):
        return ()
    try:
        report = read_object(run / "report.json")
    except SourceError:
        return ()
    evaluation = report.get("evaluation")
    cells = evaluation.get("metrics") if isinstance(evaluation, dict) else None
    figures = (_figure(cell) for cell in (cells if isinstance(cells, list) else ()))
    return tuple(figure for figure in figures if figure is not None)


def _figure(cell: Any) -> Figure | None:
    if not isinstance(cell, dict) or not _text(cell.get("name")):
        return None
    value = _number(cell.get("value"))
    if value is None:
        return None
    name, unit = _text(cell["name"]), _text(cell.get("unit"))
    better = "lower" if cell.get("better") == "lower" else "higher"
    low, high = (_number(cell.get(end)) for end in ("low", "high"))
    return Figure(name, _text(cell.get("title")) or name, unit, value, low, high, better)


def _number(value: Any) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    return float(value) if usable else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _test_rows(run: Path) -> str | None:
    """Return the recorded digest of the test rows."""
    if not _is_readable(run / "SHA256SUMS"):
        return None
    try:
        lines = (run / "SHA256SUMS").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((line.split()[0] for line in lines if line.split()[1:] == [_TEST_ROWS]), None)


def _bytes(folder: Path) -> int:
    """Return the size of the regular files under a folder."""
    total, folders = 0, [os.fspath(folder)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:  # not readable, or removed meanwhile
            continue
    return total
