"""Ask a model about every row of a file, in bounded memory, and write what it says beside the rows."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.commands.evaluate.run import find_stored, stored_card
from toolkit.commands.explain.service import Explainer, explainer_for
from toolkit.commands.finetune.resume import terminable
from toolkit.commands.predict.identity import identity
from toolkit.commands.predict.predictor import Asker
from toolkit.data import resumable_output
from toolkit.data.batching import vocabulary
from toolkit.data.bitext import gettext_catalogue
from toolkit.data.bitext.markup import markup
from toolkit.data.formats import headers
from toolkit.data.sources import row_stream
from toolkit.data.sources.folders import files
from toolkit.data.sources.row_stream import Row
from toolkit.data.tables import columns, wording
from toolkit.errors import ConfigError, DataError, Interrupted
from toolkit.evaluation.stored_calibration import stored_temperature
from toolkit.events import Counted, Event, Note, Observe, Stage
from toolkit.inference.model import StoredModel
from toolkit.runs.lock import sole_writer
from toolkit.tasks.contract import Recipe
from toolkit.tasks.task import Column

CHUNK = 4096  # rows in memory at a time, and in a part on disk; within them batches are of like lengths
MOST_TABLES = 20  # in a folder; more are texts, one in each file
EXPLAINED = 64  # where each is explained, which takes long: so many are done again after a kill
WRITTEN = 512  # the same where answers are written token by token, which takes longer
WRITTEN_TEXTS = (".txt", ".po")  # formats of nothing but the texts that were written
ADDED = ("prediction", "score", "calibrated_score", "explanation", "problem")


@dataclass(frozen=True)
class Predicted:
    """The outcome.

    Attributes:
        output: The file; None for standard output.
        rows: How many rows it has.
        bad: How many of them have no prediction.
        first: The first bad row and what is wrong with it.
        marked: How many rows hold placeholders or markup; None where the answers are no texts.
        kept: How many of their answers hold the same.
    """

    output: Path | None
    rows: int
    bad: int
    first: str | None
    marked: int | None = None
    kept: int = 0


def predict(
    target: str,
    source: str,
    output: Path,
    values: Mapping[str, Any],
    recipe_name: str | None,
    observe: Observe,
    *,
    all_scores: bool = False,
    explained: bool = False,
    tell: Callable[[dict[str, Any]], None] | None = None,
    command: str = "the same command",
) -> Predicted:
    """Ask a model about every row of a file.

    Args:
        target: Run directory, alias, folder or Hub id.
        source: File to read, or "-" for standard input.
        output: File to write; its name decides the format. "-" gives the rows to `tell`.
        values: Nested configuration values laid over the stored ones.
        recipe_name: The task; the one stored with the model when None.
        observe: Called with each event.
        all_scores: Write the score of every class.
        explained: Write what each answer rests on, too.
        tell: Told each row with its answer as soon as it is known, where the output is "-".
        command: The command line, which goes on after a stop.

    Raises:
        CallError: Input, output or model cannot be used.
        Interrupted: Ctrl-C, or the machine asked the process to end.
    """
    if tell is None:
        if output.exists() and Path(source).exists() and output.samefile(source):
            raise ConfigError(f"{output} is the input as well.", "Give another --output.", id="output.is-input")
        resumable_output.check_output(output, WRITTEN_TEXTS)
    row_stream.check_input(source)
    observe(Stage("Looking for the model"))
    checkpoint, recipe, config, labels = find_stored(target, values, recipe_name)
    write = _writer(recipe, config.options, source, output, observe)
    inputs = recipe.task.named_inputs(config.options)
    stored = StoredModel(checkpoint.path, recipe, labels, config, slim=not explained, observe=observe)
    size = EXPLAINED if explained else WRITTEN if recipe.target.written else CHUNK
    arriving = tell is not None and source == row_stream.STANDARD_INPUT
    chunks = _chunks(_rows(source, values, config.options), size, arriving=arriving)
    chunks = map(_untaken, chunks)
    head = next(chunks, [])
    if not head and Path(source).suffix.lower() == ".po":
        raise DataError(
            f"{source} holds no message that wants a translation.",
            "--retranslate translates all again.",
            id="data.nothing-to-translate",
        )
    if not head:
        raise DataError(f"{source} holds no rows.", "Check that it was written to the end.", id="data.no-rows")
    roles = _roles(source, head, inputs, config.data.columns)
    explainer = _explainer(target, stored) if explained else None
    temperature = stored_temperature(stored_card(checkpoint))
    unread = _unread(head, inputs, roles, stored)
    if unread is not None:
        observe(Note(unread))
    chunks = itertools.chain([head], chunks)
    tally = Tally(roles[inputs[0].role] if recipe.target.written else None)
    asker = Asker(stored, inputs, roles, temperature, all_scores, _root(source), explainer, tally.add_cut)
    if tell is not None:
        observe(Stage("Answering rows as they come"))
        with _stoppable(tally, "answered", "Give those that come after them."):
            for chunk in chunks:
                answers = asker.answer(chunk)
                tally.add(answers)
                for answer in answers:
                    tell(answer)
        tally.remark(config.data.max_length, observe)
        return tally.outcome(None)
    work = _Work(
        source, lambda: _rows(source, values, config.options), output, write, [size, all_scores, explained], command
    )
    with sole_writer(output):
        resumable_output.check_output(output, WRITTEN_TEXTS)  # another process may have made it since
        _write_parts(work, asker, chunks, tally, observe)
    tally.remark(config.data.max_length, observe)
    return tally.outcome(output)


@dataclass(frozen=True)
class _Work:
    """What is written where.

    Attributes:
        source: The file that is read; "-" for standard input.
        read: Reads its rows from the first on.
        output: The file that is written.
        write: Writes it; None for a table.
        rows: How many rows a part has, and what is written of each.
        command: Goes on after a stop.
    """

    source: str
    read: Callable[[], Iterator[Row]]
    output: Path
    write: "Write | None"
    rows: Sequence[Any]
    command: str


def _write_parts(work: _Work, asker: Asker, chunks: Iterator[list[Row]], tally: "Tally", observe: Observe) -> None:
    """Answer all rows part by part, keeping the parts that are there, and make the output of them."""
    output = work.output
    of_file = work.source != row_stream.STANDARD_INPUT  # which is read once
    total = sum(1 for _ in work.read()) if of_file else None
    same = identity(asker, Path(work.source), work.read, work.rows) if of_file else None
    kept = resumable_output.open_parts(output, same)
    if kept.parts:
        observe(Note(f"{kept.parts * work.rows[0]:,} rows were done before: going on behind them."))
    if kept.thrown_away:
        what = (
            "standard input is read anew"
            if total is None
            else f"they were made with another {', '.join(kept.differing)}"
        )
        many, were = wording.rows(kept.thrown_away)
        observe(Note(f"{many} {were} done before and thrown away: {what}."))
    observe(Stage("Asking about the rows" if total is None else f"Asking about {total:,} rows"))
    number = 0
    again = "Standard input is read once: give all of it again." if total is None else f"Go on with: {work.command}"
    with _stoppable(tally, f"kept; {output} is written when all are", again):
        for number, chunk in enumerate(chunks, 1):
            if number <= kept.parts:
                answers = resumable_output.read_part(output, number - 1)
            else:
                answers = asker.answer(chunk, _counted(observe, tally.rows, total))
                resumable_output.write_part(output, number - 1, answers)
            tally.add(answers)
            if total is not None:
                observe(Counted(tally.rows, total))
        typed = Path(work.source) if Path(work.source).suffix.lower() == ".parquet" else None
        resumable_output.finish(output, number, work.write, typed)


def _counted(observe: Observe, before: int, total: int | None) -> Observe | None:
    """Return who is told how far a part of the rows is, and says how far all are; None where nobody knows how many."""
    if total is None:
        return None

    def tell(event: Event) -> None:
        if isinstance(event, Counted):
            observe(Counted(before + event.done, total))

    return tell


@contextmanager
def _stoppable(tally: "Tally", done: str, again: str) -> Iterator[None]:
    """End on Ctrl-C and SIGTERM with a word on how many rows are done, and how to go on."""
    with terminable():
        try:
            yield
        except KeyboardInterrupt:
            rows = "1 row is" if tally.rows == 1 else f"{tally.rows:,} rows are"
            raise Interrupted(f"Stopped: {rows} {done}.", again, id="run.interrupted") from None


@dataclass
class Tally:
    """Counts rows, those without a prediction, and what became of placeholders and markup in texts.

    Attributes:
        column: Of the text that is answered by a text; None where the answers are none.
    """

    column: str | None = None
    rows: int = 0
    bad: int = 0
    first: str | None = None
    marked: int = 0
    kept: int = 0
    cut: int = 0

    def add(self, answers: Sequence[Mapping[str, Any]]) -> None:
        """Count some answers."""
        wrong = [place for place, answer in enumerate(answers) if answer["problem"] is not None]
        if wrong and self.first is None:
            self.first = f"row {self.rows + wrong[0] + 1}: {answers[wrong[0]]['problem']}"
        self.bad += len(wrong)
        self.rows += len(answers)
        if self.column is not None:
            asked = [(markup(str(answer[self.column] or "")), answer["prediction"]) for answer in answers]
            marked = [(marks, said) for marks, said in asked if marks and said is not None]
            self.marked += len(marked)
            self.kept += sum(marks == markup(said) for marks, said in marked)

    def add_cut(self, rows: int) -> None:
        """Count rows that have more tokens than are read."""
        self.cut += rows

    def remark(self, longest: int, observe: Observe) -> None:
        """Say how many rows were not read to their end; of parts that were kept earlier this is not known."""
        if self.cut:
            rows = " ".join(wording.rows(self.cut))
            observe(
                Note(f"{rows} read for the first {longest:,} tokens alone: the model takes no more (data.max_length).")
            )

    def outcome(self, output: Path | None) -> Predicted:
        """Return what became of all rows."""
        marked = None if self.column is None else self.marked
        return Predicted(output, self.rows, self.bad, self.first, marked, self.kept)


def _unread(rows: Sequence[Row], inputs: Sequence[Column], roles: Mapping[str, str], stored: StoredModel) -> str | None:
    """Say that the model's vocabulary knows little of these rows' texts."""
    names = [roles[column.role] for column in inputs if column.kind.plain is not None and column.role in roles]
    if not names:
        return None
    texts = [" ".join(str(row.values.get(name) or "") for name in names) for row in rows if row.problem is None]
    translates = stored.recipe.target.written
    return vocabulary.unread(texts, stored.loaded.processor, translates=translates)


def _explainer(target: str, stored: StoredModel) -> Explainer:
    found = explainer_for(target, stored)
    if found is None:
        raise ConfigError(
            f"The answers of {stored.config.recipe} cannot be explained: --explain is for tasks that choose one class "
            "for a text or a picture.",
            "Leave --explain out.",
            id="model.not-a-classifier",
        )
    return found


def _rows(source: str, values: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[Row]:
    data = values.get("data", {})
    everything = bool(options.get("retranslate"))
    return row_stream.rows(
        source,
        encoding=data.get("encoding"),
        delimiter=data.get("delimiter"),
        names=data.get("column_names") or (),
        everything=everything,
    )


Write = Callable[[Path, Iterator[dict[str, Any]]], None]


def _writer(recipe: Recipe, options: Mapping[str, Any], source: str, output: Path, observe: Observe) -> Write | None:
    """Return what writes plain lines or a catalogue; None for tables, which hold the rows as well.

    Raises:
        ConfigError: The answers are no texts, or the input is no catalogue.
    """
    suffix = output.suffix.lower()
    if suffix not in WRITTEN_TEXTS:
        return None
    if not recipe.target.written:
        raise ConfigError(
            f"{output} would hold nothing but texts, and this task does not write texts.",
            "Write .csv.",
            id="output.unfit-format",
        )
    of_catalogue = Path(source).suffix.lower() == ".po"
    if suffix == ".txt":
        if of_catalogue:
            observe(Note(f"{output} will hold bare translations, a line each; named .po it would be a catalogue."))
        return _write_lines
    if not of_catalogue:
        raise ConfigError(
            f"{output} is a catalogue, and {source} is none.",
            "Give a .po file as --input, or write .txt.",
            id="output.unfit-format",
        )

    def write_catalogue(draft: Path, rows: Iterator[dict[str, Any]]) -> None:
        said = (row["prediction"] for row in rows)
        gettext_catalogue.write(Path(source), draft, said, everything=bool(options.get("retranslate")))

    return write_catalogue


def _write_lines(draft: Path, rows: Iterator[dict[str, Any]]) -> None:
    """Write one line for each row; one without an answer is an empty line."""
    with draft.open("w", encoding="utf-8", errors="replace") as stream:
        stream.writelines(" ".join((row["prediction"] or "").split()) + "\n" for row in rows)


def _chunks(rows: Iterator[Row], size: int, *, arriving: bool) -> Iterator[list[Row]]:
    """Yield rows some at a time: as many as fit, or as many as have arrived where nobody is to wait for more."""
    if arriving:
        yield from row_stream.as_they_come(rows, size)
        return
    yield from row_stream.in_chunks(rows, size)


def _untaken(chunk: list[Row]) -> list[Row]:
    """Refuse rows with a column that the output needs, wherever in the file they stand; return them otherwise."""
    names = {name for row in chunk for name in row.values}
    taken = sorted(name for name in names if name in ADDED or name.startswith("score: "))
    if taken:
        raise DataError(
            f"The input has a column `{taken[0]}` already, which the output needs.",
            "Rename it in the input.",
            id="data.column-taken",
        )
    return chunk


def _roles(source: str, first: Sequence[Row], inputs: Sequence[Column], named: Mapping[str, str]) -> dict[str, str]:
    """Decide by the first rows which column plays which role: as named for training, where the input has that one."""
    names = list(dict.fromkeys(n for row in first for n in row.values if not (row.problem and n == row_stream.UNREAD)))
    roles = [column.role for column in inputs]
    likely = headers.likely_names(names, [[row.values.get(name) for name in names] for row in first])
    chosen = {role: name for role, name in named.items() if role in roles and name in names}
    try:
        return columns.find(names, inputs, chosen, likely=likely)
    except DataError as error:
        raise _other_kind(source, inputs) or error from None


def _other_kind(source: str, inputs: Sequence[Column]) -> DataError | None:
    """Say that texts were given to a model of pictures, or pictures to one of texts; None where it is neither."""
    of_pictures = any(column.kind.files is not None for column in inputs)
    folder = None if of_pictures else _root(source)
    if folder is not None and folder.is_dir():
        tables = [file for file in files(folder) if file.suffix.lower() in row_stream.SUFFIXES]
        if 0 < len(tables) <= MOST_TABLES:
            listed = ", ".join(file.relative_to(folder).as_posix() for file in tables)
            return DataError(
                f"{source} holds {len(tables)} files, and predictions are written for one table: {listed}.",
                f"Name one of these with --input{'' if folder == Path(source) else ', unpacked'}.",
                id="source.ambiguous",
            )
        return DataError(
            f"{source} is a folder, as models of pictures take, and this model reads texts.",
            "Give a file of texts, one a line, or a table with a column of them.",
            id="data.wrong-kind",
        )
    if of_pictures and (source == row_stream.STANDARD_INPUT or Path(source).suffix.lower() in (".txt", ".po")):
        return DataError(
            f"{source} holds lines of text, and this model reads pictures.",
            "Give a folder of pictures, or a table with a column of their file names.",
            id="data.wrong-kind",
        )
    return None


def _root(source: str) -> Path | None:
    if source == row_stream.STANDARD_INPUT:
        return None
    return row_stream.table_in(Path(source))
