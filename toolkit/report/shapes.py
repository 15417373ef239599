"""The shape of an evaluation in report.json, in the notation of `toolkit.report.document.schema`."""

from typing import Any

INTERVAL = {"value": float, "low": float, "high": float}
METRIC = {
    **dict.fromkeys(("name", "title", "unit", "better", "signature", "positive"), str),
    **INTERVAL,
    **dict.fromkeys(("p", "standard_error", "base_rate"), float),
}
PLACE = {"file": str, "row": float}

_FIGURES = {
    **dict.fromkeys(("ece", "brier", "log_loss"), INTERVAL),
    **dict.fromkeys(("ece_plain", "ece_equal_width", "brier_scale"), float),
}
_CALIBRATION = {
    "unit": str,
    **dict.fromkeys(("confidence", "claims_confidence", "mean_confidence", "accuracy", "p", "temperature"), float),
    "gap": INTERVAL,
    "bins": [{"count": float, "confidence": float, "accuracy": INTERVAL}],
    **_FIGURES,
    "scaled": _FIGURES,
    "classes": [{"label": str, **dict.fromkeys(("mean_probability", "share", "p"), float), "ece": INTERVAL}],
    "fit": {"rows": float, "temperature": float, "gain": INTERVAL, "kept": bool, "reason": str},
}

_GROUP = {"by": str, "name": str, "rows": float, "accuracy": INTERVAL, "p": float}
_SLICES = {
    **dict.fromkeys(("figure", "unit"), str),
    **dict.fromkeys(("confidence", "claims_confidence", "worst_confidence"), float),
    **dict.fromkeys(("accuracy", "looked_at", "smallest", "clear"), float),
    "groups": [_GROUP],
    "worst": [_GROUP],
}

_LABEL_ERRORS = {
    "unit": str,
    "doubted": float,
    "noise": {
        **dict.fromkeys(("rate", "low", "high", "p"), float),
        "precision": dict.fromkeys(("value", "low", "high"), float),
    },
    "classes": [{"label": str, "missing": float, "wrong": float}],
    "examples": [
        {
            **PLACE,
            **dict.fromkeys(("text", "label", "suggestion", "picture"), str),
            **dict.fromkeys(("label_probability", "suggestion_probability"), float),
            "missing": bool,
        }
    ],
}

_CLASS = {
    "label": str,
    **dict.fromkeys(("support", "predicted", "threshold"), float),
    **dict.fromkeys(("precision", "recall", "f1"), INTERVAL),
}
_CLASSES_PER_ROW = {
    **dict.fromkeys(("true_mean", "predicted_mean"), float),
    "counts": [dict.fromkeys(("classes", "true", "predicted"), float)],
}
_CONFUSED = {
    **dict.fromkeys(("wrong", "missed", "added"), float),
    "confusions": [{"missed": str, "added": str, **dict.fromkeys(("count", "reverse", "expected"), float)}],
}
_DISTANCE = {
    "classes": [{"distance": float, "count": float, "share": INTERVAL}],
    **dict.fromkeys(("too_low", "too_high"), float),
    "signed": INTERVAL,
    "signed_confidence": float,
}
_RESIDUALS = {
    "mean": INTERVAL,
    "intervals": {"half_width": float, "nominal": float, "observed": INTERVAL},
    "quarters": [
        {
            **dict.fromkeys(("low", "high", "rows"), float),
            **dict.fromkeys(("error", "residual", "difference"), INTERVAL),
            "worse": bool,
        }
    ],
    **dict.fromkeys(("mean_confidence", "claims_confidence", "quarters_confidence"), float),
    "drawn": [[float]],
}
_PROBABLE = {"label": str, "probability": float}
_ERROR = {
    **PLACE,
    **dict.fromkeys(("text", "label", "prediction", "kind", "picture"), str),
    **dict.fromkeys(("confidence", "residual"), float),
    "missed": [_PROBABLE],
    "added": [_PROBABLE],
}

_SAMPLE = {**PLACE, "text": str, "label": str, "picture": str}
_NEAR_DUPLICATES = {
    "kind": str,
    **dict.fromkeys(("threshold", "rows", "found", "other_label"), float),
    "without": {"rows": float, "metric": METRIC},
    "pairs": [{"similarity": float, "test": _SAMPLE, "train": _SAMPLE}],
}

