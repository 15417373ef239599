"""The schema of report.json, and the reading of incomplete reports; `docs/report.md` describes each key.

In a shape a type is a value, [x] a list of x, a dictionary is its keys, and {} is a free dictionary.
"""

import re
from collections.abc import Mapping
from typing import Any

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

_INTERVAL = {"value": float, "low": float, "high": float}
_METRIC = {**dict.fromkeys(("name", "title", "unit", "better", "signature"), str), **_INTERVAL}
_PLACE = {"file": str, "row": float}
_DIFFERENCE = {
    "metric": str,
    **_INTERVAL,
    "better": str,
    "mcnemar": {"only_ours": float, "only_theirs": float, "p": float},
}

_FIGURES = {"ece": _INTERVAL, "ece_plain": float, "brier": _INTERVAL, "log_loss": _INTERVAL}
_CALIBRATION = {
    "unit": str,
    **dict.fromkeys(("confidence", "mean_confidence", "accuracy", "p", "temperature"), float),
    "bins": [{"count": float, "confidence": float, "accuracy": _INTERVAL}],
    **_FIGURES,
    "scaled": _FIGURES,
    "classes": [{"label": str, **dict.fromkeys(("mean_probability", "share", "p"), float), "ece": _INTERVAL}],
    "fit": {"rows": float, "temperature": float, "gain": _INTERVAL, "kept": bool, "reason": str},
}

_GROUP = {"by": str, "name": str, "rows": float, "accuracy": _INTERVAL, "p": float}
_SLICES = {
    **dict.fromkeys(("figure", "unit"), str),
    **dict.fromkeys(("confidence", "accuracy", "looked_at", "smallest", "clear", "worst_confidence"), float),
    "groups": [_GROUP],
    "worst": [_GROUP],
}

_LABEL_ERRORS = {
    "unit": str,
    "doubted": float,
    "noise": {"rate": float, "p": float},
    "classes": [{"label": str, "missing": float, "wrong": float}],
    "examples": [
        {
            **_PLACE,
            **dict.fromkeys(("text", "label", "suggestion", "picture"), str),
            **dict.fromkeys(("label_probability", "suggestion_probability"), float),
            "missing": bool,
        }
    ],
}

_CLASS = {
    "label": str,
    **dict.fromkeys(("support", "predicted", "threshold"), float),
    **dict.fromkeys(("precision", "recall", "f1"), _INTERVAL),
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
    "classes": [{"distance": float, "count": float, "share": _INTERVAL}],
    **dict.fromkeys(("too_low", "too_high"), float),
    "signed": _INTERVAL,
}
_RESIDUALS = {
    "mean": _INTERVAL,
    "intervals": {"half_width": float, "nominal": float, "observed": _INTERVAL},
    "quarters": [
        {
            **dict.fromkeys(("low", "high", "rows"), float),
            **dict.fromkeys(("error", "residual", "difference"), _INTERVAL),
            "worse": bool,
        }
    ],
    "quarters_confidence": float,
    "drawn": [[float]],
}
_PROBABLE = {"label": str, "probability": float}
_ERROR = {
    **_PLACE,
    **dict.fromkeys(("text", "label", "prediction", "kind", "picture"), str),
    **dict.fromkeys(("confidence", "residual"), float),
    "missed": [_PROBABLE],
    "added": [_PROBABLE],
}

_SAMPLE = {**_PLACE, "text": str, "label": str, "picture": str}
_NEAR_DUPLICATES = {
    "kind": str,
    **dict.fromkeys(("threshold", "rows", "found", "other_label"), float),
    "without": {"rows": float, "metric": _METRIC},
    "pairs": [{"similarity": float, "test": _SAMPLE, "train": _SAMPLE}],
}

_CHANGED = {
    **_PLACE,
    **dict.fromkeys(("text", "changed", "before", "after", "picture", "changed_picture"), str),
}
_ROBUSTNESS = {
    **dict.fromkeys(("kind", "metric", "unit", "better"), str),
    **dict.fromkeys(("rows", "confidence", "accuracy", "half_width"), float),
    "invariance": [
        {
            "name": str,
            "title": str,
            "changed": float,
            "difference": _INTERVAL,
            "flipped": _INTERVAL,
            "moved": _INTERVAL,
            "failures": [_CHANGED],
        }
    ],
    "expectations": [{"name": str, "title": str, "tried": float, "failed": _INTERVAL, "failures": [_CHANGED]}],
    "not_tested": str,
}

