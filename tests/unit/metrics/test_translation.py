"""BLEU, chrF and TER are sacreBLEU's, in sums over sentences."""

import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from toolkit.metrics import as_module, load
from toolkit.metrics.translation import METRICS

SENTENCES = st.lists(st.sampled_from(["the", "cat", "sat", "mat", "it's", "3.5", "Größe", ",", "."]), max_size=9)
CORPUS = st.lists(st.tuples(SENTENCES.map(" ".join), SENTENCES.map(" ".join)), min_size=1, max_size=6)


def ours(name, said, true):
    metric = METRICS[name]
    return float(metric.aggregate(metric.statistics(said, true, ()).sum(axis=0)))


@given(CORPUS)
def test_they_are_sacrebleus(rows):
    output, true = [item for item, _ in rows], [other for _, other in rows]
    assert ours("bleu", output, true) == pytest.approx(sacrebleu.corpus_bleu(output, [true]).score, abs=1e-9)
    assert ours("chrf", output, true) == pytest.approx(sacrebleu.corpus_chrf(output, [true]).score, abs=1e-9)
    assert ours("ter", output, true) == pytest.approx(sacrebleu.corpus_ter(output, [true]).score, abs=1e-9)


@pytest.mark.parametrize("name", ["bleu", "ter"])
def test_many_sums_at_once_as_the_bootstrap_asks(name):
    metric = METRICS[name]
    rows = metric.statistics(["the cat sat on the mat"] * 3, ["the cat sat on a mat"] * 3, ())
    sums = np.stack([rows[:1].sum(axis=0), rows.sum(axis=0), np.zeros(rows.shape[1])])
    first, three, none = metric.aggregate(sums)
    assert first == pytest.approx(three)
    assert first > 0 == none


def test_as_a_module_with_a_signature():
    module, definition = load("bleu")
    assert module is None
    module = as_module(definition)
    assert module.compute(predictions=["a b c d"], references=["a b c d"])["bleu"] == pytest.approx(100)
    assert "tok:13a" in definition.signature()
    assert "nrefs:1" in METRICS["chrf"].signature()
    assert METRICS["ter"].signature().startswith("nrefs:1|case:lc|tok:tercom")
    assert as_module(METRICS["chrf"]).compute(predictions=["xyz"], references=["abc"])["chrf"] == 0


def test_of_edits_fewer_are_better_and_more_than_all_are_possible():
    assert not METRICS["ter"].higher_is_better
    assert ours("ter", ["a b c d e f"], ["x y"]) == 300
    assert ours("ter", ["a"], [""]) == 100
    assert ours("ter", ["c a b"], ["a b c"]) == pytest.approx(100 / 3)  # one shift
