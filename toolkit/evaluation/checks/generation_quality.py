"""Faults of generated texts, compared with those of the references; the worst texts; adherence to a glossary."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.config.settings import EvaluationConfig
from toolkit.data.bitext.markup import markup, numbers
from toolkit.data.bitext.pair_filters import MARGIN, Sides, is_copy
from toolkit.data.formats.csv_files import csv_lines, find_delimiter, returned
from toolkit.data.formats.text_decoding import open_text
from toolkit.errors import DataError, SourceError
from toolkit.evaluation import scores
from toolkit.evaluation.check import Check
from toolkit.evaluation.context import EvaluationContext, places
from toolkit.evaluation.statistics.clusters import Integers, kept
from toolkit.evaluation.statistics.intervals import Interval, share
from toolkit.metrics import Metric, load

SHOWN = 5  # examples of a fault
WORST = 20  # worst texts
LENGTH = 2.0  # ratio from which a text is too long or too short for its reference
_SPARE = 10  # characters that short texts may differ by
_REPEATS = 3  # repetitions in sequence that count as a fault


@dataclass(frozen=True)
class Fault:
    """A test of a generated text.

    Attributes:
        name: Its key.
        title: As in the report, of the failing texts.
        applies: (source, reference) → whether it applies.
        fails: (source, reference, text) → whether the text fails.
    """

    name: str
    title: str
    applies: Callable[[str, str], bool]
    fails: Callable[[str, str, str], bool]


def _repeats(text: str) -> bool:
    """Whether one to four words are repeated three times or more in sequence, or a letter ten times."""
    words = text.split()
    for size in range(1, 5):
        run = 0
        for at in range(size, len(words)):
            run = run + 1 if words[at] == words[at - size] and any(map(str.isalpha, words[at])) else 0
            if run >= size * (_REPEATS - 1):
                return True
    return re.search(r"(\w)\1{9}", text) is not None


CHECKS = (
    Fault("empty", "Empty output", lambda _s, _r: True, lambda _s, _r, output: not output.strip()),
    Fault(
        "markup",
        "Placeholders or markup changed",
        lambda source, _r: bool(markup(source)),
        lambda source, _r, output: markup(output) != markup(source),
    ),
    Fault(
        "numbers",
        "A number is missing",
        lambda source, _r: bool(numbers(source)),
        lambda source, _r, output: bool(numbers(source) - numbers(output)),
    ),
    Fault(
        "short",
        "Less than half as long as the reference",
        lambda _s, _r: True,
        lambda _s, reference, output: LENGTH * (len(output) + _SPARE) < len(reference) + _SPARE,
    ),
    Fault(
        "long",
        "More than twice as long as the reference",
        lambda _s, _r: True,
        lambda _s, reference, output: len(output) + _SPARE > LENGTH * (len(reference) + _SPARE),
    ),
    Fault(
        "repetition",
        "Repeated words",
        lambda source, _r: not _repeats(source),
        lambda _s, _r, output: _repeats(output),
    ),
)


def section(
    sources: Sequence[str],
    columns: Mapping[str, Sequence[Any]],
    references: Sequence[str],
    rows: pa.Table,
    metrics: Sequence[Any],
    config: EvaluationConfig,
    clusters: Integers | None = None,
    claimed: float | None = None,
) -> dict[str, Any]:
    """Return the report's section on generated texts.

    Args:
        sources: The source texts.
        columns: "prediction", the generated text, and if known "cut": whether it was truncated at its limit.
        references: The correct texts.
        rows: The examples.
        metrics: The recipe's; the worst texts are selected by the first.
        config: Confidence, and the glossary.
        clusters: Number of each example's cluster; None where examples are independent. Shape (N,).
        claimed: Confidence of the claims that faults are more frequent than in references, jointly; that of the
            settings when None.
    """
    outputs = [text or "" for text in columns["prediction"]]
    where = places(rows)

    def shown(row: int, remark: str = "") -> dict[str, Any]:
        file, number = where[row]
        return {
            "file": file,
            "row": number,
            "source": sources[row],
            "reference": references[row],
            "written": outputs[row],
            "remark": remark,
        }

    checks = []
    found = [part for part in _check_rows(sources, outputs, references, columns.get("cut")) if part[1]]
    joint = 1 - (1 - (config.confidence if claimed is None else claimed)) / max(1, len(found))
    for check, applicable, failed, references_failed in found:
        interval = _share(failed, applicable, joint, clusters)
        checks.append(
            {
                "name": check.name,
                "title": check.title,
                "tried": len(applicable),
                "failed": {"value": interval.value, "low": interval.low, "high": interval.high},
                "references_failed": None if references_failed is None else len(references_failed) / len(applicable),
                "clear": interval.low > _share(references_failed or (), applicable, joint, clusters).high,
                "failures": [shown(row, check.title) for row in failed[:SHOWN]],
            }
        )
    _, metric = load(metrics[0])
    result: dict[str, Any] = {"confidence": config.confidence, "failed_confidence": joint, "checks": checks}
    if isinstance(metric, Metric):
        each = np.asarray(metric.aggregate(metric.statistics(outputs, references, ())), np.float64)
        order = np.argsort(each if metric.higher_is_better else -each, kind="stable")[:WORST]
        result["worst"] = [{**shown(int(row)), "score": float(each[row])} for row in order]
        result["worst_by"] = metric.title
    if config.glossary is not None:
        result["glossary"] = _glossary(config.glossary, sources, outputs, references, config.confidence, clusters)
    return result


def _share(failed: Sequence[int], among: Sequence[int], confidence: float, clusters: Integers | None) -> Interval:
    """Return the share of rows that fail, with Wilson's interval."""
    return share(np.isin(among, failed), np.ones(len(among), bool), confidence, kept(clusters, among))


