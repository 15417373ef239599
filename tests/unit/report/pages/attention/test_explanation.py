"""The page on explanations: its sentences, and escaping of texts."""

import copy
import re
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from tests.support import toys
from toolkit.explanation.attributions import BY_NAME, Explanation
from toolkit.report.document.head import head
from toolkit.report.pages.attention import explanation

MEASURE = "toolkit explain runs/mine --measure"
METHODS = [BY_NAME["attention"], BY_NAME["leave-one-out"], BY_NAME["rollout"]]


def figures(value, over, beats=True, unmoved=0.0):
    def interval(middle):
        return {"value": middle, "low": middle - 0.1, "high": middle + 0.1}

    return {
        "comprehensiveness": interval(value), "sufficiency": interval(0.0), "faithfulness": interval(value),
        "over_random": interval(over) if over is not None else None, "beats_random": beats,
        "sensitivity": [interval(0.9), interval(0.5), interval(unmoved)],
    }  # fmt: skip


TRUST = {
    "texts": 60,
    "confidence": 0.95,
    "best": "leave-one-out",
    "runner_up": "attention",
    "lead": {"value": 0.2, "low": 0.1, "high": 0.3},
    "methods": {
        "attention": figures(0.1, 0.2, unmoved=0.7),
        "leave-one-out": figures(0.3, 0.4),
        "rollout": figures(-0.1, 0.0, beats=False),
    },
    "random": figures(-0.1, None, beats=False),
    "stages": ["the head", "half", "everything"],
    "sensitivity_texts": 12,
}


def explained_with(weights, words=("good", "bad", "film"), scores=(1.0, -2.0, 0.1)):
    text = toys.text(range(1, len(words) + 1))
    text = type(text)((" ".join(words),), text.features, tuple(words), tuple(words), text.spans)
    first = Explanation(
        text, 1, {method.name: np.array(scores) for method in METHODS}, {"attention": np.zeros(0)},
        weights,
    )  # fmt: skip
    return [(first, np.array([0.2, 0.8]))]


MODEL = {"name": "mine", "origin": "a/model", "labels": ["no", "yes"]}
HEAD = head("toolkit explain", datetime(2026, 1, 1, tzinfo=UTC))


def built(trust=TRUST, words=("good", "bad", "film"), scores=(1.0, -2.0, 0.1)):
    explained = explained_with(np.full((2, 2, len(words), len(words)), 1 / len(words)), words, scores)
    document = explanation.build(
        explained, METHODS, trust, head=HEAD, model=MODEL, notes=[], verdict=explanation.verdict(trust, MEASURE),
    )  # fmt: skip
    return document, explanation.to_html(document, explained)


def test_the_most_faithful_method_is_named_and_stands_first():
    document, html = built()
    assert document["verdict"]["headline"] == "Leave-one-out is the most faithful method for this model."
    assert [method["name"] for method in document["methods"]] == ["leave-one-out", "attention", "rollout"]
    text = " ".join(document["verdict"]["statements"])
    assert "exceeds random scores by 0.40 (0.30 to 0.50)" in text
    assert "exceeds mean attention by 0.20" in text
    assert "favours it" in text
    assert document["verdict"]["warnings"] == [
        "Not significantly better than random scores: Attention rollout.",
        "The ranking barely changes when all weights are randomized: Mean attention.",
    ]
    assert html.index("Leave-one-out") < html.index("Mean attention<")
    assert "not better than random" in html


def test_a_lead_that_may_be_none_is_not_called_one():
    trust = copy.deepcopy(TRUST)
    trust["lead"] = {"value": 0.0, "low": -0.1, "high": 0.1}
    output = built(trust)[0]["verdict"]
    assert output["headline"] == (
        "Leave-one-out and mean attention are the most faithful methods, without a significant difference."
    )
    assert "The difference between the two is 0.00" in " ".join(output["statements"])
    trust |= {"best": "attention", "runner_up": "leave-one-out"}  # which has it easiest, and gave up its place
    document, _ = built(trust)
    assert document["verdict"]["headline"].startswith("Mean attention and leave-one-out")
    assert document["verdict"]["statements"][-1].endswith("the other is listed first.")
    assert [method["name"] for method in document["methods"]] == ["attention", "leave-one-out", "rollout"]


def test_it_says_so_when_no_method_beats_random():
    trust = {**copy.deepcopy(TRUST), "best": None, "runner_up": None, "lead": None}
    for name in trust["methods"]:
        trust["methods"][name]["beats_random"] = False
    document, html = built(trust)
    assert document["verdict"]["headline"].startswith("No method")
    assert 'class="method best"' not in html


def test_it_says_so_when_nothing_was_measured():
    document, html = built(None)
    assert MEASURE in document["verdict"]["headline"]
    assert MEASURE in html
    assert "Faithfulness" not in html


