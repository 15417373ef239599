"""Explain translations: the source word of each word, and how reliable that is."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit import runs
from toolkit.commands.evaluate.inputs import EvaluationInputs
from toolkit.commands.explain import store as explain_store
from toolkit.commands.explain.request import (
    MOST_TEXTS,
    Budget,
    ExplanationRequest,
    RecipeAndConfig,
    Texts,
    lines_or_table,
)
from toolkit.data.tables import columns
from toolkit.errors import ConfigError, DataError
from toolkit.evaluation.context import clusters
from toolkit.evaluation.statistics.clusters import Integers, kept
from toolkit.evaluation.statistics.intervals import bootstrap, paired_difference
from toolkit.events import Counted, Note, Observe, Stage
from toolkit.explanation.translations import error_rate
from toolkit.explanation.translations import links as alignment
from toolkit.explanation.translations.error_rate import Gold
from toolkit.explanation.translations.links import PairResult
from toolkit.explanation.trust import LEAST_TEXTS
from toolkit.inference.encode import encode_rows
from toolkit.inference.model import LoadedModel, StoredModel
from toolkit.inference.predict_features import predict_features
from toolkit.report.document.head import head
from toolkit.report.pages.attention import alignment as document
from toolkit.report.plots import explanation_images
from toolkit.runs.lock import sole_writer

Figure = dict[str, float]


def read_pairs(path: Path, subject: RecipeAndConfig) -> list[Texts]:
    """Read the lines of a .txt file, or a table of sources, with their translations where it has them."""
    return lines_or_table(path, lambda table: _pairs_of(table, subject), subject, "source")


def _pairs_of(table: pa.Table, subject: RecipeAndConfig) -> list[Texts]:
    task = subject.recipe.task
    wanted = [
        replace(column, required=column.role != task.target.role) for column in task.named(subject.config.options)
    ]
    named = {role: name for role, name in subject.config.data.columns.items() if name in table.column_names}
    roles = columns.find(table.column_names, wanted, named)
    sides = [table[name].to_pylist() for name in (roles[column.role] for column in wanted if column.role in roles)]
    return [tuple(str(text) for text in row) for row in zip(*sides, strict=True) if all(row)]


def explain(
    subject: EvaluationInputs, request: ExplanationRequest, output: str | None, command: str, observe: Observe
) -> tuple[Path, dict[str, Any]]:
    """Align translations with their sources; translations that are not given are the model's own.

    Returns:
        The folder, and the explanation as explanation.json holds it.

    Raises:
        ConfigError: The gold alignment is of other texts.
        ModelError: The attention cannot be recorded.
    """
    if request.methods:
        raise ConfigError(
            "Translations are explained by word alignment only.",
            "Remove --method, which is for classification.",
            id="config.not-for-task",
        )
    if request.pictures:
        explanation_images.check()
    created, budget = datetime.now(UTC), Budget.of(request.minutes)
    golds = None if request.gold is None else error_rate.read_gold(request.gold)
    given = [pair for pair in request.texts if isinstance(pair, tuple)]
    if golds is not None:
        _check_gold(request.gold, golds, given)
    notes = []
    if len(given) > MOST_TEXTS and golds is None:
        notes.append(f"The page shows the first {MOST_TEXTS} of {len(given):,} texts.")
        given = given[:MOST_TEXTS]
    stored = subject.stored(observe, slim=False)
    loaded = stored.loaded
    observe(Stage(f"Aligning {len(given)} translation{'s' if len(given) > 1 else ''}"))
    pairs = _translated(loaded, given)
    within = budget.part(0.5) if request.rows else budget
    results = _score_pairs(loaded, pairs, observe, within, by_spaces=golds is not None)
    if len(results) < len(pairs):
        notes.append(f"The time limit allowed {len(results)} of {len(pairs)} translations; raise --minutes for more.")
        golds = None if golds is None else golds[: len(results)]
    collate = partial(loaded.recipe.collate, processor=loaded.processor)
    known = alignment.readings(loaded.model, results[0].pair, collate)
    if request.rows:
        trust = measure(stored, subject.rows, request.rows, subject.run, observe, budget)
    else:
        trust = explain_store.find_measurement(subject.run, stored)
    chosen = trust["reading"] if trust else alignment.usual(known)
    for text in notes:
        observe(Note(text))
    built = document.build(
        results,
        chosen,
        known,
        trust,
        None if golds is None else _error_rates(request.gold, golds, results, chosen, subject),
        golds,
        head=head(command, created),
        model={"name": subject.checkpoint.name, "origin": subject.checkpoint.origin},
        notes=notes,
        to_measure=request.to_measure,
    )
    folder = explain_store.folder(subject, output, created)
    with sole_writer(folder):
        runs.write_json(folder / "explanation.json", built)
        runs.write_text(folder / "explanation.html", document.to_html(built))
        if request.pictures:
            document.draw(built, folder)
    return folder, built


def _check_gold(file: Path | None, golds: Sequence[Gold], given: Sequence[Texts]) -> None:
    if any(len(texts) < 2 for texts in given):
        raise ConfigError(
            "A gold alignment needs given translations, and there are none.",
            "Give a table of sources and translations with --file.",
            id="data.gold-mismatch",
        )
    if len(golds) != len(given):
        raise ConfigError(
            f"{file} has {len(golds)} lines, and there are {len(given)} pairs of texts.",
            "Write one line per pair, in the same order; an empty line where nothing is aligned.",
            id="data.gold-mismatch",
        )
    for number, (gold, (source, target, *_)) in enumerate(zip(golds, given, strict=True), 1):
        sizes = len(source.split()), len(target.split())
        for link in sorted(gold.possible):
            if link[0] >= sizes[0] or link[1] >= sizes[1]:
                raise DataError(
                    f"{file}, line {number}: {link[0]}-{link[1]} is out of range for the pair, which has {sizes[0]} "
                    f"and {sizes[1]} words.",
                    "Number the words between spaces from 0; the source word comes first.",
                    id="data.gold-mismatch",
                )


def _translated(loaded: LoadedModel, given: Sequence[Texts]) -> list[tuple[str, str]]:
    """Add the model's own translation to each text that has none."""
    role = loaded.recipe.columns[0].role
    alone = [texts[0] for texts in given if len(texts) < 2]
    if not alone:
        return [(texts[0], texts[1]) for texts in given]
    rows = pa.table({role: pa.array(alone, pa.string())})
    features = encode_rows(rows, loaded)
    translations = iter(predict_features(loaded, features).columns["prediction"])
    return [(texts[0], texts[1] if len(texts) > 1 else next(translations)) for texts in given]


