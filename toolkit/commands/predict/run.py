"""Predict every row of a file in bounded memory, and write the predictions next to the rows."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from toolkit.commands.evaluate.stored_model import find_stored, stored_card
from toolkit.commands.explain.service import Explainer, explainer_for
from toolkit.commands.finetune.resume import terminable
from toolkit.commands.predict.answer_options import USUAL, AnswerOptions
from toolkit.commands.predict.identity import identity
from toolkit.commands.predict.input_rows import (
    assign_columns,
    in_chunks,
    no_rows,
    note_assumptions,
    output_dialect,
    read_rows,
    root_of,
    vocabulary_warning,
    without_taken_columns,
)
from toolkit.commands.predict.outcome import PredictedFile, PredictionCounts
from toolkit.commands.predict.output_formats import WRITTEN_TEXTS, Write, writer
from toolkit.commands.predict.predictor import Predictor
from toolkit.data import resumable_output
from toolkit.data.sources import row_stream
from toolkit.data.sources.csv_dialect import Dialect
from toolkit.data.sources.row_formats import Row
from toolkit.data.tables import wording
from toolkit.errors import ConfigError, DataError, Interrupted
from toolkit.evaluation.stored_calibration import stored_temperature
from toolkit.events import Counted, Event, Note, Observe, Stage
from toolkit.inference.model import StoredModel
from toolkit.runs.lock import sole_writer
from toolkit.tasks.task import AnswerFormat

CHUNK = 4096  # rows in memory at a time, and in a part on disk; within them batches are of like lengths
EXPLAINED = 64  # where each is explained, which takes long: so many are done again after a kill
WRITTEN = 512  # the same where answers are written token by token, which takes longer


def predict(
    target: str,
    source: str,
    output: Path,
    values: Mapping[str, Any],
    recipe_name: str | None,
    observe: Observe,
    *,
    explained: bool = False,
    wanted: AnswerOptions = USUAL,
    receive: Callable[[dict[str, Any]], None] | None = None,
    command: str = "the same command",
) -> PredictedFile:
    """Predict every row of a file.

    Args:
        target: Run directory, alias, folder or Hub id.
        source: File to read, or "-" for standard input.
        output: File to write; its name decides the format; with "-" the rows are passed to `receive`.
        values: Nested configuration values laid over the stored ones.
        recipe_name: The task; the one stored with the model when None.
        observe: Called with each event.
        explained: Also write an explanation of each prediction.
        wanted: What is answered, and what is promised of it.
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
    write = writer(recipe, config.options, source, output, observe)
    inputs = recipe.task.named_inputs(config.options)
    stored = StoredModel(checkpoint.path, recipe, labels, config, slim=not explained, observe=observe)
    size = EXPLAINED if explained else WRITTEN if recipe.generate is not None else CHUNK
    arriving = receive is not None and source == row_stream.STANDARD_INPUT
    chunks = in_chunks(read_rows(source, values, config, inputs), size, arriving=arriving)
    limits = wanted.limits(stored)
    written = recipe.target.empty(AnswerFormat(labels, calibrated=False, all_scores=False, limits=limits))
    chunks = map(partial(without_taken_columns, written=written), chunks)
    note_assumptions(source, values, observe)
    head = _first_chunk(source, chunks)
    roles = assign_columns(source, head, inputs, config.data.columns, values)
    explainer = _explainer(target, stored) if explained else None
    temperature = stored_temperature(stored_card(checkpoint))
    unread = vocabulary_warning(head, inputs, roles, stored)
    if unread is not None:
        observe(Note(unread))
    chunks = itertools.chain([head], chunks)
    from_text = recipe.generate is not None and inputs[0].kind.plain is not None  # which may hold markup
    counts = PredictionCounts(roles[inputs[0].role] if from_text else None)
    predictor = Predictor(
        stored, inputs, roles, temperature, wanted.all_scores, root_of(source), explainer, limits, counts.add_cut
    )
    if receive is not None:
        observe(Stage("Predicting rows as they arrive"))
        _predict_arriving(predictor, chunks, counts, receive)
    else:
        read = partial(read_rows, source, values, config, inputs)
        written_as = output_dialect(source, output, values)
        work = _Work(source, read, output, write, [size, explained, *astuple(wanted)], command, written_as)
        with sole_writer(output):
            resumable_output.check_output(output, WRITTEN_TEXTS)  # another process may have made it since
            _write_parts(work, predictor, chunks, counts, observe)
    counts.remark(config.data.max_length if recipe.task.longest_by_tokens else None, observe)
    return counts.outcome(output if receive is None else None, written_as if receive is None else None)


def _first_chunk(source: str, chunks: Iterator[list[Row]]) -> list[Row]:
    """Return the first rows.

    Raises:
        DataError: There are none.
    """
    head = next(chunks, [])
    if not head and Path(source).suffix.lower() == ".po":
        raise DataError(
            f"{source} contains no message without a translation.",
            "Use --retranslate to translate all messages again.",
            id="data.nothing-to-translate",
        )
    if not head:
        raise no_rows(source)
    return head


def _predict_arriving(
    predictor: Predictor,
    chunks: Iterator[list[Row]],
    counts: PredictionCounts,
    receive: Callable[[dict[str, Any]], None],
) -> None:
    """Predict rows as they arrive, and pass each on with its prediction."""
    with _stoppable(counts, "predicted", "Continue with the rows after them."):
        for chunk in chunks:
            answers = predictor.answer(chunk)
            counts.add(answers)
            for answer in answers:
                receive(answer)


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
        dialect: How an output of CSV is written.
    """

    source: str
    read: Callable[[], Iterator[Row]]
    output: Path
    write: Write | None
    rows: Sequence[Any]
    command: str
    dialect: Dialect


def _write_parts(
    work: _Work, predictor: Predictor, chunks: Iterator[list[Row]], counts: PredictionCounts, observe: Observe
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
        table = row_stream.table_in(Path(work.source)) if of_file else None
        for note in resumable_output.finish(output, number, work.write, table, work.dialect):
            observe(Note(note))


def _counted(observe: Observe, before: int, total: int | None) -> Observe | None:
    """Return an observer that turns the progress of a part into that of all rows; None if their number is unknown."""
    if total is None:
        return None

    def report(event: Event) -> None:
        if isinstance(event, Counted):
            observe(Counted(before + event.done, total))

    return report


@contextmanager
def _stoppable(counts: PredictionCounts, done: str, again: str) -> Iterator[None]:
    """On Ctrl-C and SIGTERM, report how many rows are done and how to resume."""
    with terminable():
        try:
            yield
        except KeyboardInterrupt:
            rows = "1 row is" if counts.rows == 1 else f"{counts.rows:,} rows are"
            raise Interrupted(f"Stopped: {rows} {done}.", again, id="run.interrupted") from None


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
