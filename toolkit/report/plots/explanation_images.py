"""Explanations as PNG files, drawn by matplotlib."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit import runs
from toolkit.errors import ConfigError
from toolkit.report.pages.attention.pruning import relative

_WORD_INCHES = 0.45
_MAPS_INCHES = 1.6
_WIDEST = 40.0  # inches, however long the text
_COLOURS = ["#c2560a", "#fdfdfc", "#1d5fa6"]  # against, nothing, for


def check() -> None:
    """Check that pictures can be drawn, before work is done for them.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    _figure_type()


def draw_alignment(text: Mapping[str, Any], path: Path) -> Path:
    """Draw one translation: a row for each of its words, a column for each source word, a dot on every link.

    Args:
        text: An entry of an alignment's "texts".
        path: The file.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure_type = _figure_type()
    from matplotlib.colors import LinearSegmentedColormap

    sizes = [len(text[side]) for side in ("source_words", "target_words")]
    width, height = (min(_WIDEST, 2.5 + _WORD_INCHES * size) for size in sizes)
    figure = figure_type(figsize=(width, height), dpi=120, layout="constrained")
    heat = figure.subplots()
    weights = np.asarray(text["weights"], np.float64).reshape(sizes[1], sizes[0])
    colours = LinearSegmentedColormap.from_list("more", _COLOURS[1:])
    heat.imshow(weights / np.maximum(weights.max(axis=1, keepdims=True), 1e-12), cmap=colours, vmin=0, vmax=1)
    if text["links"]:
        heat.scatter(*zip(*text["links"], strict=True), s=18, color=_COLOURS[0])
    words = [[_plain(word) for word in text[side]] for side in ("source_words", "target_words")]
    heat.set_xticks(range(sizes[0]), words[0], rotation=45, ha="left", rotation_mode="anchor")
    heat.set_yticks(range(sizes[1]), words[1])
    heat.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    with runs.aside(path) as draft:
        figure.savefig(draft, format="png")
    return path


def draw_curve(pruning: Mapping[str, Any], path: Path) -> Path:
    """Draw quality, operations and time against the share of pruned heads.

    Args:
        pruning: What pruning.json holds.
        path: The file.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure = _figure_type()(figsize=(8, 4), dpi=120, layout="constrained")
    box = figure.subplots()
    shares = [100 * point["share"] for point in pruning["curve"]]
    lines = relative(pruning["curve"], pruning["metric"])
    for (label, values), style in zip(lines, ("-", "--", ":"), strict=True):
        box.plot(shares, [100 * value for value in values], style, color=_COLOURS[2], label=_plain(label))
    spread = [[100 * point[name] for point in pruning["curve"]] for name in ("time_low", "time_high")]
    box.fill_between(shares, *spread, color=_COLOURS[2], alpha=0.15, linewidth=0)
    box.axvline(shares[pruning["chosen"]], color=_COLOURS[0], linewidth=1, label="kept")
    box.set_xlabel("heads pruned, %")
    box.set_ylim(bottom=0)
    box.set_ylabel("%")
    box.legend(frameon=False)
    with runs.aside(path) as draft:
        figure.savefig(draft, format="png")
    return path


def draw_text(
    text: Mapping[str, Any], methods: Sequence[Mapping[str, Any]], weights: np.ndarray[Any, Any] | None, path: Path
) -> Path:
    """Draw one text: its words under every method, and below each layer's attention averaged over its heads.

    Args:
        text: An entry of an explanation's "texts".
        methods: The explanation's "methods".
        weights: Attention weights, shape (L, H, T, T), or None.
        path: The file.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure_type = _figure_type()
    width = min(_WIDEST, max(8.0, 3 + _WORD_INCHES * len(text["words"])))
    height = 0.45 * len(methods) + 1.2
    figure = figure_type(figsize=(width, height + (0 if weights is None else _MAPS_INCHES)), dpi=120)
    if weights is None:
        _words(figure, text, methods)
    else:
        parts: Any = figure.subfigures(2, 1, height_ratios=[height, _MAPS_INCHES])
        _words(parts[0], text, methods)
        _layers(parts[1], weights)
    with runs.aside(path) as draft:
        figure.savefig(draft, format="png")
    return path


def _figure_type() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError(
            "PNG files need matplotlib.", "pip install finetune-toolkit[explain]", id="machine.package-missing"
        ) from None
    return Figure


def _words(figure: Any, text: Mapping[str, Any], methods: Sequence[Mapping[str, Any]]) -> None:
    """Draw a row for each method and a column for each word; each row's strongest word is full."""
    from matplotlib.colors import LinearSegmentedColormap

    scores = np.array([text["scores"][method["name"]] for method in methods])  # (methods, words)
    scores = scores / np.maximum(np.abs(scores).max(axis=1, keepdims=True), 1e-12)
    heat = figure.subplots()
    heat.imshow(scores, cmap=LinearSegmentedColormap.from_list("both", _COLOURS), vmin=-1, vmax=1, aspect="auto")
    words = [_plain(word) for word in text["words"]]
    heat.set_xticks(range(len(words)), words, rotation=45, ha="right", rotation_mode="anchor")
    heat.set_yticks(range(len(methods)), [method["title"] for method in methods])
    probability = text.get("calibrated_probability", text["probability"])
    heat.set_title(_plain(f"{text['prediction']}, {100 * probability:.0f} %"), loc="left", fontweight="bold")
    heat.tick_params(length=0)
    figure.subplots_adjust(left=0.25, right=0.98, top=0.88, bottom=0.28)


def _layers(figure: Any, weights: np.ndarray[Any, Any]) -> None:
    """Draw each layer's attention, averaged over its heads; small weights are raised to be visible."""
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("more", _COLOURS[1:])
    boxes = np.atleast_1d(figure.subplots(1, len(weights)))
    for number, (box, layer) in enumerate(zip(boxes, weights.mean(axis=1), strict=True), 1):
        box.imshow(layer**0.6, cmap=colours, vmin=0, vmax=1)
        box.set_title(f"layer {number}", fontsize=8)
        box.set_xticks([])
        box.set_yticks([])
    figure.subplots_adjust(left=0.02, right=0.98)


def _plain(text: str) -> str:
    """Text that matplotlib does not parse as a formula."""
    return text.replace("$", r"\$")
