"""Figures of a finished run, computed again from its stored predictions by scikit-learn, SciPy and statsmodels."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats
from sklearn import metrics, preprocessing

CLOSE = {"rel": 1e-6, "abs": 1e-9}


def check(run: Path) -> list[str]:
    """Compare the report of a run with figures of other libraries; return the names of those compared."""
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    table = pq.read_table(run / "predictions.parquet")
    evaluation = report["evaluation"]
    predicted = {"": table["prediction"].to_pylist()}
    predicted |= {title: table[f"baseline: {title}"].to_pylist() for title in (b["name"] for b in report["baselines"])}
    truth = table["label"].to_pylist()
    probabilities = np.array(table["probabilities"].to_pylist()) if "probabilities" in table.column_names else None
    reported = {"": evaluation["metrics"], **{b["name"]: b["metrics"] for b in report["baselines"]}}
    names = []
    for whose, figures in reported.items():
        others = dict(_figures(truth, predicted[whose], None if whose else probabilities, len(evaluation["labels"])))
        for figure in figures:
            if figure["name"] in others and figure["value"] is not None:
                assert figure["value"] == pytest.approx(others[figure["name"]], **CLOSE), (whose, figure["name"])
                names.append(f"{whose}: {figure['name']}")
    if probabilities is not None and evaluation.get("calibration", {}).get("bins"):
        names += _check_calibration(evaluation["calibration"], np.array(truth), probabilities)
    if isinstance(truth[0], int) and "_group" not in table.column_names:
        names += _check_wilson(evaluation)
        names += _check_mcnemar(report["baselines"], truth, predicted)
    return names


def _figures(truth: list, predicted: list, probabilities: Any, classes: int) -> Iterator[tuple[str, float]]:
    """Yield the figures that other libraries define for this kind of label."""
    if isinstance(truth[0], float):
        residuals = np.subtract(predicted, truth)
        yield from {
            "mae": metrics.mean_absolute_error(truth, predicted),
            "rmse": metrics.root_mean_squared_error(truth, predicted),
            "r2": metrics.r2_score(truth, predicted),
        }.items()
        if np.ptp(predicted) > 0 and residuals.any():
            yield "pearson", stats.pearsonr(truth, predicted).statistic
            yield "spearman", stats.spearmanr(truth, predicted).statistic
    elif isinstance(truth[0], list):
        binary = preprocessing.MultiLabelBinarizer(classes=range(classes))
        true, found = binary.fit_transform(truth), binary.fit_transform(predicted)
        for average in ("micro", "macro", "samples"):
            # a row without classes, and none predicted, is right; a class without both has no figure
            empty = 1.0 if average == "samples" else np.nan
            yield f"{average}_f1", metrics.f1_score(true, found, average=average, zero_division=empty)
        yield "exact_match", metrics.accuracy_score(true, found)
        if probabilities is not None:
            yield "mean_average_precision", metrics.average_precision_score(true, probabilities, average="macro")
            yield "ranking_loss", metrics.label_ranking_loss(true, probabilities)
    else:
        present = sorted({*truth, *predicted})
        yield "accuracy", metrics.accuracy_score(truth, predicted)
        yield "f1", metrics.f1_score(truth, predicted, labels=present, average="macro", zero_division=0)
        yield "matthews", metrics.matthews_corrcoef(truth, predicted)
        yield "quadratic_kappa", metrics.cohen_kappa_score(truth, predicted, weights="quadratic")
        yield "ordinal_mae", metrics.mean_absolute_error(truth, predicted)
        if probabilities is not None and classes == 2:
            yield "auroc", metrics.roc_auc_score(truth, probabilities[:, 1])
            yield "average_precision", metrics.average_precision_score(truth, probabilities[:, 1])


def _check_calibration(section: dict[str, Any], truth: np.ndarray, probabilities: np.ndarray) -> list[str]:
    """Compare Brier score (over all classes), log loss, and the calibration error over 15 bins of equal width."""
    one_hot = np.eye(probabilities.shape[1])[truth]
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    bins = np.clip(np.ceil(confidence * 15).astype(int) - 1, 0, 14)
    gaps = [abs(right[bins == n].mean() - confidence[bins == n].mean()) * (bins == n).mean() for n in set(bins)]
    assert section["brier"]["value"] == pytest.approx(((probabilities - one_hot) ** 2).sum(axis=1).mean(), **CLOSE)
    labels = range(probabilities.shape[1])
    assert section["log_loss"]["value"] == pytest.approx(
        metrics.log_loss(truth, probabilities, labels=labels), abs=1e-6
    )
    assert section["ece_equal_width"] == pytest.approx(sum(gaps), **CLOSE)
    return ["brier", "log_loss", "ece_equal_width"]


def _check_wilson(evaluation: dict[str, Any]) -> list[str]:
    """Compare the intervals of shares with Wilson's by statsmodels; rows that belong to groups have others."""
    from statsmodels.stats.proportion import proportion_confint

    calibration, slices = evaluation.get("calibration") or {}, evaluation.get("slices") or {}
    shares = [(row["accuracy"], row["count"], calibration["confidence"]) for row in calibration.get("bins", ())]
    shares += [(row["accuracy"], row["rows"], slices["confidence"]) for row in slices.get("groups", ())]
    for share, rows, confidence in shares:
        ends = proportion_confint(round(share["value"] * rows), rows, 1 - confidence, method="wilson")
        assert (share["low"], share["high"]) == pytest.approx(ends, **CLOSE), (share, rows)
    return ["wilson"] if shares else []


def _check_mcnemar(baselines: list[dict[str, Any]], truth: list[int], predicted: dict[str, list]) -> list[str]:
    """Compare McNemar's mid-p value for each baseline: the exact one by statsmodels less half of the last term."""
    from statsmodels.stats.contingency_tables import mcnemar

    ours = np.equal(predicted[""], truth)
    for baseline in baselines:
        theirs = np.equal(predicted[baseline["name"]], truth)
        one, other = int((ours & ~theirs).sum()), int((~ours & theirs).sum())
        test = baseline["difference"]["mcnemar"]
        assert (test["only_ours"], test["only_theirs"]) == (one, other)
        exact = mcnemar([[0, one], [other, 0]], exact=True).pvalue if one + other else 1.0
        middle = min(1.0, exact - stats.binom.pmf(min(one, other), one + other, 0.5)) if one != other else None
        if middle is not None:
            assert test["p"] == pytest.approx(middle, **CLOSE), baseline["name"]
    return ["mcnemar"]
