"""The schema of report.json, and the reading of incomplete reports; `docs/report.md` describes each key.

In a shape a type is a value, [x] a list of x, a dictionary is its keys, {} is a free dictionary, and {str: x} one of x.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolkit import runs
from toolkit.errors import SourceError
from toolkit.report.shapes import EVALUATION, INTERVAL, METRIC, PLACE

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

# Parts without which later pages cannot be written.
_NEEDED = ("command", "created", "title", "config", "environment", "model", "data", "evaluation", "verdict")

_DIFFERENCE = {
    "metric": str,
    **INTERVAL,
    **dict.fromkeys(("p", "confidence", "standard_error"), float),
    "better": str,
    "mcnemar": {"only_ours": float, "only_theirs": float, "p": float},
}

_COMPARISON = {
    "rows": float,
    "groups": float,
    "split": str,
    "confidence": float,
    "models": [{"name": str, "recipe": str, "metrics": [METRIC]}],
    "pairs": [
        {
            "one": str,
            "other": str,
            "agreement": float,
            **dict.fromkeys(("both_right", "only_one", "only_other", "both_wrong"), float),
            "p": float,
            "confidence": float,
            "differences": [METRIC],
        }
    ],
    "disagreements": [
        {**PLACE, "text": str, "label": str, "answers": [{"model": str, "prediction": str, "confidence": float}]}
    ],
    "disagreeing": float,
    "parted_by": str,
    "costs": [{**dict.fromkeys(("name", "title", "unit", "better"), str), **INTERVAL, "bytes": float, "front": bool}],
}

_GATE = {
    "passed": bool,
    **dict.fromkeys(("error", "looks", "error_of_rule"), float),
    "rules": [
        {
            **dict.fromkeys(("rule", "title", "verdict", "unit", "reason"), str),
            "margin": float,
            "tested": bool,
            "items": [{"name": str, "verdict": str, **INTERVAL, "rows": float, "rows_needed": float}],
        }
    ],
}

_SEEDS = {
    "rows": float,
    "split": str,
    "confidence": float,
    "runs": [{"name": str, "seed": float, "metrics": [METRIC]}],
    "summary": [{**METRIC, **dict.fromkeys(("deviation", "lowest", "highest"), float)}],
    "agreement": float,
}

_MODEL_SIZE = {"name": str, **dict.fromkeys(("parameters", "bytes", "layers"), float)}

REPORT: dict[str, Any] = {
    "schema_version": float,
    "toolkit_version": str,
    "created": str,
    "title": str,
    "recipe": str,
    "command": str,
    "model": {"name": str, "origin": str, "architecture": str, "parameters": float, "size_bytes": float},
    "verdict": {"headline": str, "statements": [str], "warnings": [str]},
    "claims": {"tested": float, "error": float, "kinds": [{"kind": str, "tested": float, "error": float}]},
    "evaluation": EVALUATION,
    "comparison": _COMPARISON,
    "gate": _GATE,
    "seeds": _SEEDS,
    "baselines": [
        {
            "name": str,
            "title": str,
            "metrics": [METRIC],
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
        "time": dict.fromkeys(("column", "train_until", "test_from"), str),
        "unreadable": [{**PLACE, "name": str, "reason": str}],
    },
    "training": {
        **dict.fromkeys(("device", "precision", "acceleration", "attention_kernel"), str),
        **dict.fromkeys(("optimizer", "objective", "model_choice"), str),
        **dict.fromkeys(("seconds", "epochs", "steps", "samples_per_second", "waiting", "best_step"), float),
        **dict.fromkeys(("learning_rate", "batch_size", "seed", "tokens_per_example", "truncated"), float),
        "truncated_texts": [float],
        **dict.fromkeys(("trainable_parameters", "processes"), float),
        **dict.fromkeys(("compiled", "stopped_early", "truncated_by_length"), bool),
        "automatic": {},
        "linear_probe": {
            "figure": str,
            "unit": str,
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
        "distillation": {
            "teacher": str,
            **dict.fromkeys(("layers_kept", "temperature", "soft", "hard", "hidden", "relations"), float),
            **dict.fromkeys(("unlabelled_rows", "rounds", "confidence"), float),
            **dict.fromkeys(("teacher_model", "student_model"), _MODEL_SIZE),
            "times": [{**dict.fromkeys(("batch_size", "teacher", "student"), float), "faster": INTERVAL}],
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


def read_report(file: Path) -> dict[str, Any]:
    """Read the report of an evaluation, and refuse one in which parts that later pages need are missing or invalid.

    Raises:
        SourceError: It is missing, damaged or incomplete.
    """
    report = runs.read_object(file)
    wrong = [f"{key} is missing" for key in _NEEDED if not report.get(key)] or [
        fault for fault in faults(REPORT, report) if not fault.endswith("is not in the schema")
    ]
    if wrong:
        raise SourceError(
            f"{file} is not a complete report: {wrong[0]}.", "Copy the complete run directory again.", id="run.damaged"
        )
    return report
