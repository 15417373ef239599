"""Assemble the report from measured results; report.json is this dictionary, unchanged."""

from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.report.document.advice import advise
from toolkit.report.document.claims import tested
from toolkit.report.document.verdict import verdict


def build(
    *,
    head: Mapping[str, Any],
    model: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    baselines: Sequence[Mapping[str, Any]],
    data: Mapping[str, Any],
    training: Mapping[str, Any] | None,
    environment: Mapping[str, Any],
    config: Mapping[str, Any],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Assemble the report; every argument but `head` becomes the section of its name."""
    report: dict[str, Any] = {
        **head,
        "model": dict(model),
        "verdict": verdict(evaluation, baselines, training, warnings, data),
        "claims": tested(evaluation, baselines),
        "evaluation": dict(evaluation),
        "baselines": [dict(baseline) for baseline in baselines],
        "data": dict(data),
        "training": dict(training) if training is not None else None,
        "environment": dict(environment),
        "config": dict(config),
    }
    return {**report, "advice": advise(report)}