_CHANGED = {
    **PLACE,
    **dict.fromkeys(("text", "changed", "before", "after", "picture", "changed_picture"), str),
}
_ROBUSTNESS = {
    **dict.fromkeys(("kind", "metric", "unit", "better"), str),
    **dict.fromkeys(("rows", "accuracy", "half_width"), float),
    **dict.fromkeys(("confidence", "claims_confidence", "difference_confidence"), float),
    "invariance": [
        {
            "name": str,
            "title": str,
            "changed": float,
            "difference": {**INTERVAL, "p": float},
            "flipped": INTERVAL,
            "moved": INTERVAL,
            "failures": [_CHANGED],
        }
    ],
    "expectations": [{"name": str, "title": str, "tried": float, "failed": INTERVAL, "failures": [_CHANGED]}],
    "not_tested": str,
}

_EXPLANATIONS = {
    "methods": [{"name": str, "title": str, "about": str}],
    "examples": [
        {
            **PLACE,
            **dict.fromkeys(("text", "label", "prediction", "picture"), str),
            "confidence": float,
            "right": bool,
            "overlays": [str],
            "words": [[str]],
        }
    ],
    "pairs": bool,
    "not_tested": str,
}

_FAITHFULNESS = {
    **dict.fromkeys(("examples", "confidence"), float),
    **dict.fromkeys(("best", "unit", "change", "headline", "not_tested"), str),
    "methods": [{"name": str, "title": str, **INTERVAL}],
    "statements": [str],
    "warnings": [str],
}

_BIAS = {
    **dict.fromkeys(("confidence", "claims_confidence", "claims"), float),
    "scored": bool,
    "measure": str,
    "studies": [
        {
            **dict.fromkeys(("category", "source"), str),
            **dict.fromkeys(("texts", "versions", "terms", "claims", "degrees", "gap_confidence"), float),
            "flipped": INTERVAL,
            "groups": [str],
            "means": [{"label": str, "terms": [float], "scores": [[float]]}],
            "gaps": [{"label": str, "group": str, "versus": str, "score": INTERVAL, "clear": bool}],
            "failures": [{**_CHANGED, "groups": str}],
        }
    ],
    "not_tested": str,
}

_FAIRNESS = {
    "column": str,
    **dict.fromkeys(("confidence", "claims_confidence", "smallest"), float),
    "left_out": [str],
    "groups": [{"name": str, "rows": float, "accuracy": INTERVAL, "rates": {}}],
    "gaps": [{"figure": str, **INTERVAL, "p": float}],
    "gaps_confidence": float,
}

_WRITTEN = {**PLACE, **dict.fromkeys(("source", "reference", "written", "remark"), str)}
_WRITING = {
    **dict.fromkeys(("confidence", "failed_confidence"), float),
    "checks": [
        {
            "name": str,
            "title": str,
            "tried": float,
            "failed": INTERVAL,
            "references_failed": float,
            "clear": bool,
            "failures": [_WRITTEN],
        }
    ],
    "worst": [{**_WRITTEN, "score": float}],
    "worst_by": str,
    "glossary": {
        "source": str,
        "kept": INTERVAL,
        "references_kept": float,
        "terms": [{"term": str, "translation": str, "tried": float, "kept": float}],
    },
}

_TRANSCRIPTS = {
    "worst_by": str,
    "wrong": float,
    "worst": [{**PLACE, **dict.fromkeys(("source", "reference", "written"), str), "score": float}],
}

_RECOMMENDATIONS = {
    **dict.fromkeys(("confidence", "users", "items", "coverage", "unseen", "repeats", "items_in_history"), float),
    "popularity_ratio": INTERVAL,
    "exclude_seen": bool,
}

_COST = {
    "device": str,
    "timed": str,
    **dict.fromkeys(("confidence", "threads", "bytes_on_disk"), float),
    "energy": str,
    "timings": [
        {
            **dict.fromkeys(("batch_size", "length", "passes"), float),
            **dict.fromkeys(("p50_ms", "p99_ms", "examples_per_second", "joules_per_example"), float),
            "median_ms": INTERVAL,
            "rounds_ms": [float],
        }
    ],
}

