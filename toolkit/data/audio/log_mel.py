"""The log-mel spectrogram: how strong each band of frequencies is, over time.

Bands have equal width on the mel scale, m = 2595 log10(1 + f / 700), which is about that of the ear.
Source: Davis and Mermelstein 1980, "Comparison of Parametric Representations for Monosyllabic Word Recognition in
Continuously Spoken Sentences".
"""

from functools import cache
from typing import Any

import numpy as np

BANDS = 40
_WINDOW, _STEP = 0.025, 0.01  # seconds
_FLOOR = 1e-8  # of the energy, about the square of one step of 16 bits

Floats = np.ndarray[Any, np.dtype[np.float64]]


def log_mel(samples: np.ndarray[Any, Any], rate: int) -> Floats:
    """Return the log-mel spectrogram of samples (T,). Shape (frames, BANDS), at least one frame."""
    width, step = round(_WINDOW * rate), round(_STEP * rate)
    padded = np.pad(np.asarray(samples, np.float64), (0, max(0, width - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, width)[::step] * np.hanning(width)  # (frames, width)
    energy = np.abs(np.fft.rfft(frames)) ** 2 / width
    result: Floats = np.log(np.maximum(energy @ _filters(width // 2 + 1, rate), _FLOOR))
    return result


@cache
def _filters(bins: int, rate: int) -> Floats:
    """Return the weight of each frequency in each band, triangles that overlap by half. Shape (bins, BANDS)."""
    highest = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, highest, BANDS + 2) / 2595) - 1)  # of the bands, in Hz
    frequencies = np.linspace(0, rate / 2, bins)[:, None]
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    filters: Floats = np.maximum(0, np.minimum(rising, falling))
    return filters
