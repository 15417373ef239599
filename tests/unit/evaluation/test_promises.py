"""Promises of single predictions, as a report applies them to its rows."""

import numpy as np
import pytest

from toolkit.config.settings import EvaluationConfig
from toolkit.evaluation.overviews import promises
from toolkit.evaluation.statistics.promises import selective
from toolkit.report.document.schema import REPORT, faults, fill
from toolkit.report.sections.promises import promises as page

CONFIG = EvaluationConfig(resamples=200)
CLASSES = 4


def drawn(seed, rows, signal=2.2):
    random = np.random.default_rng(seed)
    true = random.integers(0, CLASSES, rows)
    logits = random.normal(size=(rows, CLASSES))
    logits[np.arange(rows), true] += signal
    table = np.exp(1.4 * logits)
    return table / table.sum(axis=1, keepdims=True), true


def section(rows, validation, **settings):
    result = promises.section(*rows, validation, CONFIG, 0, **settings)
    assert faults(REPORT["evaluation"]["promises"], result) == []
    return result


def test_figures_are_those_counted_by_hand():
    validation, (table, true) = selective.kept(*drawn(1, 800, 1.6)), drawn(2, 500, 1.6)
    result = section((table, true), validation)
    scores, right = table.max(axis=1), table.argmax(axis=1) == true
    assert result["validation_rows"] == 800
    for row in result["answers"]:
        limit = selective.threshold(validation, row["promised"])
        assert row["threshold"] == limit
        if limit is None:
            assert row["error"]["value"] is None
            continue
        answered = scores >= limit
        assert row["answered"]["value"] == pytest.approx(answered.mean())
        assert row["error"]["value"] == pytest.approx(1 - right[answered].mean())
        assert row["error"]["low"] <= row["error"]["value"] <= row["error"]["high"]
    assert sum(row["threshold"] is not None for row in result["answers"]) >= 2
    for row in result["sets"]:
        inside = table >= 1 - np.quantile(
            1 - np.array(validation["true"]), np.ceil(801 * row["promised"]) / 800, method="inverted_cdf"
        )
        inside |= table == table.max(axis=1, keepdims=True)
        assert row["covered"]["value"] == pytest.approx(inside[np.arange(500), true].mean())
        assert row["size"]["value"] == pytest.approx(inside.sum(axis=1).mean())
        assert row["size"]["low"] < row["size"]["value"] < row["size"]["high"]
    for point in result["curve"]:
        kept = scores >= point["threshold"] - 1e-6
        assert point["answered"] == pytest.approx(kept.mean())
        assert point["error"]["value"] == pytest.approx(1 - right[kept].mean())
    assert result["curve"][-1]["answered"] == 1.0


def test_promises_hold_on_rows_like_the_validation_rows_and_break_on_others():
    """Each promise is called broken seldom on exchangeable rows, and always where rows are much harder."""
    called, covered, kept = [], [], []
    for seed in range(60):
        result = section(drawn(seed + 500, 300), selective.kept(*drawn(seed, 600)))
        called.append(any(row["broken"] for row in (*result["answers"], *result["sets"])))
        covered.append([row["covered"]["value"] - row["promised"] for row in result["sets"]])
        kept += [
            row["error"]["value"] <= row["promised"] for row in result["answers"] if row["error"]["value"] is not None
        ]
    assert np.mean(called) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 60)
    assert (np.mean(covered, axis=0) > -0.01).all()
    assert np.mean(kept) >= 0.8  # of 300 rows, whose error differs from the true one
    harder = section(drawn(1, 600, signal=0.8), selective.kept(*drawn(2, 600)))
    assert all(row["broken"] for row in harder["sets"])
    assert any(row["broken"] for row in harder["answers"])


def test_few_validation_rows_break_no_promise():
    """With 40 validation rows the coverage of sets varies by five points between draws."""
    called, below = [], []
    for seed in range(150):
        result = section(drawn(seed + 500, 2000), selective.kept(*drawn(seed, 40)))
        sets = [row for row in result["sets"] if row["limit"] is not None]
        called.append(any(row["broken"] for row in sets))
        below.append(any(row["covered"]["high"] < row["promised"] for row in sets))
    assert np.mean(called) <= 0.03 + 2 * np.sqrt(
        0.03 * 0.97 / 150
    )  # three of seven parts of 5 %, and the errors of both
    assert np.mean(below) > 0.2


def test_intervals_are_over_groups():
    table, true = drawn(3, 400)
    groups = np.arange(400) // 20
    table[groups % 2 == 0] = table[groups % 2 == 0][:, ::-1]  # whole groups are predicted wrongly
    validation = selective.kept(*drawn(4, 400))
    alone, together = (section((table, true), validation, clusters=one) for one in (None, groups))
    for mine, other in zip(together["curve"][20:], alone["curve"][20:], strict=True):
        assert mine["error"]["high"] - mine["error"]["low"] > other["error"]["high"] - other["error"]["low"]
    assert together["sets"][0]["covered"]["low"] < alone["sets"][0]["covered"]["low"]


def test_without_validation_rows_the_curve_alone_is_shown():
    result = section(drawn(5, 50), {})
    assert result.keys() == {"confidence", "curve"}
    (shown,) = page(fill(REPORT["evaluation"]["promises"], result))
    assert [block.kind for block in shown.blocks] == ["band"]
    assert page(fill(REPORT["evaluation"]["promises"], {})) == []


def test_page_alerts_to_broken_promises():
    harder = section(drawn(1, 600, signal=0.8), selective.kept(*drawn(2, 600)))
    (shown,) = page(fill(REPORT["evaluation"]["promises"], harder))
    answers, sets = (block for block in shown.blocks if block.kind == "table")
    assert [bool(row[2].alert) for row in sets.rows] == [row["broken"] for row in harder["sets"]]
    assert [bool(row[3].alert) for row in answers.rows] == [row["broken"] for row in harder["answers"]]