_EXPLANATIONS = {
    "methods": [{"name": str, "title": str, "about": str}],
    "examples": [
        {
            **_PLACE,
            **dict.fromkeys(("text", "label", "prediction", "kind", "picture"), str),
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
    "methods": [{"name": str, "title": str, **_INTERVAL}],
    "statements": [str],
    "warnings": [str],
}

_BIAS = {
    "confidence": float,
    "scored": bool,
    "measure": str,
    "studies": [
        {
            **dict.fromkeys(("category", "source"), str),
            **dict.fromkeys(("texts", "versions"), float),
            "flipped": _INTERVAL,
            "gaps": [{"label": str, "group": str, "versus": str, "score": _INTERVAL, "clear": bool}],
            "failures": [{**_CHANGED, "groups": str}],
        }
    ],
    "not_tested": str,
}

_FAIRNESS = {
    "column": str,
    "confidence": float,
    "smallest": float,
    "left_out": [str],
    "groups": [{"name": str, "rows": float, "accuracy": _INTERVAL, "rates": {}}],
    "gaps": [{"figure": str, "value": float, "p": float}],
}

_WRITTEN = {**_PLACE, **dict.fromkeys(("source", "reference", "written", "remark"), str)}
_WRITING = {
    "confidence": float,
    "checks": [
        {
            "name": str,
            "title": str,
            "tried": float,
            "failed": _INTERVAL,
            "references_failed": float,
            "clear": bool,
            "failures": [_WRITTEN],
        }
    ],
    "worst": [{**_WRITTEN, "score": float}],
    "worst_by": str,
    "glossary": {
        "source": str,
        "kept": _INTERVAL,
        "references_kept": float,
        "terms": [{"term": str, "translation": str, "tried": float, "kept": float}],
    },
}

_TRANSCRIPTS = {
    "worst_by": str,
    "wrong": float,
    "worst": [{**_PLACE, **dict.fromkeys(("source", "reference", "written"), str), "score": float}],
}

_RECOMMENDATIONS = {
    **dict.fromkeys(("confidence", "users", "items", "coverage", "unseen", "repeats", "items_in_history"), float),
    "popularity_ratio": _INTERVAL,
    "exclude_seen": bool,
}

_COST = {
    "device": str,
    "timed": str,
    "threads": float,
    "bytes_on_disk": float,
    "energy": str,
    "timings": [
        dict.fromkeys(
            ("batch_size", "length", "passes", "p50_ms", "p99_ms", "examples_per_second", "joules_per_example"), float
        )
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
            "on_validation": {"sensitivity": _INTERVAL, "specificity": _INTERVAL},
            **dict.fromkeys(
                ("sensitivity", "specificity", "positive_predictive_value", "negative_predictive_value"), _INTERVAL
            ),
        }
    ],
}

_COMPARISON = {
    "rows": float,
    "split": str,
    "confidence": float,
    "models": [{"name": str, "recipe": str, "metrics": [_METRIC]}],
    "pairs": [
        {
            "one": str,
            "other": str,
            "agreement": float,
            **dict.fromkeys(("both_right", "only_one", "only_other", "both_wrong"), float),
            "p": float,
            "confidence": float,
            "differences": [_METRIC],
        }
    ],
    "disagreements": [
        {**_PLACE, "text": str, "label": str, "answers": [{"model": str, "prediction": str, "confidence": float}]}
    ],
    "disagreeing": float,
    "parted_by": str,
}

_SEEDS = {
    "rows": float,
    "split": str,
    "confidence": float,
    "runs": [{"name": str, "seed": float, "metrics": [_METRIC]}],
    "summary": [{**_METRIC, **dict.fromkeys(("deviation", "lowest", "highest"), float)}],
    "agreement": float,
}

REPORT: dict[str, Any] = {
    "schema_version": float,
    "toolkit_version": str,
    "created": str,
    "title": str,
    "recipe": str,
    "command": str,
    "model": {"name": str, "origin": str, "architecture": str, "parameters": float, "size_bytes": float},
    "verdict": {"headline": str, "statements": [str], "warnings": [str]},
    "evaluation": {
        "split": str,
        "rows": float,
        "confidence": float,
        "labels": [str],
        "loss": float,
        "metrics": [_METRIC],
        "unit": str,
        "per_class": [_CLASS],
        "classes_per_row": _CLASSES_PER_ROW,
        "confused": _CONFUSED,
        "distance": _DISTANCE,
        "residuals": _RESIDUALS,
        "confusion": {"labels": [str], "matrix": [[float]]},
        "errors": [_ERROR],
        "calibration": _CALIBRATION,
        "slices": _SLICES,
        "label_errors": _LABEL_ERRORS,
        "near_duplicates": _NEAR_DUPLICATES,
        "writing": _WRITING,
        "transcripts": _TRANSCRIPTS,
        "recommendations": _RECOMMENDATIONS,
        "robustness": _ROBUSTNESS,
        "bias": _BIAS,
        "explanations": _EXPLANATIONS,
        "faithfulness": _FAITHFULNESS,
        "fairness": _FAIRNESS,
        "ranking": {
            **dict.fromkeys(("column", "not_tested"), str),
            **dict.fromkeys(("confidence", "queries", "left_out", "rows"), float),
            "metrics": [_METRIC],
        },
        "cost": _COST,
        "screening": _SCREENING,
        "not_checked": {"checks": [str], "command": str},
    },
    "comparison": _COMPARISON,
    "seeds": _SEEDS,
    "baselines": [
        {
            "name": str,
            "title": str,
            "metrics": [_METRIC],
            "difference": _DIFFERENCE,
            "further_differences": [_DIFFERENCE],
        }
    ],
    "data": {
        "source": str,
        "origin": str,
        "fingerprint": str,
        "splits": [{"name": str, "rows": float, "classes": {}, "given": bool}],
        "counts": {},
        "notes": [str],
        "unreadable": [{**_PLACE, "name": str, "reason": str}],
    },
    "training": {
        **dict.fromkeys(("device", "precision", "acceleration", "attention_kernel"), str),
        **dict.fromkeys(("optimizer", "objective", "model_choice"), str),
        **dict.fromkeys(("seconds", "epochs", "steps", "samples_per_second", "waiting", "best_step"), float),
        **dict.fromkeys(("learning_rate", "batch_size", "seed", "tokens_per_example", "truncated"), float),
        "truncated_texts": [float],
        **dict.fromkeys(("trainable_parameters", "processes"), float),
        **dict.fromkeys(("compiled", "stopped_early"), bool),
        "automatic": {},
        "linear_probe": {
            "figure": str,
            "pooling": str,
            "accuracy": float,
            "loss": float,
            "installed": bool,
            "pooling_layer": bool,
            "logit_adjustment": float,
        },
        "budget": {
            **dict.fromkeys(("seconds", "before_training", "kept_for_evaluation", "probe_rows"), float),
            **dict.fromkeys(("train_rows", "validation_rows", "test_rows"), float),
            **dict.fromkeys(("steps_planned", "steps_without_limit"), float),
            "fewer_rows": [str],
        },
        "few_labels": {
            **dict.fromkeys(("rows", "folds", "temperature"), float),
            **dict.fromkeys(("chosen", "reason"), str),
            "pretraining": dict.fromkeys(
                ("texts", "held_out_texts", "perplexity_before", "perplexity", "seconds"), float
            ),
            "candidates": [
                {
                    "name": str,
                    **dict.fromkeys(("folds", "accuracy", "log_likelihood", "standard_error"), float),
                    **dict.fromkeys(("difference", "difference_standard_error", "seconds"), float),
                }
            ],
        },
        "loss": [{"step": float, "epoch": float, "value": float}],
        "evaluations": [{}],
    },
    "environment": {},
    "config": {},
    "advice": [{"id": str, "evidence": str, "advice": str, "command": str}],
}


def faults(shape: Any, value: Any, path: str = "report") -> list[str]:
    """Name every part of `value` that is not of the shape: a key that is not in it, or a value of another type.

    None may appear anywhere, and any key may be missing: a report holds only what was measured.
    """
    if value is None or shape == {}:
        return []
    if isinstance(shape, dict):
        if not isinstance(value, Mapping):
            return [f"{path} is not a mapping"]
        unknown = [f"{path}.{key} is not in the schema" for key in value if key not in shape]
        return unknown + [
            fault for key in value if key in shape for fault in faults(shape[key], value[key], f"{path}.{key}")
        ]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{path} is not a list"]
        return [fault for item in value for fault in faults(shape[0], item, f"{path}[]")]
    fits = isinstance(value, int | float) and not isinstance(value, bool) if shape is float else type(value) is shape
    return [] if fits else [f"{path} is a {type(value).__name__}, not a {shape.__name__}"]


def fill(shape: Any, value: Any) -> Any:
    """Give `value` the shape: absent keys appear, unknown ones go, wrong types and NaN become nothing."""
    if isinstance(shape, dict):
        source = value if isinstance(value, Mapping) else {}
        return {key: fill(part, source.get(key)) for key, part in shape.items()} if shape else _plain(source)
    if isinstance(shape, list):
        items = _plain(value)
        return [fill(shape[0], item) for item in items if item is not None] if isinstance(items, list) else []
    plain = _plain(value)
    if shape is float:
        return plain if isinstance(plain, int | float) and not isinstance(plain, bool) else None
    if shape is bool:
        return plain if isinstance(plain, bool) else None
    return "" if plain is None else str(plain)


def _plain(value: Any) -> Any:
    """The value as dict, list, str, int, float, bool or None; NaN, infinity and absurd magnitudes become None."""
    if hasattr(value, "tolist"):  # NumPy's scalars and arrays
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if abs(value) < 1e100 else None
    return _UNPRINTABLE.sub("\ufffd", str(value))