_SCREENING = {
    "positive": str,
    **dict.fromkeys(("confidence", "positives", "negatives", "validation_positives", "validation_negatives"), float),
    "points": [
        {
            "name": str,
            **dict.fromkeys(("threshold", "target"), float),
            **dict.fromkeys(("missed", "missed_on_validation"), bool),
            "on_validation": {"sensitivity": INTERVAL, "specificity": INTERVAL},
            **dict.fromkeys(
                ("sensitivity", "specificity", "positive_predictive_value", "negative_predictive_value"), INTERVAL
            ),
        }
    ],
}

_PROMISES = {
    **dict.fromkeys(("confidence", "promise_confidence", "doubt", "validation_rows"), float),
    "curve": [{"threshold": float, "answered": float, "error": INTERVAL}],
    "answers": [
        {**dict.fromkeys(("promised", "threshold"), float), "answered": INTERVAL, "error": INTERVAL, "broken": bool}
    ],
    "sets": [
        {**dict.fromkeys(("promised", "limit", "least"), float), "covered": INTERVAL, "size": INTERVAL, "broken": bool}
    ],
}

_GROUPING = {
    **dict.fromkeys(("column", "metric"), str),
    **dict.fromkeys(("groups", "largest", "effective_groups", "design_effect", "effective_rows"), float),
}

_DIFFERS = {**dict.fromkeys(("reference", "new", "p"), float), "claimed": bool}
SHIFT: dict[str, Any] = {
    **dict.fromkeys(("claimed", "one_of_each_group"), bool),
    **dict.fromkeys(("level", "margin", "confidence", "draws", "words_tested"), float),
    **dict.fromkeys(("rows", "reference_rows", "groups", "reference_groups"), float),
    "domain": {**INTERVAL, "p": float, "part": str},
    "within_classes": {**INTERVAL, "p": float, "part": str, "rows": float},
    "words": [{"word": str, **_DIFFERS}],
    "properties": [{"name": str, **_DIFFERS}],
    "examples": [{**PLACE, "text": str, "picture": str, "score": float}],
    "predicted": [{"label": str, "reference": INTERVAL, "new": INTERVAL}],
    "classes": [{"label": str, "reference": float, **INTERVAL}],
    "classes_reason": str,
    "accuracy": {
        **dict.fromkeys(("title", "reason"), str),
        "fitted_rows": float,
        **dict.fromkeys(("estimate", "truth", "reference", "checked", "checked_truth"), INTERVAL),
        **dict.fromkeys(("confidence", "reference_confidence"), INTERVAL),
    },
    "metric": {
        **dict.fromkeys(("name", "title", "unit", "better"), str),
        **dict.fromkeys(("new", "reference", "difference"), INTERVAL),
        "confidence": float,
        "claimed": bool,
    },
}

EVALUATION: dict[str, Any] = {
    "split": str,
    "rows": float,
    "confidence": float,
    "claims_confidence": {},
    "looks": float,
    "labels": [str],
    "loss": float,
    "metrics": [METRIC],
    "grouping": _GROUPING,
    "unit": str,
    "per_class": [_CLASS],
    "classes_per_row": _CLASSES_PER_ROW,
    "confused": _CONFUSED,
    "distance": _DISTANCE,
    "residuals": _RESIDUALS,
    "confusion": {"labels": [str], "matrix": [[float]]},
    "errors": [_ERROR],
    "calibration": _CALIBRATION,
    "promises": _PROMISES,
    "slices": _SLICES,
    "label_errors": _LABEL_ERRORS,
    "near_duplicates": _NEAR_DUPLICATES,
    "writing": _WRITING,
    "transcripts": _TRANSCRIPTS,
    "recommendations": _RECOMMENDATIONS,
    "shift": SHIFT,
    "robustness": _ROBUSTNESS,
    "bias": _BIAS,
    "explanations": _EXPLANATIONS,
    "faithfulness": _FAITHFULNESS,
    "fairness": _FAIRNESS,
    "ranking": {
        **dict.fromkeys(("column", "not_tested"), str),
        **dict.fromkeys(("confidence", "queries", "left_out", "rows"), float),
        "metrics": [METRIC],
    },
    "cost": _COST,
    "screening": _SCREENING,
    "own": [{**dict.fromkeys(("name", "title", "text"), str), "columns": [str], "rows": [[str]]}],
    "not_checked": {"checks": [str], "command": str},
}
