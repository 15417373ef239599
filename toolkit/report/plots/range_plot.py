"""The learning-rate range test as a picture: an SVG that any browser shows, with no plotting library."""

import math
from collections.abc import Sequence

from toolkit.report.plots.geometry import nice_ticks, path, place, tick_text

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 760, 420, 64, 24, 16, 56


def range_plot(rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], best: float | None) -> str:
    """Draw losses against learning rates on a logarithmic axis.

    Args:
        rates: Of each step, rising; at least 2.
        losses: Of each step.
        smoothed: Their moving average.
        best: The suggested rate, or None.

    Returns:
        A whole SVG document.
    """
    decades = range(math.floor(math.log10(rates[0])), math.ceil(math.log10(rates[-1])) + 1)
    levels = nice_ticks(min(smoothed), min(max(smoothed), 4 * smoothed[0]))  # the divergence itself is of no interest

    def across(rate: float) -> float:
        share = place(math.log10(rate), decades[0], decades[-1]) / 100
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def down(loss: float) -> float:
        share = place(min(max(loss, levels[0]), levels[-1]), levels[0], levels[-1]) / 100
        return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)

    def line(values: Sequence[float], style: str) -> str:
        points = [(across(rate), down(value)) for rate, value in zip(rates, values, strict=True)]
        return f'<path d="{path(points)}" fill="none" {style}/>'

    base = _HEIGHT - _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="13">',
        f"<title>Training loss against the learning rate</title>"
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
    ]
    for level in levels:
        y = down(level)
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="#e3e3e3"/>')
        label = tick_text(level, levels[1] - levels[0], percent=False)
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{label}</text>')
    for decade in decades:
        x = across(10.0**decade)
        parts.append(f'<line x1="{x}" x2="{x}" y1="{base}" y2="{base + 5}" stroke="#555"/>')
        parts.append(f'<text x="{x}" y="{base + 20}" text-anchor="middle">1e{decade}</text>')
    parts.append(f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 12}" text-anchor="middle">learning rate</text>')
    parts.append(f'<text x="{_LEFT}" y="{_TOP - 8}">training loss (thin) and its moving average</text>')
    parts += [line(losses, 'stroke="#9db7d5"'), line(smoothed, 'stroke="#1f5a99" stroke-width="2.5"')]
    if best is not None:
        x = across(best)
        parts.append(f'<line x1="{x}" x2="{x}" y1="{_TOP}" y2="{base}" stroke="#b3541e" stroke-dasharray="5 4"/>')
        parts.append(f'<text x="{x + 6}" y="{_TOP + 12}" fill="#b3541e">{best:g}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
