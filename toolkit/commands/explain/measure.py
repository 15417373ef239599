"""Measure the faithfulness of each explanation method once for a run, and store the result."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit import runs
from toolkit.commands.explain import images, text, translations, word_labels
from toolkit.commands.explain import store as explain_store
from toolkit.commands.explain.inputs import aligns, examples_of, labels_words, reads_pictures
from toolkit.commands.explain.request import EXAMPLES, Budget
from toolkit.errors import ModelError
from toolkit.evaluation.context import EvaluationContext, clusters
from toolkit.evaluation.statistics.clusters import kept
from toolkit.events import Counted, Note, Observe, Stage
from toolkit.explanation import trust
from toolkit.explanation.attributions import available, described
from toolkit.inference.model import StoredModel
from toolkit.report.pages.attention.alignment import verdict as alignment_verdict
from toolkit.report.pages.attention.explanation import verdict

Figures = dict[str, Any]

_TOO_LITTLE = Note(f"Faithfulness was not measured: that needs two examples, or time for {trust.LEAST_TEXTS} of more.")


def measure(
    stored: StoredModel,
    rows: pa.Table,
    number: int,
    run: runs.Run | None,
    observe: Observe,
    budget: Budget,
    methods: Sequence[str] = (),
) -> Figures | None:
    """Measure the methods on examples of the model's data, or read an earlier measurement on the same ones.

    An incomplete measurement is not stored for later calls; the result is None where it covers too few examples.

    Args:
        stored: The model.
        rows: Examples.
        number: On how many of them, drawn at random.
        run: The run that keeps the result; None for a model that belongs to none.
        observe: Called with each event.
        budget: Until when.
        methods: Names; all that work for the model when empty.

    Raises:
        ModelError: The model's predictions cannot be explained.
    """
    if aligns(stored):
        return translations.measure(stored, rows, number, run, observe, budget)
    if labels_words(stored):
        raise ModelError(
            "The faithfulness of explanations is not measured for labels of words.",
            "Explain a text without --measure and --rows.",
            id="model.wrong-input",
        )
    examples = examples_of(rows, stored)
    seed = stored.config.training.seed
    drawn = np.random.default_rng(seed).permutation(len(examples))[:number]
    together = None
    if len(examples) == rows.num_rows:  # rows without a text have no example
        together = kept(clusters(stored.recipe.task, rows, stored.config.data.group_column), drawn)
    examples = [examples[row] for row in drawn]
    if len(examples) < 2:
        observe(_TOO_LITTLE)
        return None
    loaded = stored.whole().loaded
    model = images.model_for(loaded) if reads_pictures(stored) else text.model_for(loaded)
    methods = methods or available(text.attention_fits(loaded, examples[0]))
    named = [example if isinstance(example, tuple) else example["digest"] for example in examples]
    of_groups = [] if together is None else [together.tolist()]
    store = explain_store.measurement(run, stored, [named, list(methods), *of_groups])
    if store is not None and store.is_file():
        return runs.read_object(store)
    observe(Stage(f"Measuring the faithfulness of {', '.join(methods)} on {len(examples)} examples"))
    within = budget.part(0.4)
    if model.outcome.number:
        model = replace(model, outcome=replace(model.outcome, unit=_deviation(rows, stored)))
    choose = text.first_of(loaded)
    explained = [
        example for example, _ in text.explained(model, loaded, examples, methods, observe, within.spent, choose)
    ]
    if len(explained) < max(2, min(len(examples), trust.LEAST_TEXTS)):
        observe(_TOO_LITTLE)
        return None

    def report(stage: str, done: int, total: int) -> None:
        observe(Stage(stage) if done == 0 else Counted(done, total))

    result = trust.measure(
        model,
        explained,
        methods,
        confidence=stored.config.evaluation.confidence,
        resamples=stored.config.evaluation.resamples,
        seed=seed,
        mask=None if reads_pictures(stored) else getattr(loaded.processor, "mask_token_id", None),
        clusters=None if together is None else kept(together, np.arange(len(explained))),
        observe=report,
        within=lambda share: budget.part(share).spent,
    )
    whole = not trust.cut_short(result, len(examples))
    if store is not None and whole:
        runs.write_json(store, result)
    if not whole:
        observe(Note(f"The time limit allowed {result['texts']} measured examples; raise --minutes for more."))
    return result


def _deviation(rows: pa.Table, stored: StoredModel) -> float:
    """Return the standard deviation of the true numbers; 1 where there are none, or all are equal."""
    role = stored.recipe.task.target.role
    numbers = rows[role].drop_null().to_numpy() if role in rows.column_names else np.zeros(0)
    return float(np.std(numbers)) or 1.0 if len(numbers) else 1.0


def summary(stored: StoredModel, result: Mapping[str, Any] | None, command: str) -> dict[str, Any]:
    """Summarize a measurement in sentences: a headline, statements and warnings.

    Args:
        stored: The model.
        result: From `measure`.
        command: The command that measures it.
    """
    if aligns(stored):
        return alignment_verdict(result, None, command)
    if labels_words(stored):
        return dict(word_labels.VERDICT)
    return verdict(result, command, of_pictures=reads_pictures(stored))


def section(context: EvaluationContext, run: runs.Run | None, observe: Observe) -> dict[str, Any]:
    """Return the section of the report on how faithful the methods are; the run stores the measurement.

    Args:
        context: Rows, with the stored model.
        run: The run that the model belongs to.
        observe: Called with each event.
    """
    stored, unit_of = context.stored, context.recipe.task.explained_by
    if stored is None or (unit_of is None and not aligns(stored)):
        measured = "classes and numbers of texts or pictures, and for translations"
        return {"not_tested": f"Faithfulness is only measured for {measured}."}
    try:
        result = measure(stored, context.rows, EXAMPLES, run, observe, Budget())
    except ModelError as error:
        return {"not_tested": error.problem}
    if result is None:
        return {"not_tested": "There are too few examples to measure faithfulness."}
    if "reading" in result:
        unit, best = "fraction", "attention"
        figures = [("attention", "Attention", result["attention"]), ("diagonal", "The diagonal", result["diagonal"])]
    else:
        unit, best = "score", result["best"]
        of_pictures, of_numbers = reads_pictures(stored), text.outcome_of(stored).number
        methods = [described(name, of_pictures=of_pictures, of_numbers=of_numbers) for name in result["methods"]]
        figures = [(method.name, method.title, result["methods"][method.name]["faithfulness"]) for method in methods]
        figures.sort(key=lambda figure: (figure[0] != best, -figure[2]["value"]))
        figures.append(("random", "Random scores", result["random"]["faithfulness"]))
    return {
        "examples": result["texts"],
        "confidence": result["confidence"],
        "best": best,
        "unit": unit,
        "change": result.get("change"),
        "methods": [{"name": name, "title": title, **interval} for name, title, interval in figures],
        **summary(stored, result, ""),
    }
