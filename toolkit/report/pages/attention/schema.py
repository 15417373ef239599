"""The two shapes of explanation.json, in the notation of `toolkit.report.document.schema`."""

from typing import Any

from toolkit.report.shapes import INTERVAL

_HEAD = {"schema_version": float, **dict.fromkeys(("toolkit_version", "created", "command"), str)}
_VERDICT = {"headline": str, "statements": [str], "warnings": [str]}
_METHOD = {
    **dict.fromkeys(("comprehensiveness", "sufficiency", "faithfulness", "over_random"), INTERVAL),
    "beats_random": bool,
    "sensitivity": [INTERVAL],
}

EXPLANATION: dict[str, Any] = {
    **_HEAD,
    "model": {"name": str, "origin": str, "labels": [str]},
    "unit": str,
    "of_numbers": bool,
    "verdict": _VERDICT,
    "notes": [str],
    "methods": [{**dict.fromkeys(("name", "title", "about"), str), "signed": bool}],
    "trust": {
        **dict.fromkeys(("texts", "confidence", "sensitivity_texts"), float),
        **dict.fromkeys(("change", "best", "runner_up"), str),
        "lead": INTERVAL,
        "methods": {str: _METHOD},
        "random": _METHOD,
        "masked": {"best": str, "texts": float, "methods": {str: _METHOD}},
        "stages": [str],
    },
    "regions": {str: {"pictures": float, **dict.fromkeys(("pointing", "overlap", "found", "middle"), INTERVAL)}},
    "texts": [
        {
            "grid": [float],
            "asked": {"number": float, "word": str},
            "text": str,
            "words": [str],
            "sources": [float],
            "scores": {str: [float]},
            "tokens": [str],
            "special_tokens": [str],
            "special": {str: [float]},
            "prediction": str,
            "predicted": bool,
            **dict.fromkeys(("completeness_error", "probability", "calibrated_probability", "value"), float),
        }
    ],
}

ALIGNMENT: dict[str, Any] = {
    **_HEAD,
    "model": {"name": str, "origin": str},
    "unit": str,
    "reading": str,
    "readings": [str],
    "verdict": _VERDICT,
    "notes": [str],
    "trust": {
        **dict.fromkeys(("texts", "words", "confidence", "reading"), float),
        **dict.fromkeys(("attention", "diagonal", "lead"), INTERVAL),
        "readings": [float],
    },
    "error_rates": {
        "source": str,
        **dict.fromkeys(("pairs", "confidence", "random"), float),
        **dict.fromkeys(("attention", "falls", "diagonal", "lead"), INTERVAL),
    },
    "texts": [
        {
            **dict.fromkeys(("source", "translation"), str),
            **{key: [str] for key in ("source_words", "target_words")},
            **{key: [[float]] for key in ("weights", "falls", "links", "links_by_falls")},
            "gold": {key: [[float]] for key in ("sure", "possible")},
        }
    ],
}
