"""The calibration that is stored with a model: its temperature, how it was fitted, and thresholds."""

from collections.abc import Mapping
from typing import Any

from toolkit.config.settings import EvaluationConfig
from toolkit.evaluation import thresholds


def stored_thresholds(card: Mapping[str, Any], settings: EvaluationConfig) -> thresholds.Thresholds | None:
    """Return the thresholds that are stored with a model, or None where there are none for the positive class."""
    meant = card.get("evaluation") or {}
    if any(meant.get(key) != getattr(settings, key) for key in ("positive_class", "operating_points")):
        return None
    return thresholds.Thresholds.of(_calibration(card).get("screening"))


def stored_fit(card: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return how the stored temperature was fitted, or why there is none; None where that is not stored."""
    fit = _calibration(card).get("fit")
    return fit if isinstance(fit, Mapping) else None


def stored_temperature(card: Mapping[str, Any]) -> float | None:
    """Return the temperature that is stored with a model, or None."""
    value = _calibration(card).get("temperature")
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _calibration(card: Mapping[str, Any]) -> Mapping[str, Any]:
    stored = card.get("calibration")
    return stored if isinstance(stored, Mapping) else {}
