"""The page on translations: its sentences, and escaping of texts."""

from datetime import UTC, datetime

import numpy as np
import pytest

from toolkit.explanation.translations.error_rate import Gold
from toolkit.explanation.translations.links import Bitext, PairResult, Reading
from toolkit.report.document.head import head
from toolkit.report.pages.attention import alignment

KNOWN = [Reading(0, False), Reading(0, True)]


def figure(value):
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


TRUST = {
    "texts": 30, "words": 200, "confidence": 0.95, "reading": 1, "attention": figure(0.6), "diagonal": figure(0.3),
    "lead": figure(0.3), "readings": [0.2, 0.6],
}  # fmt: skip
RATES = {
    "source": "gold.txt", "pairs": 9, "confidence": 0.95, "attention": figure(0.3), "falls": figure(0.4),
    "diagonal": figure(0.5), "random": 0.9, "lead": figure(0.2),
}  # fmt: skip


def built(trust=TRUST, rates=None, golds=None, words=("le", "chat")):
    pair = Bitext("the cat", " ".join(words), {}, ("the", "cat"), tuple(words), ((0,), (1,)), ((0,), (1,)))
    weights = np.array([[0.8, 0.1], [0.2, 0.7]])
    document = alignment.build(
        [PairResult(pair, np.stack([weights[::-1], weights]), weights)], 1, KNOWN, trust, rates, golds,
        head=head("toolkit explain", datetime(2026, 1, 1, tzinfo=UTC)), notes=[],
        model={"name": "mine", "origin": "a/model"},
        to_measure="toolkit explain runs/mine --measure",
    )  # fmt: skip
    return document, alignment.to_html(document)


def test_links_stand_over_the_words():
    document, html = built()
    assert document["texts"][0]["links"] == [[0, 0], [1, 1]]
    assert "<ruby>chat<rp> (</rp><rt>cat</rt>" in html
    assert document["verdict"]["headline"].startswith("For 60.0 % of the words")
    assert document["verdict"]["warnings"] == []
    assert "Layer 1, after the word" in html
    assert "<script" not in html


def test_the_error_rate_comes_first_and_beside_it_what_knows_nothing():
    gold = Gold(frozenset({(0, 0)}), frozenset({(0, 0), (0, 1)}))
    document, html = built(rates=RATES, golds=[gold])
    assert document["verdict"]["headline"] == "Attention’s alignment error rate is 30.0 % (20.0 to 40.0)."
    assert "diagonal’s is 50.0 % (40.0 to 60.0), that of random links 90.0 %" in html.replace("\u00a0", " ")
    assert 'class="shade sure"' in html
    assert 'class="shade possible"' in html


def test_it_says_when_attention_is_no_better_than_the_diagonal():
    document, _ = built({**TRUST, "lead": figure(0.05)}, {**RATES, "lead": figure(-0.1)})
    assert len(document["verdict"]["warnings"]) == 2


def test_it_says_so_when_nothing_was_measured():
    document, html = built(None)
    assert "toolkit explain runs/mine --measure" in document["verdict"]["headline"]
    assert ' id="trust"' not in html


@pytest.mark.parametrize("word", ["<script>alert(1)</script>", '"><img src=x>', "</style>", "$x$"])
def test_hostile_words_stay_text(word, tmp_path):
    document, html = built(words=(word, "b"))
    assert "<script" not in html
    assert "<img" not in html
    assert html.count("</style>") == 1
    (path,) = alignment.draw(document, tmp_path)
    assert path.read_bytes().startswith(b"\x89PNG")