def test_a_method_that_was_not_measured_is_shown_without_figures():
    shown = [BY_NAME["rollout"], BY_NAME["gradient-input"]]
    explained = explained_with(None)
    explained[0][0].scores["gradient-input"] = np.zeros(3)
    document = explanation.build(
        explained, shown, TRUST, head=HEAD, model=MODEL, notes=[], verdict=explanation.verdict(TRUST, MEASURE),
    )  # fmt: skip
    html = explanation.to_html(document, explained)
    assert [method["name"] for method in document["methods"]] == ["rollout", "gradient-input"]
    assert document["verdict"]["headline"] == "Leave-one-out is the most faithful method for this model."
    table = html[html.index('id="faithfulness"') :]
    assert table.index("Leave-one-out") < table.index("Mean attention") < table.index("Attention rollout")
    assert "Gradient" not in table


def test_words_are_shaded_by_their_share_of_the_largest():
    document, html = built()
    shades = re.findall(r'<span class="word( against)?" style="--share: ([\d.]+)" title="([^"]+)">(\w+)<', html)
    assert shades[:3] == [("", "0.50", "+1", "good"), (" against", "1.00", "-2", "bad"),
                          ("", "0.05", "+0.1", "film")]  # fmt: skip
    assert explanation.top_words(document["texts"][0], "rollout", 2) == [("bad", -2.0), ("good", 1.0)]


def test_without_recorded_attention_there_are_no_maps(tmp_path):
    document, with_maps = built()
    html = explanation.to_html(document, explained_with(None))
    assert "Attention, layer by layer" in with_maps
    assert "Attention, layer by layer" not in html
    assert "<script" not in html
    for number, weights in enumerate((None, np.full((2, 2, 3, 3), 1 / 3))):
        folder = tmp_path / str(number)
        (path,) = explanation.draw(document, explained_with(weights), folder)
        assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("word", ["<script>alert(1)</script>", '"><img src=x>', "</style>", "{{ 7 * 7 }}", "$x$"])
def test_hostile_words_stay_text(word):
    _, html = built(words=(word, "b"), scores=(0.0, 0.0))
    assert html.count("<script") == 2
    assert "<img" not in html
    assert html.count("</style>") == 1
    assert "49" not in html.partition(' id="words"')[2].partition(' id="faithfulness"')[0]


def test_a_second_measurement_agrees_or_does_not():
    trust = copy.deepcopy(TRUST)
    trust["masked"] = {"best": "leave-one-out", "texts": 60, "methods": trust["methods"]}
    document, html = built(trust)
    agreed = document["verdict"]["statements"]
    assert "words masked" in html
    trust["masked"]["best"] = "attention"
    named = built(trust)[0]["verdict"]["statements"]
    assert len(agreed) == len(named)
    assert "mean attention" in next(other for one, other in zip(agreed, named, strict=True) if one != other)
    trust["masked"]["best"] = None
    assert len(built(trust)[0]["verdict"]["statements"]) == len(agreed)


def test_the_error_of_the_sum_is_shown():
    ((item, values),) = explained_with(None)
    scores = {**item.scores, "integrated-gradients": np.array([1.0, -2.0, 0.1])}
    explained = [(replace(item, scores=scores, completeness_error=0.034), values)]
    document = explanation.build(
        explained,
        [BY_NAME["integrated-gradients"]],
        None,
        head=HEAD,
        model=MODEL,
        notes=[],
        verdict=explanation.verdict(None, MEASURE),
    )
    assert document["texts"][0]["completeness_error"] == 0.034
    assert "error of the sum 3.4 %" in explanation.to_html(document, explained)


def test_a_tie_says_which_difference_the_examples_show() -> None:
    """Half of a 95 % interval is 1.96 standard errors; 2.8 of these are shown with a power of 80 %."""
    figures = {**TRUST["methods"]}
    lead = {"value": 0.01, "low": -0.0496, "high": 0.0696}
    ranked = sorted(figures, key=lambda name: -figures[name]["faithfulness"]["value"])
    tied = {**TRUST, "best": ranked[0], "runner_up": ranked[1], "lead": lead, "confidence": 0.95}
    text = " ".join(explanation.verdict(tied, MEASURE)["statements"])
    assert f"{(1.96 + 0.8416) * 0.0596 / 1.96:.3f}" in text
    apart = {**tied, "lead": {"value": 0.3, "low": 0.2, "high": 0.4}}
    assert "80 %" not in " ".join(explanation.verdict(apart, MEASURE)["statements"])


def test_a_stored_temperature_gives_the_calibrated_probability():
    (item, values), *_ = explained_with(None)
    plain = explanation.Shown().of(item, values, ["no", "yes"])
    assert plain["probability"] == 0.8
    assert "calibrated_probability" not in plain
    shown = explanation.Shown(stored={"temperature": 2.0}).of(item, values, ["no", "yes"])
    assert shown["probability"] == 0.8
    assert shown["calibrated_probability"] == pytest.approx(0.8**0.5 / (0.8**0.5 + 0.2**0.5))
