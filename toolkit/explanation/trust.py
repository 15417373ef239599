"""Measure once how faithful each method is for a model, on texts of its own data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from toolkit.evaluation.statistics.clusters import Integers, kept
from toolkit.explanation import faithfulness
from toolkit.explanation.attributions import Explanation
from toolkit.explanation.question import Model
from toolkit.explanation.sensitivity import STAGES, sensitivity
from toolkit.explanation.words import Example

SENSITIVITY_TEXTS = 12
LEAST_TEXTS = 10  # minimum for a result, if time did not suffice for all

Report = Callable[[str, int, int], None]
Stop = Callable[[], bool]


def measure(
    model: Model,
    explanations: Sequence[Explanation],
    methods: Sequence[str],
    *,
    confidence: float,
    resamples: int,
    seed: int,
    mask: int | None = None,
    clusters: Integers | None = None,
    observe: Report = lambda _stage, _done, _total: None,
    within: Callable[[float], Stop] = lambda _share: lambda: False,
) -> dict[str, Any]:
    """Return each method's faithfulness and sensitivity, as plain values.

    Args:
        model: The classifier.
        explanations: Of texts of its data, by each of `methods`.
        methods: Their names.
        confidence: Of the intervals.
        resamples: Bootstrap samples.
        seed: Of random rankings, shuffled weights and the bootstrap.
        mask: The token that stands for a word that is left out, in a second measurement; None for none.
        clusters: Number of each text's cluster; None where texts are independent. Shape (texts,).
        observe: Called with (stage, texts done, texts in all), none done when a stage begins.
        within: Given a share of the remaining time, returns a function that tells when it is used up.

    Returns:
        "texts", "change" (what is measured), "confidence", "best", "runner_up", "lead", "methods" (name →
        "comprehensiveness", "sufficiency", "faithfulness", "over_random", "beats_random", "sensitivity"), "random" (the
        same of random rankings), "masked" (the same with words masked and not removed: "best" and "methods"; None
        where it was not measured), "stages" (what "sensitivity" is an average at) and "sensitivity_texts".
    """
    settings: dict[str, Any] = {"confidence": confidence, "resamples": resamples, "seed": seed, "clusters": clusters}
    stage = "Removing parts of the input"
    observe(stage, 0, len(explanations))
    stop = within(0.6 if mask is None else 0.4)
    curves = faithfulness.measure(model, explanations, seed, partial(observe, stage), stop=stop)
    verdict = faithfulness.evaluate(curves, **settings)
    masked = None
    if mask is not None:
        stage = "Masking words"
        observe(stage, 0, len(explanations))
        others = [
            replace(item, example=replace(item.example, mask=mask))
            for item in explanations
            if isinstance(item.example, Example)
        ]
        curves = faithfulness.measure(model, others, seed, partial(observe, stage), stop=within(0.5))
        result = faithfulness.evaluate(curves, **settings)
        masked = {
            "best": result.best,
            "texts": result.texts,
            "methods": {name: _figures(result.standings[name]) for name in methods},
        }
    stage, some = "Randomizing the weights", explanations[:SENSITIVITY_TEXTS]
    observe(stage, 0, len(STAGES) * len(some))
    correlations = sensitivity(model, some, methods, seed, partial(observe, stage), within(1 / len(STAGES)))

    of_some = {**settings, "clusters": kept(clusters, np.arange(len(correlations[methods[0]][0])))}

    def agreement(name: str) -> list[dict[str, float]]:
        return [asdict(faithfulness.mean_interval(values, **of_some)) for values in correlations[name]]

    return {
        "texts": verdict.texts,
        "change": model.outcome.change,
        "confidence": confidence,
        "best": verdict.best,
        "runner_up": verdict.runner_up,
        "lead": asdict(verdict.lead) if verdict.lead else None,
        "methods": {name: {**_figures(verdict.standings[name]), "sensitivity": agreement(name)} for name in methods},
        "random": _figures(verdict.standings[faithfulness.RANDOM]),
        "masked": masked,
        "stages": list(STAGES),
        "sensitivity_texts": len(correlations[methods[0]][0]),
    }


def cut_short(measured: Mapping[str, Any], texts: int) -> bool:
    """Whether there was no time to measure on all of so many texts."""
    wanted = min(SENSITIVITY_TEXTS, texts)
    return bool(measured["texts"] < texts or measured["sensitivity_texts"] < wanted)


def _figures(standing: faithfulness.MethodFigures) -> Mapping[str, Any]:
    return {**asdict(standing), "beats_random": standing.beats_random}
