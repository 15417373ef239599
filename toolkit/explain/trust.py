"""Measure once how far each method can be believed for a model, on texts of its own data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from toolkit.explain import faithfulness
from toolkit.explain.attributions import Explanation
from toolkit.explain.question import Model
from toolkit.explain.sensitivity import STAGES, sensitivity

SENSITIVITY_TEXTS = 12

Report = Callable[[str, int, int], None]


def measure(
    model: Model,
    explanations: Sequence[Explanation],
    methods: Sequence[str],
    *,
    confidence: float,
    resamples: int,
    seed: int,
    observe: Report = lambda _stage, _done, _total: None,
) -> dict[str, Any]:
    """Return each method's faithfulness and sensitivity, as plain values.

    Args:
        model: The classifier.
        explanations: Of texts of its data, by each of `methods`.
        methods: Their names.
        confidence: Of the intervals.
        resamples: Bootstrap samples.
        seed: Of random rankings, shuffled weights and the bootstrap.
        observe: Told (stage, texts done, texts in all).

    Returns:
        "texts", "confidence", "best", "runner_up", "lead", "methods" (name → "comprehensiveness", "sufficiency",
        "faithfulness", "over_random", "beats_random", "sensitivity"), "random" (the same of random rankings) and
        "stages" (what "sensitivity" is an average at).
    """
    curves = faithfulness.measure(
        model, explanations, seed, lambda done, total: observe("Leaving words out", done, total)
    )
    verdict = faithfulness.judge(curves, confidence=confidence, resamples=resamples, seed=seed)
    correlations = sensitivity(
        model,
        explanations[:SENSITIVITY_TEXTS],
        methods,
        seed,
        lambda done, total: observe("Making the weights random", done, total),
    )

    def agreement(name: str) -> list[dict[str, float]]:
        return [
            asdict(faithfulness.mean_interval(values, confidence, resamples, seed)) for values in correlations[name]
        ]

    return {
        "texts": verdict.texts,
        "confidence": confidence,
        "best": verdict.best,
        "runner_up": verdict.runner_up,
        "lead": asdict(verdict.lead) if verdict.lead else None,
        "methods": {name: {**_figures(verdict.standings[name]), "sensitivity": agreement(name)} for name in methods},
        "random": _figures(verdict.standings[faithfulness.RANDOM]),
        "stages": list(STAGES),
        "sensitivity_texts": min(SENSITIVITY_TEXTS, len(explanations)),
    }


def _figures(standing: faithfulness.Standing) -> Mapping[str, Any]:
    return {**asdict(standing), "beats_random": standing.beats_random}
