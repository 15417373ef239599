"""Perturbed recordings differ from the original as their titles say."""

import random

import numpy as np
import pytest

from tests.support.recordings import RATE, encoded, tone
from toolkit.data.audio import columns, decoding
from toolkit.evaluation.perturbations import audio_changes

CHANGES = {change.name: change.change for change in audio_changes.changes()}


def changed(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return samples before and after a change."""
    data = encoded(tone(440, 1.0))
    seen = decoding.inspect({"bytes": data}, 10)
    value = {"bytes": data, "path": "a.wav", "seconds": seen.seconds}
    result = CHANGES[name](value, random.Random(0))
    assert set(result) == {field.name for field in columns.TYPE}
    assert result == CHANGES[name](value, random.Random(0))
    assert result["digest"] != seen.digest
    return decoding.decode(value, 10)[0], decoding.decode(result, 10)[0]


@pytest.mark.parametrize(("name", "length"), [("slower", 1 / 0.9), ("faster", 1 / 1.1), ("delay", 1.1), ("noise", 1.0)])
def test_lengths(name: str, length: float):
    before, after = changed(name)
    assert abs(len(after) - length * len(before)) <= 1


def test_pitch_follows_the_speed():
    _, after = changed("faster")
    assert abs(np.abs(np.fft.rfft(after)).argmax() * RATE / len(after) - 440 * 1.1) < 2


def test_loudness():
    before, quiet = changed("quieter")
    assert np.sqrt(np.mean(quiet**2) / np.mean(before**2)) == pytest.approx(10 ** (-12 / 20), rel=1e-2)
    assert np.abs(changed("louder")[1]).max() == pytest.approx(1.0, abs=1e-3)


def test_noise_is_at_its_ratio():
    before, after = changed("noise")
    ratio = 10 * np.log10(np.mean(before**2) / np.mean((after - before) ** 2))
    assert ratio == pytest.approx(audio_changes.SNR, abs=0.3)
