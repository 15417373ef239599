"""BLEU, chrF and TER of translations, as sacreBLEU computes them, in sums over sentences.

Sources: Papineni et al. 2002, "BLEU"; Popović 2015, "chrF"; Snover et al. 2006, "A Study of Translation Edit Rate";
Post 2018, "A Call for Clarity in Reporting BLEU Scores". The sums of each sentence (n-grams of the hypothesis, of the
reference, of both; edits) are sacreBLEU's own.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from toolkit.errors import ConfigError
from toolkit.metrics.base import LOGARITHM, Floats, Metric, Scale, log_odds
from toolkit.metrics.classification import divide

NGRAMS = 4  # the longest of BLEU, in words
LETTERS = 6  # the longest of chrF, in characters
BETA = 2.0  # chrF weighs recall so many times as much as precision
_KEPT = 2**16  # cached sentences: intervals and differences need the same sums again


@functools.cache
def _scorer(name: str) -> Any:
    try:
        from sacrebleu.metrics import BLEU, CHRF, TER
    except ImportError:
        raise ConfigError(
            "BLEU, chrF and TER need the package sacrebleu.",
            "pip install 'finetune-toolkit[translation]'",
            id="machine.package-missing",
        ) from None
    return {"bleu": BLEU, "chrf": CHRF, "ter": TER}[name]()


@functools.lru_cache(_KEPT)
def _sums(name: str, text: str, reference: str) -> tuple[float, ...]:
    """Return the sums of one sentence: BLEU (10,), chrF (18,), TER (2,)."""
    (row,) = _scorer(name)._extract_corpus_statistics([text], [[reference]])
    return tuple(row)


def _statistics(name: str) -> Callable[[Sequence[Any], Sequence[Any], Sequence[str]], Floats]:
    width = {"bleu": 2 + 2 * NGRAMS, "chrf": 3 * LETTERS, "ter": 2}[name]

    def statistics(predictions: Sequence[Any], references: Sequence[Any], _labels: Sequence[str]) -> Floats:
        rows = [_sums(name, text or "", true) for text, true in zip(predictions, references, strict=True)]
        return np.array(rows, np.float64).reshape(len(rows), width)

    return statistics


def bleu(sums: Floats) -> Floats:
    """BLEU from 0 to 100: words of the hypothesis, of the reference, n-grams of both, of the hypothesis. (..., 10).

    Where no n-gram of a length is right, its precision is smoothed exponentially, as sacreBLEU does.
    """
    length, reference = sums[..., 0], sums[..., 1]
    right, total = sums[..., 2 : 2 + NGRAMS], sums[..., 2 + NGRAMS :]  # (..., 4)
    smoothing = 2.0 ** np.cumsum(right == 0, axis=-1)
    precision = divide(np.where(right > 0, right, 1 / smoothing), total)  # (..., 4)
    possible = np.asarray((total > 0).all(axis=-1) & (right > 0).any(axis=-1))
    mean = np.exp(np.log(np.where(possible[..., None], precision, 1.0)).mean(axis=-1))
    brevity = np.exp(np.minimum(0.0, 1 - divide(reference, length)))
    figures: Floats = np.where(possible, 100 * brevity * mean, 0.0)
    return figures


def chrf(sums: Floats) -> Floats:
    """The chrF2 score from 0 to 100, over character n-grams of 1 to 6. (..., 18)."""
    ngrams, reference, both = np.moveaxis(sums.reshape(*sums.shape[:-1], LETTERS, 3), -1, 0)  # (..., 6)
    defined = (ngrams > 0) & (reference > 0)
    orders = defined.sum(axis=-1)
    precision = divide((divide(both, ngrams) * defined).sum(axis=-1), orders)
    recall = divide((divide(both, reference) * defined).sum(axis=-1), orders)
    return 100 * divide((1 + BETA**2) * precision * recall, BETA**2 * precision + recall)


def ter(sums: Floats) -> Floats:
    """Translation edit rate in percent of the reference's words: edits, words of the reference. (..., 2).

    It may exceed 100; where the reference has no words, any text counts as wholly wrong, as in sacreBLEU.
    """
    edits, words = sums[..., 0], sums[..., 1]
    figures: Floats = 100 * np.where(words > 0, divide(edits, words), (edits > 0).astype(np.float64))
    return figures


def signature(name: str) -> str:
    """Return what a figure was computed with, as sacreBLEU writes it: other settings give other figures."""
    scorer = _scorer(name)
    scorer.corpus_score(["a"], [["a"]])  # only then does the signature contain the number of references
    return str(scorer.get_signature())


def _metric(
    name: str, title: str, aggregate: Callable[[Floats], Floats], scale: Scale, *, higher_is_better: bool = True
) -> Metric:
    return Metric(
        name,
        title,
        _statistics(name),
        aggregate,
        value_type="string",
        unit="points",
        higher_is_better=higher_is_better,
        signature=functools.partial(signature, name),
        scale=scale,
    )


METRICS = {
    metric.name: metric
    for metric in (
        _metric("chrf", "chrF2", chrf, log_odds(100.0)),
        _metric("bleu", "BLEU", bleu, log_odds(100.0)),
        _metric("ter", "TER", ter, LOGARITHM, higher_is_better=False),
    )
}
