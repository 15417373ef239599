"""The page on the word alignment of translations, and its reliability."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.explanation.translations.error_rate import Gold
from toolkit.explanation.translations.links import PairResult, Reading, links
from toolkit.report.formats import estimate, measure
from toolkit.report.pages.attention.explanation import unmeasured
from toolkit.report.pages.render import environment
from toolkit.report.plots import geometry


def build(
    results: Sequence[PairResult],
    chosen: int,
    known: Sequence[Reading],
    trust: Mapping[str, Any] | None,
    error_rates: Mapping[str, Any] | None,
    golds: Sequence[Gold] | None,
    *,
    head: Mapping[str, Any],
    model: Mapping[str, Any],
    notes: Sequence[str],
    to_measure: str,
) -> dict[str, Any]:
    """Assemble the content of explanation.json.

    Args:
        results: The results of each pair.
        chosen: The attention reading of the links.
        known: Every reading.
        trust: How often attention identifies the most important source word, and the diagonal does, if measured.
        error_rates: Compared with a manual alignment, if there is one.
        golds: The manual alignments.
        head: The first keys.
        model: "name" and "origin" of the model.
        notes: Sentences for the reader.
        to_measure: The command that measures the reliability of attention.
    """
    return {
        **head,
        "model": dict(model),
        "unit": "link",
        "reading": known[chosen].title,
        "readings": [result.title for result in known],
        "verdict": verdict(trust, error_rates, to_measure),
        "notes": list(notes),
        "trust": trust,
        "error_rates": error_rates,
        "texts": [_text(result, chosen, golds[number] if golds else None) for number, result in enumerate(results)],
    }


def _text(result: PairResult, chosen: int, gold: Gold | None) -> dict[str, Any]:
    pair = result.pair
    return {
        "source": pair.source,
        "translation": pair.target,
        "source_words": list(pair.source_words),
        "target_words": list(pair.target_words),
        "weights": result.attention[chosen].tolist(),
        "falls": result.falls.tolist(),
        "links": [list(link) for link in links(result.attention[chosen], pair)],
        "links_by_falls": [list(link) for link in links(result.falls, pair)],
        "gold": None
        if gold is None
        else {"sure": sorted(map(list, gold.sure)), "possible": sorted(map(list, gold.possible))},
    }


def verdict(trust: Mapping[str, Any] | None, error_rates: Mapping[str, Any] | None, to_measure: str) -> dict[str, Any]:
    """Say how reliable the links are."""
    statements, warnings = [], []
    if error_rates is not None:
        headline = f"Attention’s alignment error rate is {_share(error_rates['attention'])}."
        statements.append(
            f"The diagonal’s is {_share(error_rates['diagonal'])}, that of random links "
            f"{measure(error_rates['random'], 'fraction')}, that of occlusion {_share(error_rates['falls'])}; "
            f"on {error_rates['pairs']:,} manually aligned pairs."
        )
        if error_rates["lead"]["low"] <= 0:
            warnings.append("Attention is not significantly closer to the manual alignment than the diagonal.")
    elif trust is not None:
        headline = (
            f"For {measure(trust['attention']['value'], 'fraction')} of the words, attention identifies the most "
            "important source word."
        )
    else:
        headline = unmeasured(to_measure)
    if trust is not None:
        statements.append(
            f"The most important source word is the one whose removal lowers the translated word’s probability most: "
            f"attention identifies it for {_share(trust['attention'])} of {trust['words']:,} words in {trust['texts']} "
            f"pairs of the model’s own data, the diagonal for {_share(trust['diagonal'])}."
        )
        if trust["lead"]["low"] <= 0:
            warnings.append(
                "Attention does not identify the most important source word significantly more often than the diagonal "
                "and is no explanation."
            )
    return {"headline": headline, "statements": statements, "warnings": warnings}


def _share(figure: Mapping[str, float]) -> str:
    return estimate(figure, "fraction")


def to_html(alignment: Mapping[str, Any]) -> str:
    """One self-contained page, with no script.

    Args:
        alignment: From `build`.
    """
    rates = alignment["error_rates"]
    return (
        environment("html")
        .get_template("explanation/alignment.html.j2")
        .render(
            **alignment, rows=[_rows(text) for text in alignment["texts"]], picture=_picture(rates) if rates else None
        )
    )


def _rows(text: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each translated word with the source word it comes from, and its row of shades, the strongest full."""
    linked = {target: source for source, target in text["links"]}
    mattering = {tuple(link) for link in text["links_by_falls"]}
    gold = text["gold"] or {"sure": [], "possible": []}
    sure, possible = ({tuple(link) for link in gold[kind]} for kind in ("sure", "possible"))
    rows = []
    for target, (word, weights) in enumerate(zip(text["target_words"], text["weights"], strict=True)):
        shares = np.asarray(weights, np.float64) / max([*weights, 1e-12])
        cells = [
            {
                "share": f"{share:.2f}",
                "weight": weight,
                "linked": linked.get(target) == source,
                "matters": (source, target) in mattering,
                "gold": "sure" if (source, target) in sure else "possible" if (source, target) in possible else None,
            }
            for source, (share, weight) in enumerate(zip(shares, weights, strict=True))
        ]
        source = linked.get(target)
        rows.append({"word": word, "from": None if source is None else text["source_words"][source], "cells": cells})
    return rows


def _picture(rates: Mapping[str, Any]) -> dict[str, Any]:
    """Set the error rates on one axis."""
    chance = {"value": rates["random"], "low": rates["random"], "high": rates["random"]}
    figures = [
        ("Attention", rates["attention"]),
        ("Occlusion of each source word", rates["falls"]),
        ("The diagonal", rates["diagonal"]),
        ("Random links", chance),
    ]
    plot = geometry.intervals([(f["value"], f["low"], f["high"]) for _, f in figures], percent=True)
    rows = [(title, {**figure, "unit": "fraction"}) for title, figure in figures]
    return {"title": "Alignment error rate, lower is better", "rows": rows, "plot": plot, "model": True}


def draw(alignment: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw each pair as a PNG file.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    from toolkit.report.plots.explanation_images import draw_alignment

    return [draw_alignment(text, folder / f"text-{number}.png") for number, text in enumerate(alignment["texts"], 1)]