def _score_pairs(
    loaded: LoadedModel, pairs: Sequence[tuple[str, str]], observe: Observe, budget: Budget, *, by_spaces: bool
) -> list[PairResult]:
    """Align pairs, at least one, within the time limit."""
    recipe, config = loaded.recipe, loaded.config
    source, target = recipe.columns[0].role, recipe.task.target.role
    collate = partial(recipe.collate, processor=loaded.processor)
    results = []
    for number, texts in enumerate(pairs, 1):
        rows = {source: [texts[0]], target: [texts[1]]}
        features = {name: values[0] for name, values in loaded.preprocess(rows).items()}
        pair = alignment.bitext(*texts, features, loaded.processor, by_spaces=by_spaces)
        if not pair.source_words:
            raise DataError(
                f"Text {number}, “{texts[0]}”, contains no word.",
                "Give a sentence, or leave it out.",
                id="data.empty-text",
            )
        results.append(alignment.score_pair(loaded.model, pair, collate, config.evaluation.batch_size))
        observe(Counted(number, len(pairs)))
        if budget.spent():
            break
    return results


def measure(
    stored: StoredModel, rows: pa.Table, number: int, run: runs.Run | None, observe: Observe, budget: Budget
) -> dict[str, Any] | None:
    """Choose the layer whose attention is read on one half of some rows, and measure its reliability on the other.

    Args:
        stored: The model.
        rows: Sources with their translations.
        number: On how many of them, drawn at random.
        run: The run that keeps the result; None for a model that belongs to none.
        observe: Called with each event.
        budget: Until when.

    Returns:
        Figures; None where there are too few rows, or too little time.
    """
    source, target = stored.recipe.columns[0].role, stored.recipe.task.target.role
    pairs = list(zip(*(rows[role].to_pylist() for role in (source, target)), strict=True))
    seed = stored.config.training.seed
    drawn = [row for row in np.random.default_rng(seed).permutation(len(pairs))[:number] if all(pairs[row])]
    together = kept(clusters(stored.recipe.task, rows, stored.config.data.group_column), np.array(drawn, np.int64))
    pairs = [pairs[row] for row in drawn]
    if len(pairs) < 4:
        observe(Note("The reliability of attention was not measured: that needs four pairs."))
        return None
    of_groups = [] if together is None else [together.tolist()]
    store = explain_store.measurement(run, stored, ["alignment", pairs, *of_groups])
    if store is not None and store.is_file():
        return runs.read_object(store)
    observe(Stage(f"Measuring the reliability of attention on {len(pairs)} pairs"))
    loaded = stored.loaded
    results = _score_pairs(loaded, pairs, observe, budget, by_spaces=False)
    if len(results) < min(len(pairs), LEAST_TEXTS):
        observe(Note("The time limit was too short to measure the reliability of attention; raise --minutes."))
        return None
    known = alignment.readings(
        loaded.model, results[0].pair, partial(loaded.recipe.collate, processor=loaded.processor)
    )
    for_choice = _one_half(np.arange(len(results)) if together is None else together[: len(results)])
    selection, held_out = ([results[place] for place in np.flatnonzero(half)] for half in (for_choice, ~for_choice))
    if not selection or not held_out:
        observe(Note("The reliability of attention was not measured: all pairs are of one group."))
        return None
    shares = [
        _share(alignment.agreement(alignment.read_at(number), selection).sum(axis=0)) for number in range(len(known))
    ]
    best = int(np.argmax(shares))
    evaluation = stored.config.evaluation
    settings: dict[str, Any] = {
        "confidence": evaluation.confidence, "resamples": evaluation.resamples, "seed": seed,
        "clusters": None if together is None else kept(together[: len(results)], np.flatnonzero(~for_choice)),
    }  # fmt: skip
    counted = [alignment.agreement(alignment.read_at(number), held_out) for number in range(len(known))]
    plain = alignment.agreement(None, held_out)
    measured = {
        "texts": len(held_out),
        "words": int(plain[:, 1].sum()),
        "confidence": evaluation.confidence,
        "reading": best,
        "attention": _figure(bootstrap(counted[best], _share, **settings)),
        "diagonal": _figure(bootstrap(plain, _share, **settings)),
        "lead": _figure(paired_difference(counted[best], plain, _share, **settings)),
        "readings": [float(_share(counts.sum(axis=0))) for counts in counted],
    }
    if store is not None and len(results) == len(pairs):
        runs.write_json(store, measured)
    return measured


