"""Attention maps for a page, a byte a weight, and the one script that draws them."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

MOST_BYTES = 12_000_000  # of maps in one page; beyond that each layer is averaged over its heads


def pack(title: str, tokens: Sequence[str], weights: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Lay out one text's maps for the script, a byte a weight.

    Args:
        title: What the text is called where texts are chosen.
        tokens: Of the text.
        weights: From 0 to 1. Shape (L, H, T, T).
    """
    levels = np.rint(255 * np.clip(weights, 0, 1)).astype(np.uint8)
    return {
        "title": title,
        "tokens": list(tokens),
        "shape": list(levels.shape),
        "data": base64.b64encode(levels.tobytes()).decode("ascii"),
    }


def fit(weights: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    """Average each layer over its heads where all maps together would make the page too large."""
    if sum(maps.size for maps in weights) <= MOST_BYTES:
        return list(weights)
    return [maps.mean(axis=1, keepdims=True) for maps in weights]


@cache
def script(name: str = "attention/attention.js") -> Mapping[str, Any]:
    """Return a page's script and its hash as a content security policy names it."""
    text = (Path(__file__).parents[1] / "templates" / name).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return {"script": Markup(text), "script_hash": Markup(f"'sha256-{digest}'")}
