"""The page that traces a text through one attention head."""

from typing import Any

import toolkit
from toolkit.attention.walk import Step, Walk
from toolkit.report.pages.render import environment
from toolkit.report.plots import attention_maps


def to_html(walk: Walk, model: str, text: str) -> str:
    """One self-contained page; its one script is named by its hash in the page's policy.

    Args:
        walk: What was recorded.
        model: The model's name.
        text: The traced text.
    """
    return (
        environment("html")
        .get_template("attention/attend.html.j2")
        .render(
            model=model,
            text=text,
            toolkit_version=toolkit.__version__,
            layer=walk.layer,
            head=walk.head,
            tokens=walk.tokens,
            steps=[_step(step) for step in walk.steps],
            example=walk.example,
            difference=f"{walk.difference:.1g}",
            maps=[attention_maps.pack(text, walk.tokens, fitted) for fitted in attention_maps.fit([walk.weights])],
            **attention_maps.script(),
        )
    )


def _step(step: Step) -> dict[str, Any]:
    weights = step.kind == "weights"
    return {
        "title": step.title,
        "equation": step.equation,
        "meaning": step.meaning,
        "shape": step.shape,
        "rows": step.rows,
        "columns": step.columns,
        "cut": step.cut,
        "cells": [
            [{"text": number(value, step.kind), "share": f"{value:.2f}" if weights else None} for value in row]
            for row in step.values
        ],
    }


def number(value: float, kind: str) -> str:
    """Write a number of a step: an id as it is, anything else with two decimals."""
    return f"{value:.0f}" if kind == "ids" else f"{value:.2f}".replace("-", "−")
