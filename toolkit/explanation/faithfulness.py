"""How far the model depends on a method's top-ranked words, compared with random rankings.

    comprehensiveness   p(class | text) - p(class | text without its top words)   high when they were needed
    sufficiency         p(class | text) - p(class | its top words alone)          low when they were enough

Of a number the absolute changes are measured, in standard deviations of the data, and the words with the largest effect
in either direction are the top words.

Each is averaged over shares of the words (the area over the perturbation curve, AOPC). A method is called faithful
when comprehensiveness minus sufficiency beats random rankings of the same texts, the interval corrected for the
number of methods that were tried.

Source: DeYoung et al. 2020, "ERASER: A Benchmark to Evaluate Rationalized NLP Models", section 4.2. Their average
also holds the empty set of words, which adds the same to every method and is left out here.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.evaluation.statistics.clusters import Integers, kept
from toolkit.evaluation.statistics.intervals import Interval, bootstrap
from toolkit.explanation.attributions import Explanation
from toolkit.explanation.question import Model, Outcome
from toolkit.explanation.words import Floats
from toolkit.metrics.means import mean

SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)
RANDOM_RANKINGS = 5  # for each text

RANDOM = "random"
MARGIN = 0.05  # of faithfulness, up to which two methods are equivalent
NEAREST = "leave-one-out"  # the method that computes nearly what is measured here, which favours it


@dataclass(frozen=True)
class Curves:
    """The change of one text's prediction under each ranking of its words, averaged over `SHARES`.

    Attributes:
        comprehensiveness: Method, or "random" → AOPC.
        sufficiency: Method, or "random" → AOPC.
    """

    comprehensiveness: Mapping[str, float]
    sufficiency: Mapping[str, float]

    def faithfulness(self, method: str) -> float:
        """Comprehensiveness minus sufficiency: of a class from -1 to 1, higher is better."""
        return self.comprehensiveness[method] - self.sufficiency[method]


@dataclass(frozen=True)
class MethodFigures:
    """A method's figures over a data set.

    Attributes:
        comprehensiveness: Mean AOPC; higher is better.
        sufficiency: Mean AOPC; lower is better.
        faithfulness: Their difference.
        over_random: Lead in faithfulness over random rankings of the same texts, its interval corrected for the
            number of methods; None for the random rankings themselves.
    """

    comprehensiveness: Interval
    sufficiency: Interval
    faithfulness: Interval
    over_random: Interval | None

    @property
    def beats_random(self) -> bool:
        """Whether the lead over random rankings is more than chance."""
        return self.over_random is not None and self.over_random.low > 0


@dataclass(frozen=True)
class FaithfulnessResult:
    """The methods ranked by faithfulness.

    Attributes:
        standings: Method, or "random" → its figures.
        best: The most faithful method of those better than random rankings; None when none is. `NEAREST` is replaced
            by a runner-up that is better than random, too, and equivalent to it: less faithful by less than `MARGIN`.
        runner_up: The next most faithful method, or None.
        lead: Of the best over the runner-up; below 0 where the runner-up is `NEAREST`.
        texts: How many texts it was measured on.
        confidence: Of the intervals.
    """

    standings: Mapping[str, MethodFigures]
    best: str | None
    runner_up: str | None
    lead: Interval | None
    texts: int
    confidence: float


def top_counts(words: int) -> tuple[int, ...]:
    """Return how many words each of `SHARES` takes; at least one."""
    return tuple(max(1, math.ceil(share * words - 1e-9)) for share in SHARES)


def ranking(scores: Floats) -> list[int]:
    """Order words by how strongly they support the class, the strongest first."""
    return np.argsort(-scores, kind="stable").tolist()  # type: ignore[no-any-return]


def measure(
    model: Model,
    explanations: Sequence[Explanation],
    seed: int,
    observe: Callable[[int, int], None] = lambda _done, _total: None,
    together: int = 8,
    stop: Callable[[], bool] = lambda: False,
) -> list[Curves]:
    """Predict every text without its top words, and its top words alone.

    Args:
        model: The classifier.
        explanations: One a text.
        seed: Of the random rankings.
        observe: Called with (texts done, texts in all).
        together: Texts whose variants are predicted in the same batches.
        stop: Called after each batch of texts; returns whether to leave out the rest.
    """
    random = np.random.default_rng(seed)
    curves: list[Curves] = []
    for start in range(0, len(explanations), together):
        group = [_Queries(explanation, random, model.outcome) for explanation in explanations[start : start + together]]
        answers = model.values([features for questions in group for features in questions.features()])
        for questions in group:
            own, answers = answers[: len(questions.kept)], answers[len(questions.kept) :]
            curves.append(questions.curves(own))
        observe(len(curves), len(explanations))
        if stop():
            break
    return curves


class _Queries:
    """The variants of one text to predict; a variant that two methods share is predicted once."""

    def __init__(self, explanation: Explanation, random: np.random.Generator, outcome: Outcome) -> None:
        self.explanation, self.outcome = explanation, outcome
        self.words = len(explanation.example.words)
        self.rankings = {
            name: [ranking(np.abs(scores) if outcome.number else scores)] for name, scores in explanation.scores.items()
        }
        self.rankings[RANDOM] = [random.permutation(self.words).tolist() for _ in range(RANDOM_RANKINGS)]
        self.kept: dict[tuple[int, ...], int] = {tuple(range(self.words)): 0}
        for order in (order for orders in self.rankings.values() for order in orders):
            for count in top_counts(self.words):
                for words in (order[count:], order[:count]):
                    self.kept.setdefault(tuple(sorted(words)), len(self.kept))

    def features(self) -> list[dict[str, Any]]:
        return [self.explanation.example.keep(words) for words in self.kept]

    def curves(self, answers: Floats) -> Curves:
        values = answers[:, self.explanation.target]

        def drop(words: Sequence[int]) -> float:
            change = float(values[0] - values[self.kept[tuple(sorted(words))]]) / self.outcome.unit
            return abs(change) if self.outcome.number else change

        def mean(drops: Sequence[float]) -> float:
            return float(np.mean(drops))

        counts = top_counts(self.words)
        return Curves(
            {n: mean([drop(o[c:]) for o in orders for c in counts]) for n, orders in self.rankings.items()},
            {n: mean([drop(o[:c]) for o in orders for c in counts]) for n, orders in self.rankings.items()},
        )


def evaluate(
    curves: Sequence[Curves], *, confidence: float, resamples: int, seed: int, clusters: Integers | None = None
) -> FaithfulnessResult:
    """Rank the methods, and test whether the first is better than random rankings.

    Args:
        curves: One a text.
        confidence: Of the intervals; for leads over random rankings it is raised by Bonferroni's correction.
        resamples: Bootstrap samples.
        seed: Of the bootstrap.
        clusters: Number of the cluster of each text, and perhaps of further ones; None where texts are independent.
    """
    together = kept(clusters, np.arange(len(curves)))
    names = list(curves[0].comprehensiveness)
    methods = [name for name in names if name != RANDOM]
    corrected = 1 - (1 - confidence) / len(methods)

    def mean_of(value: Callable[[Curves], float], level: float = confidence) -> Interval:
        return mean_interval([value(curve) for curve in curves], level, resamples, seed, together)

    standings = {
        name: MethodFigures(
            mean_of(lambda curve, name=name: curve.comprehensiveness[name]),  # type: ignore[misc]
            mean_of(lambda curve, name=name: curve.sufficiency[name]),  # type: ignore[misc]
            mean_of(lambda curve, name=name: curve.faithfulness(name)),  # type: ignore[misc]
            None
            if name == RANDOM
            else mean_of(lambda curve, name=name: curve.faithfulness(name) - curve.faithfulness(RANDOM), corrected),  # type: ignore[misc]
        )
        for name in names
    }
    order = sorted(methods, key=lambda name: -standings[name].faithfulness.value)
    best = next((name for name in order if standings[name].beats_random), None)
    runner_up = next((name for name in order if name != best), None) if best else None

    def lead_of(first: str, second: str) -> Interval:
        return mean_of(lambda curve: curve.faithfulness(first) - curve.faithfulness(second))

    lead = lead_of(best, runner_up) if best and runner_up else None
    equivalent = lead is not None and lead.high < MARGIN
    if best == NEAREST and runner_up and equivalent and standings[runner_up].beats_random:
        best, runner_up, lead = runner_up, best, lead_of(runner_up, best)
    return FaithfulnessResult(standings, best, runner_up, lead, len(curves), confidence)


def mean_interval(
    values: Sequence[float], confidence: float, resamples: int, seed: int, clusters: Integers | None = None
) -> Interval:
    """Return a mean with its bootstrap interval, over clusters of values where these are given."""
    statistics = np.stack([np.asarray(values, np.float64), np.ones(len(values))], axis=1)  # (N, 2)
    settings: dict[str, Any] = {"confidence": confidence, "resamples": resamples, "seed": seed, "clusters": clusters}
    return bootstrap(statistics, mean, **settings)
