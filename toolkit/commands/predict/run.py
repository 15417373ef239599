"""Predict every row of a file in bounded memory, and write the predictions next to the rows."""

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
from toolkit.commands.predict.predictor import Predictor
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

CHUNK = 4096  # rows in memory at a time, and in a part on disk; batches within them have similar lengths
MOST_TABLES = 20  # in a folder; more are texts, one in each file
EXPLAINED = 64  # with explanations, which take long: at most so many are repeated after a kill
WRITTEN = 512  # the same for generated texts, which take longer
WRITTEN_TEXTS = (".txt", ".po")  # formats that contain only the generated texts
ADDED = ("prediction", "score", "calibrated_score", "explanation", "problem")


@dataclass(frozen=True)
class Predicted:
    """The outcome.

    Attributes:
        output: The file; None for standard output.
        rows: How many rows it has.
        bad: How many of them have no prediction.
        first: The first such row and its problem.
        marked: Number of rows with placeholders or markup; None where predictions are not texts.
        kept: How many of their predictions keep them.
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
    receive: Callable[[dict[str, Any]], None] | None = None,
    command: str = "the same command",
) -> Predicted:
    """Predict every row of a file.

    Args:
        target: Run directory, alias, folder or Hub id.
        source: File to read, or "-" for standard input.
        output: File to write; its name decides the format; with "-" the rows are passed to `receive`.
        values: Nested configuration values laid over the stored ones.
        recipe_name: The task; the one stored with the model when None.
        observe: Called with each event.
        all_scores: Write the score of every class.
        explained: Also write an explanation of each prediction.
        receive: Called with each row and its prediction as soon as it is computed, where the output is "-".
        command: The command line that resumes after a stop.

    Raises:
        CallError: Input, output or model cannot be used.
        Interrupted: Ctrl-C or SIGTERM.
    """
    if receive is None:
        if output.exists() and Path(source).exists() and output.samefile(source):
            raise ConfigError(f"{output} is also the input.", "Give another --output.", id="output.is-input")
        resumable_output.check_output(output, WRITTEN_TEXTS)
    row_stream.check_input(source)
    observe(Stage("Locating the model"))
    checkpoint, recipe, config, labels = find_stored(target, values, recipe_name)
    write = _writer(recipe, config.options, source, output, observe)
    inputs = recipe.task.named_inputs(config.options)
    stored = StoredModel(checkpoint.path, recipe, labels, config, slim=not explained, observe=observe)
    size = EXPLAINED if explained else WRITTEN if recipe.target.written else CHUNK
    arriving = receive is not None and source == row_stream.STANDARD_INPUT
    chunks = _chunks(_rows(source, values, config.options), size, arriving=arriving)
    chunks = map(_untaken, chunks)
    head = next(chunks, [])
    if not head and Path(source).suffix.lower() == ".po":
        raise DataError(
            f"{source} contains no message without a translation.",
            "Use --retranslate to translate all messages again.",
            id="data.nothing-to-translate",
        )
    if not head:
        raise DataError(f"{source} contains no rows.", "Check that the file is complete.", id="data.no-rows")
    roles = _roles(source, head, inputs, config.data.columns)
    explainer = _explainer(target, stored) if explained else None
    temperature = stored_temperature(stored_card(checkpoint))
    unread = _unread(head, inputs, roles, stored)
    if unread is not None:
        observe(Note(unread))
    chunks = itertools.chain([head], chunks)
    counts = PredictionCounts(roles[inputs[0].role] if recipe.target.written else None)
    predictor = Predictor(stored, inputs, roles, temperature, all_scores, _root(source), explainer, counts.add_cut)
    if receive is not None:
        observe(Stage("Predicting rows as they arrive"))
        with _stoppable(counts, "predicted", "Continue with the rows after them."):
            for chunk in chunks:
                answers = predictor.answer(chunk)
                counts.add(answers)
                for answer in answers:
                    receive(answer)
        counts.remark(config.data.max_length, observe)
        return counts.outcome(None)
    work = _Work(
        source, lambda: _rows(source, values, config.options), output, write, [size, all_scores, explained], command
    )
    with sole_writer(output):
        resumable_output.check_output(output, WRITTEN_TEXTS)  # another process may have made it since
        _write_parts(work, predictor, chunks, counts, observe)
    counts.remark(config.data.max_length, observe)
    return counts.outcome(output)


@dataclass(frozen=True)
class _Work:
    """The input, the output and the format.

    Attributes:
        source: The file that is read; "-" for standard input.
        read: Reads its rows from the first on.
        output: The file that is written.
        write: Writes it; None for a table.
        rows: Rows in a part, and the columns that are written.
        command: The command that resumes after a stop.
    """

    source: str
    read: Callable[[], Iterator[Row]]
    output: Path
    write: "Write | None"
    rows: Sequence[Any]
    command: str


def _write_parts(
    work: _Work, predictor: Predictor, chunks: Iterator[list[Row]], counts: "PredictionCounts", observe: Observe
) -> None:
    """Predict all rows part by part, keeping existing parts, and assemble the output."""
    output = work.output
    of_file = work.source != row_stream.STANDARD_INPUT  # standard input is read only once
    total = sum(1 for _ in work.read()) if of_file else None
    same = identity(predictor, Path(work.source), work.read, work.rows) if of_file else None
    kept = resumable_output.open_parts(output, same)
    if kept.parts:
        observe(Note(f"{kept.parts * work.rows[0]:,} rows were already predicted; resuming."))
    if kept.thrown_away:
        what = (
            "standard input is read from the start"
            if total is None
            else f"they were made with a different {', '.join(kept.differing)}"
        )
        many, were = wording.rows(kept.thrown_away)
        observe(Note(f"{many} {were} predicted before but discarded: {what}."))
    observe(Stage("Predicting the rows" if total is None else f"Predicting {total:,} rows"))
    number = 0
    again = "Standard input is read once: send all of it again." if total is None else f"Resume with: {work.command}"
    with _stoppable(counts, f"kept; {output} is written when all are predicted", again):
        for number, chunk in enumerate(chunks, 1):
            if number <= kept.parts:
                answers = resumable_output.read_part(output, number - 1)
            else:
                answers = predictor.answer(chunk, _counted(observe, counts.rows, total))
                resumable_output.write_part(output, number - 1, answers)
            counts.add(answers)
            if total is not None:
                observe(Counted(counts.rows, total))
        typed = Path(work.source) if Path(work.source).suffix.lower() == ".parquet" else None
        resumable_output.finish(output, number, work.write, typed)


def _counted(observe: Observe, before: int, total: int | None) -> Observe | None:
    """Return an observer that turns the progress of a part into that of all rows; None if their number is unknown."""
    if total is None:
        return None

    def report(event: Event) -> None:
        if isinstance(event, Counted):
            observe(Counted(before + event.done, total))

    return report


@contextmanager
def _stoppable(counts: "PredictionCounts", done: str, again: str) -> Iterator[None]:
    """On Ctrl-C and SIGTERM, report how many rows are done and how to resume."""
    with terminable():
        try:
            yield
        except KeyboardInterrupt:
            rows = "1 row is" if counts.rows == 1 else f"{counts.rows:,} rows are"
            raise Interrupted(f"Stopped: {rows} {done}.", again, id="run.interrupted") from None


@dataclass
class PredictionCounts:
    """Counts rows, rows without a prediction, and rows whose placeholders and markup were kept.

    Attributes:
        column: The input text of a generated text; None where predictions are not texts.
    """

    column: str | None = None
    rows: int = 0
    bad: int = 0
    first: str | None = None
    marked: int = 0
    kept: int = 0
    cut: int = 0

    def add(self, answers: Sequence[Mapping[str, Any]]) -> None:
        """Count some predictions."""
        wrong = [place for place, answer in enumerate(answers) if answer["problem"] is not None]
        if wrong and self.first is None:
            self.first = f"row {self.rows + wrong[0] + 1}: {answers[wrong[0]]['problem']}"
        self.bad += len(wrong)
        self.rows += len(answers)
        if self.column is not None:
            pairs = [(markup(str(answer[self.column] or "")), answer["prediction"]) for answer in answers]
            marked = [(marks, prediction) for marks, prediction in pairs if marks and prediction is not None]
            self.marked += len(marked)
            self.kept += sum(marks == markup(prediction) for marks, prediction in marked)

    def add_cut(self, rows: int) -> None:
        """Count truncated rows."""
        self.cut += rows

    def remark(self, longest: int, observe: Observe) -> None:
        """Report the number of truncated rows, without those of parts from an earlier call."""
        if self.cut:
            rows = " ".join(wording.rows(self.cut))
            observe(Note(f"{rows} truncated to {longest:,} tokens, the maximum of the model (data.max_length)."))

    def outcome(self, output: Path | None) -> Predicted:
        """Return the outcome for all rows."""
        marked = None if self.column is None else self.marked
        return Predicted(output, self.rows, self.bad, self.first, marked, self.kept)


def _unread(rows: Sequence[Row], inputs: Sequence[Column], roles: Mapping[str, str], stored: StoredModel) -> str | None:
    """Warn where the model's vocabulary lacks much of these rows' texts."""
    names = [roles[column.role] for column in inputs if column.kind.plain is not None and column.role in roles]
    if not names:
        return None
    texts = [" ".join(str(row.values.get(name) or "") for name in names) for row in rows if row.problem is None]
    translates = stored.recipe.target.written
    return vocabulary.unread(texts, stored.loaded.processor, translates=translates)


def _explainer(target: str, stored: StoredModel) -> Explainer:
    explainer = explainer_for(target, stored)
    if explainer is None:
        raise ConfigError(
            f"Predictions of {stored.config.recipe} cannot be explained: --explain is for tasks that choose one class "
            "for a text or a picture.",
            "Remove --explain.",
            id="model.not-a-classifier",
        )
    return explainer


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
    """Return the writer of plain lines or of a catalogue; None for tables, which also contain the rows.

    Raises:
        ConfigError: Predictions are not texts, or the input is not a catalogue.
    """
    suffix = output.suffix.lower()
    if suffix not in WRITTEN_TEXTS:
        return None
    if not recipe.target.written:
        raise ConfigError(
            f"{output} would contain only texts, but this task does not generate texts.",
            "Use a .csv file.",
            id="output.unfit-format",
        )
    of_catalogue = Path(source).suffix.lower() == ".po"
    if suffix == ".txt":
        if of_catalogue:
            observe(Note(f"{output} will contain one translation per line; for a catalogue use a .po file."))
        return _write_lines
    if not of_catalogue:
        raise ConfigError(
            f"{output} is a catalogue, but {source} is not.",
            "Give a .po file as --input, or a .txt file as --output.",
            id="output.unfit-format",
        )

    def write_catalogue(draft: Path, rows: Iterator[dict[str, Any]]) -> None:
        translations = (row["prediction"] for row in rows)
        gettext_catalogue.write(Path(source), draft, translations, everything=bool(options.get("retranslate")))

    return write_catalogue


def _write_lines(draft: Path, rows: Iterator[dict[str, Any]]) -> None:
    """Write one line for each row; an empty line for a row without a prediction."""
    with draft.open("w", encoding="utf-8", errors="replace") as stream:
        stream.writelines(" ".join((row["prediction"] or "").split()) + "\n" for row in rows)


def _chunks(rows: Iterator[Row], size: int, *, arriving: bool) -> Iterator[list[Row]]:
    """Yield rows in chunks: of the given size, or as many as have arrived where rows are streamed."""
    if arriving:
        yield from row_stream.as_they_come(rows, size)
        return
    yield from row_stream.in_chunks(rows, size)


def _untaken(chunk: list[Row]) -> list[Row]:
    """Refuse rows with a column that the output needs, anywhere in the file; return them otherwise."""
    names = {name for row in chunk for name in row.values}
    taken = sorted(name for name in names if name in ADDED or name.startswith("score: "))
    if taken:
        raise DataError(
            f"The input already has a column `{taken[0]}`, which the output needs.",
            "Rename it in the input.",
            id="data.column-taken",
        )
    return chunk


def _roles(source: str, first: Sequence[Row], inputs: Sequence[Column], named: Mapping[str, str]) -> dict[str, str]:
    """Assign columns to roles by the first rows: the names of training where the input has them."""
    names = list(dict.fromkeys(n for row in first for n in row.values if not (row.problem and n == row_stream.UNREAD)))
    roles = [column.role for column in inputs]
    likely = headers.likely_names(names, [[row.values.get(name) for name in names] for row in first])
    chosen = {role: name for role, name in named.items() if role in roles and name in names}
    try:
        return columns.find(names, inputs, chosen, likely=likely)
    except DataError as error:
        raise _other_kind(source, inputs) or error from None


def _other_kind(source: str, inputs: Sequence[Column]) -> DataError | None:
    """Return the error for texts given to a picture model, or pictures to a text model; None for neither."""
    of_pictures = any(column.kind.files is not None for column in inputs)
    folder = None if of_pictures else _root(source)
    if folder is not None and folder.is_dir():
        tables = [file for file in files(folder) if file.suffix.lower() in row_stream.SUFFIXES]
        if 0 < len(tables) <= MOST_TABLES:
            listed = ", ".join(file.relative_to(folder).as_posix() for file in tables)
            return DataError(
                f"{source} contains {len(tables)} files, but predictions are written for one table: {listed}.",
                f"Give one of these with --input{'' if folder == Path(source) else ', unpacked'}.",
                id="source.ambiguous",
            )
        return DataError(
            f"{source} is a folder, but this model reads texts, not pictures.",
            "Give a file with one text per line, or a table with a column of texts.",
            id="data.wrong-kind",
        )
    if of_pictures and (source == row_stream.STANDARD_INPUT or Path(source).suffix.lower() in (".txt", ".po")):
        return DataError(
            f"{source} contains lines of text, but this model reads pictures.",
            "Give a folder of pictures, or a table with a column of their paths.",
            id="data.wrong-kind",
        )
    return None


def _root(source: str) -> Path | None:
    if source == row_stream.STANDARD_INPUT:
        return None
    return row_stream.table_in(Path(source))