FaultRows = tuple[Fault, Sequence[int], Sequence[int], Sequence[int] | None]


def _check_rows(
    sources: Sequence[str], outputs: Sequence[str], references: Sequence[str], cut: Sequence[bool] | None
) -> list[FaultRows]:
    """Apply every check to predictions and references: (check, rows, failed, references that fail)."""
    results: list[FaultRows] = []
    for check in CHECKS:
        applicable = [row for row, source in enumerate(sources) if check.applies(source, references[row])]
        failed = [row for row in applicable if check.fails(sources[row], references[row], outputs[row])]
        theirs = [row for row in applicable if check.fails(sources[row], references[row], references[row])]
        results.append((check, applicable, failed, theirs))
    every = range(len(sources))
    sides = Sides.learn(sources, references)
    lean = sides.lean(outputs) if sides is not None else np.zeros(len(outputs))
    theirs_lean = sides.lean(references) if sides is not None else lean
    copied = [row for row in every if is_copy(sources[row], outputs[row]) or lean[row] < -MARGIN]
    theirs = [row for row in every if is_copy(sources[row], references[row]) or theirs_lean[row] < -MARGIN]
    plain = Fault("untranslated", "Not translated", lambda _s, _r: True, lambda _s, _r, _a: False)
    results.append((plain, every, copied, theirs))
    if cut is not None:
        ended = Fault("cut", "Truncated at the maximum length", plain.applies, plain.fails)
        results.append((ended, every, [row for row in every if cut[row]], None))
    return results


# --- glossary -------------------------------------------------------------------------------------------------------


def read_glossary(path: Path) -> list[tuple[str, str]]:
    """Read terms and their translations: the first two columns of a CSV or TSV file, with or without a header.

    Raises:
        SourceError: There is no such file.
        DataError: It has no two columns.
    """
    if not path.is_file():
        raise SourceError(
            f"There is no glossary {path}.", "Check the path given with --glossary.", id="source.file-missing"
        )
    with open_text(path, None) as stream:
        lines = [line for line in stream if line.strip()]
    delimiter = "\t" if path.suffix.lower() in (".tsv", ".tab") else find_delimiter(lines[0] if lines else "")
    rows = [
        [field.strip() for field in row] for row in map(returned, csv.reader(csv_lines(lines), delimiter=delimiter))
    ]
    terms = [(row[0], row[1]) for row in rows if len(row) > 1 and row[0] and row[1]]
    if terms and {terms[0][0].casefold(), terms[0][1].casefold()} & {"source", "target", "term", "translation"}:
        terms = terms[1:]
    if not terms:
        raise DataError(
            f"The glossary {path} has no terms.", "Write a term and its translation in each line.", id="data.no-rows"
        )
    return terms


def check_glossary(config: EvaluationConfig) -> None:
    """Read the glossary that is named, if one is, before training or prediction.

    Raises:
        SourceError: There is no such file.
        DataError: It holds no terms.
    """
    if config.glossary is not None:
        read_glossary(Path(config.glossary))


def _glossary(
    file: str,
    sources: Sequence[str],
    outputs: Sequence[str],
    references: Sequence[str],
    confidence: float,
    clusters: Integers | None,
) -> dict[str, Any]:
    """Return how often a term in a source is translated by the glossary's term, and how often in the references."""
    terms = list(dict.fromkeys(read_glossary(Path(file))))
    tried: Counter[tuple[str, str]] = Counter()
    by_term: Counter[tuple[str, str]] = Counter()
    holding: list[int] = []  # the row of each occurrence of a term
    hits: list[bool] = []
    theirs = 0
    for term, translation in terms:
        term_pattern, translation_pattern = _word(term), _word(translation)
        for row, (source, answer, reference) in enumerate(zip(sources, outputs, references, strict=True)):
            if term_pattern.search(source):
                tried[term, translation] += 1
                holding.append(row)
                hits.append(translation_pattern.search(answer) is not None)
                by_term[term, translation] += hits[-1]
                theirs += translation_pattern.search(reference) is not None
    total = tried.total()
    whole = share(hits, np.ones(total, bool), confidence, kept(clusters, holding)) if total else None
    rows = [
        {
            "term": pair[0],
            "translation": pair[1],
            "tried": tried[pair],
            "kept": by_term[pair] / tried[pair] if tried[pair] else None,
        }
        for pair in terms
    ]
    return {
        "source": Path(file).name,
        "kept": None if whole is None else {"value": whole.value, "low": whole.low, "high": whole.high},
        "references_kept": theirs / total if total else None,
        "terms": sorted(rows, key=lambda row: (row["tried"] == 0, row["kept"], -row["tried"])),
    }


def _word(term: str) -> re.Pattern[str]:
    """Return a pattern that finds a term at the beginning of a word, with any ending, ignoring case."""
    return re.compile(rf"(?<!\w){re.escape(term)}", re.IGNORECASE)


def _run(context: EvaluationContext) -> dict[str, Any]:
    texts = context.recipe.task.texts_in(context.rows)
    sources = [scores.shown_text(row, context.recipe.task.inputs) for row in context.rows.select(texts).to_pylist()]
    metrics, settings = context.recipe.metrics, context.config.evaluation
    measured = (sources, context.columns, context.references, context.rows, metrics, settings, context.clusters)
    return section(*measured, context.claims["writing"])


CHECK = Check("writing", _run, applies=lambda task: task.written)
