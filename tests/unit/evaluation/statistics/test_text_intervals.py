"""Intervals of BLEU, chrF and TER hold the truth where sentences are few."""

import string

import numpy as np
import pytest

from toolkit.config.settings import EvaluationConfig
from toolkit.evaluation.scores import figure_interval
from toolkit.evaluation.statistics import intervals
from toolkit.metrics.translation import METRICS

SENTENCES, FEW, SAMPLES = 400, 30, 300


def corpus():
    """Draw references of random words, and texts in which some words are replaced or missing, in some more of them."""
    random = np.random.default_rng(0)
    words = ["".join(random.choice(list(string.ascii_lowercase), random.integers(2, 9))) for _ in range(200)]
    shares = 1 / np.arange(1, 201) / (1 / np.arange(1, 201)).sum()
    texts, references = [], []
    for length in np.clip(random.lognormal(2.6, 0.6, SENTENCES), 3, 60).astype(int):
        reference = random.choice(words, length, p=shares)
        fate, wrong = random.random(length), random.beta(1.2, 1.8)
        text = np.where(fate < 0.6 * wrong, random.choice(words, length, p=shares), reference)
        texts.append(" ".join(text[(fate < 0.6 * wrong) | (fate >= 0.8 * wrong)]))
        references.append(" ".join(reference))
    return texts, references


@pytest.mark.parametrize("name", ["bleu", "chrf", "ter"])
def test_thirty_sentences_are_allowed_for(name):
    metric, (texts, references) = METRICS[name], corpus()
    rows = metric.statistics(texts, references, ())
    truth = float(metric.aggregate(rows.sum(axis=0)))
    settings = {"confidence": 0.95, "resamples": 300}
    held = 0
    for seed in range(SAMPLES):
        sample = rows[np.random.default_rng(seed).integers(0, SENTENCES, FEW)]
        ends = intervals.studentized(sample, metric.aggregate, metric.scale, **settings, seed=seed)
        held += ends.low <= truth <= ends.high
    assert held >= 0.93 * SAMPLES  # BCa intervals held 91 to 92 %


def test_perfect_and_useless_texts_are_measured():
    config = EvaluationConfig(resamples=100)
    for texts in (["a cat sat on the mat", "a dog ran"], ["x", "y"]):
        for metric in METRICS.values():
            found = figure_interval(metric, texts, ["a cat sat on the mat", "a dog ran"], (), config, 0)
            assert found is None or found.low <= found.value <= found.high
