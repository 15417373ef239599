"""The log-mel spectrogram shows a tone in the band of its frequency."""

import numpy as np

from tests.support.recordings import RATE, tone
from toolkit.data.audio.log_mel import BANDS, log_mel


def test_a_higher_tone_is_in_a_higher_band():
    strongest = [int(log_mel(tone(f), RATE).mean(axis=0).argmax()) for f in (200, 800, 3200)]
    assert strongest == sorted(set(strongest))


def test_shapes_and_silence():
    assert log_mel(np.zeros(10), RATE).shape == (1, BANDS)
    assert log_mel(np.zeros(RATE), RATE).shape == (98, BANDS)
    assert np.isfinite(log_mel(np.zeros(RATE), RATE)).all()
