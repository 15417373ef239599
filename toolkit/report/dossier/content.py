"""What a technical documentation is made of; the pages define how each part looks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolkit.report.document.portable import portable
from toolkit.report.dossier.traces import Figure, Node
from toolkit.tasks.task import Task

Cell = str | Figure
Rows = Sequence[Sequence[Cell]]

# States of an entry, in the order in which they are counted.
MEASURED = "from the run"
GIVEN = "given by you"
BLANK = "left to you"
UNMEASURED = "not measured"
MEANINGLESS = "does not apply"
STATES = (MEASURED, GIVEN, BLANK, UNMEASURED, MEANINGLESS)

NOT_ADVICE = (
    "This document follows the structure of Annex IV of Regulation (EU) 2024/1689; it is not legal advice, and it does "
    "not state that the system meets any requirement."
)
SOURCES = (
    "Each row of a table ends with its source: a file of the run directory, and the key in it as jq and yq read it."
)


@dataclass(frozen=True)
class Text:
    """A paragraph without figures."""

    text: str


@dataclass(frozen=True)
class Table:
    """Figures in rows; the source of a row is what the keys of its figures have in common.

    Attributes:
        columns: Headings; the first column names the rows.
        rows: Cells, as many in each row as there are columns.
    """

    columns: Sequence[str]
    rows: Rows


Block = Text | Table


@dataclass(frozen=True)
class Gap:
    """Why an entry has no figures.

    Attributes:
        reason: A sentence.
        command: Measures what is missing; "" where the entry does not apply to the task.
    """

    reason: str
    command: str = ""


@dataclass(frozen=True)
class Evidence:
    """What a run knows.

    Attributes:
        run: run.json.
        config: config.yaml.
        card: What is stored with the model: model/toolkit.json.
        reports: The run's own report, then a later one on the same rows, which may have further checks.
        looks: evaluations/looks.json.
        model_files: A node for each file of the model and its exports: path, {"bytes", "sha256"}.
        records: The same for the files that the figures are from.
        task: Inputs and target.
        applies: Key of a check → whether it applies to the task.
        target: The run, as a word of the command line.
    """

    run: Node
    config: Node
    card: Node
    reports: Sequence[Node]
    looks: Node
    model_files: Sequence[tuple[str, Node]]
    records: Sequence[tuple[str, Node]]
    task: Task
    applies: Mapping[str, bool]
    target: str

    @property
    def report(self) -> Node:
        """The run's own report."""
        return self.reports[0]

    @property
    def evaluation(self) -> Node:
        """The evaluation in the run's own report."""
        return self.report["evaluation"]

    def section(self, key: str) -> Node:
        """Return a section of the first report that has it; an empty node where none does."""
        sections = [report["evaluation"][key] for report in self.reports]
        return next((section for section in sections if section), sections[0])


@dataclass(frozen=True)
class Automatic:
    """An entry that is filled from the run.

    Attributes:
        number: Of the point of Annex IV.
        title: Its heading.
        fill: What the run knows → content, or why there is none.
    """

    number: str
    title: str
    fill: Callable[[Evidence], Sequence[Block] | Gap]


@dataclass(frozen=True)
class Blank:
    """An entry that only people can fill.

    Attributes:
        number: Of the point of Annex IV.
        title: Its heading.
        key: Of `CardExtra`.
    """

    number: str
    title: str
    key: str


@dataclass(frozen=True)
class Point:
    """A point of Annex IV."""

    number: str
    title: str
    entries: Sequence[Automatic | Blank]


@dataclass(frozen=True)
class Entry:
    """A filled entry.

    Attributes:
        number: Of the point of Annex IV.
        title: Its heading.
        state: One of `STATES`.
        content: Paragraphs and tables.
        key: Under which a text for it can be given; "" where it is filled from the run.
        command: Measures what is missing, or "".
    """

    number: str
    title: str
    state: str
    content: Sequence[Block]
    key: str = ""
    command: str = ""


@dataclass(frozen=True)
class Dossier:
    """A technical documentation.

    Attributes:
        title: Of the run.
        created: When the report was written, as the report has it.
        points: (number, heading, entries) of each point.
    """

    title: str
    created: str
    points: Sequence[tuple[str, str, Sequence[Entry]]]

    @property
    def entries(self) -> list[Entry]:
        """All entries."""
        return [entry for _, _, entries in self.points for entry in entries]

    def count(self, state: str) -> int:
        """Return the number of entries in a state."""
        return sum(entry.state == state for entry in self.entries)

    @property
    def summary(self) -> str:
        """How much is filled, in one or two sentences; entries that do not apply are not counted."""
        total = len(self.entries) - self.count(MEANINGLESS)
        given = f", and {self.count(GIVEN)} were given by you" if self.count(GIVEN) else ""
        missing = self.count(UNMEASURED)
        unmeasured = f" {missing} {'was' if missing == 1 else 'were'} not measured." if missing else ""
        return f"{self.count(BLANK)} of {total} entries are left to you{given}.{unmeasured}"


def blank_note(key: str) -> str:
    """Return the mark of a blank entry."""
    return f"Left to you (key `{key}`):"


def source_of(row: Sequence[Cell]) -> str:
    """Return the file and key that the figures of a row have in common; "" where it has none."""
    nodes = [cell.node for cell in row if isinstance(cell, Figure)]
    sources: dict[str, list[str]] = {}
    for node in nodes:
        sources.setdefault(node.file, []).append(node.key)
    return "; ".join(Node(file, _common(keys), None).source for file, keys in sources.items())


def _common(keys: Sequence[str]) -> str:
    """Return the longest common start of keys that ends where a name or a number ends."""
    first, last = min(keys), max(keys)
    length = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    while length and not all(len(key) == length or key[length] in ".[" for key in (first, last)):
        length -= 1
    return first[:length]


def as_json(dossier: Dossier) -> dict[str, Any]:
    """Return a documentation as JSON holds it, each figure with its file, key and value."""
    return {
        "title": dossier.title,
        "created": dossier.created,
        "summary": dossier.summary,
        "counts": {state: dossier.count(state) for state in STATES},
        "points": [
            {"number": number, "title": title, "entries": [_entry(entry) for entry in entries]}
            for number, title, entries in dossier.points
        ],
    }


def _entry(entry: Entry) -> dict[str, Any]:
    facts = {"number": entry.number, "title": entry.title, "state": entry.state}
    named = {name: value for name, value in (("key", entry.key), ("command", entry.command)) if value}
    return {**facts, **named, "content": [_block(block) for block in entry.content]}


def _block(block: Block) -> dict[str, Any]:
    if isinstance(block, Text):
        return {"text": block.text}
    return {"columns": list(block.columns), "rows": [[_cell(cell) for cell in row] for row in block.rows]}


def _cell(cell: Cell) -> dict[str, Any]:
    if isinstance(cell, str):
        return {"text": cell}
    return {"text": cell.text, "file": cell.node.file, "key": cell.node.key, "value": portable(cell.node.value)}
