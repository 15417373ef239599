"""Perturbations of a recording that should not change its class: noise, loudness, speed."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from toolkit.data.audio import decoding
from toolkit.data.audio.decoding import Samples
from toolkit.evaluation.perturbations.text_changes import Perturbation

SNR = 20  # decibels from the recording's power to that of the noise
QUIETER, LOUDER = -12, 12  # decibels
SLOWER, FASTER = 0.9, 1.1  # times the speed
DELAY = 0.1  # seconds of silence before the recording

Recording = Mapping[str, Any]


def changes() -> list[Perturbation]:
    """Return the perturbations that should not change a recording's class."""
    return [
        _of("noise", f"White noise {SNR} dB below the recording", _noise),
        _of("quieter", f"Quieter by {-QUIETER} dB", lambda samples, _rate, _chance: samples * 10 ** (QUIETER / 20)),
        _of("louder", f"Louder by {LOUDER} dB, and clipped", lambda samples, _rate, _chance: _louder(samples)),
        _of("slower", f"Slower: {SLOWER:g} times the speed", lambda samples, _rate, _chance: _faster(samples, SLOWER)),
        _of("faster", f"Faster: {FASTER:g} times the speed", lambda samples, _rate, _chance: _faster(samples, FASTER)),
        _of(
            "delay",
            f"{DELAY:g} seconds of silence before it",
            lambda samples, rate, _chance: np.pad(samples, (round(DELAY * rate), 0)),
        ),
    ]


def _of(name: str, title: str, change: Callable[[Samples, int, random.Random], Samples]) -> Perturbation:
    """Convert a change of samples to a change of recordings in rows."""

    def changed(recording: Recording, chance: random.Random) -> Recording:
        samples, rate = decoding.decode(recording, float(recording["seconds"]) + 1)
        data = decoding.encode(change(samples, rate, chance), rate)
        facts = vars(decoding.inspect({"bytes": data}, float("inf")))
        return {
            "bytes": data,
            "path": recording.get("path"),
            **{k: facts[k] for k in ("digest", "seconds", "rate", "peak")},
        }

    return Perturbation(name, title, changed)


def _noise(samples: Samples, _rate: int, chance: random.Random) -> Samples:
    deviation = np.sqrt(np.mean(np.square(samples)) * 10 ** (-SNR / 10))
    noise = np.random.default_rng(chance.getrandbits(64)).normal(0, deviation, len(samples))
    return (samples + noise).astype(np.float32)


def _louder(samples: Samples) -> Samples:
    clipped: Samples = np.clip(samples * 10 ** (LOUDER / 20), -1, 1)
    return clipped


def _faster(samples: Samples, speed: float) -> Samples:
    """Play samples at another speed, which changes their pitch as well."""
    return decoding.resampled(samples, round(100 * speed), 100)