def _one_half(units: Integers) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which rows belong to every second unit, in the order in which units come first."""
    _, first, unit = np.unique(units, return_index=True, return_inverse=True)
    place = np.argsort(np.argsort(first))
    half: np.ndarray[Any, np.dtype[np.bool_]] = place[unit] % 2 == 0
    return half


def _share(sums: Any) -> Any:
    return sums[..., 0] / np.maximum(sums[..., 1], 1)


def _figure(interval: Any) -> Figure:
    return {"value": float(interval.value), "low": float(interval.low), "high": float(interval.high)}


def _error_rates(
    file: Path | None, golds: Sequence[Gold], results: Sequence[PairResult], chosen: int, subject: EvaluationInputs
) -> dict[str, Any]:
    """Return the alignment error rate of attention, of leaving words out, of the diagonal and of chance."""
    evaluation, seed = subject.config.evaluation, subject.config.training.seed
    settings: dict[str, Any] = {
        "confidence": evaluation.confidence, "resamples": evaluation.resamples, "seed": seed,
    }  # fmt: skip
    sizes = [(len(result.pair.source_words), len(result.pair.target_words)) for result in results]
    methods: dict[str, Callable[[PairResult], Any]] = {
        "attention": lambda result: alignment.links(result.attention[chosen], result.pair),
        "falls": lambda result: alignment.links(result.falls, result.pair),
    }
    made = {name: [method(result) for result in results] for name, method in methods.items()}
    made["diagonal"] = [error_rate.diagonal(*size) for size in sizes]
    statistics = {
        name: np.array([error_rate.counts(*pair) for pair in zip(links, golds, strict=True)], np.float64)
        for name, links in made.items()
    }
    return {
        "source": Path(str(file)).name,
        "pairs": len(golds),
        "confidence": evaluation.confidence,
        **{name: _figure(error_rate.interval(links, golds, **settings)) for name, links in made.items()},
        "random": error_rate.random_rate(sizes, golds, seed),
        "lead": _figure(
            paired_difference(statistics["diagonal"], statistics["attention"], error_rate.error_rate, **settings)
        ),
    }
