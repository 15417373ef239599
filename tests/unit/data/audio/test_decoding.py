"""Recordings are decoded alike whatever they are written as, and every file that cannot be is accounted for."""

import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.errors import refused
from tests.support.recordings import RATE, encoded, tone
from toolkit.data.audio import decoding
from toolkit.errors import ConfigError


@pytest.mark.parametrize("form", ["WAV", "FLAC", "MP3", "OGG"])
def test_each_format_is_decoded(form: str):
    samples = tone(440, 0.5)
    decoded, rate = decoding.decode({"bytes": encoded(samples, form=form)}, 10)
    assert rate == RATE
    length = min(len(samples), len(decoded))
    assert abs(len(decoded) - len(samples)) < 0.1 * RATE  # MP3 pads
    spectra = [np.abs(np.fft.rfft(values[:length])) for values in (samples, decoded)]
    assert abs(int(spectra[0].argmax()) - int(spectra[1].argmax())) <= 1
    assert decoding.inspect({"bytes": encoded(samples, form=form)}, 10).problem is None


def test_channels_are_averaged():
    stereo = np.stack([tone(440), np.zeros_like(tone(440))], axis=1)
    decoded, _ = decoding.decode({"bytes": encoded(stereo)}, 10)
    np.testing.assert_allclose(decoded, stereo.mean(axis=1), atol=1e-4)


@pytest.mark.parametrize("own", [8_000, 22_050, 44_100])
def test_a_tone_keeps_its_frequency_when_resampled(own: int):
    decoded, rate = decoding.decode({"bytes": encoded(tone(440, 1.0, rate=own), own)}, 10, RATE)
    assert (rate, len(decoded)) == (RATE, RATE)
    assert abs(int(np.abs(np.fft.rfft(decoded)).argmax()) - 440) <= 1


def test_the_limit_is_that_of_samples_and_not_of_the_header():
    data = encoded(tone(440, 2.0))
    assert "data.max_seconds" in str(decoding.inspect({"bytes": data}, 1.9).problem)
    assert decoding.inspect({"bytes": data}, 2.0).problem is None
    short = bytearray(data)
    short[40:44] = struct.pack("<I", 2 * RATE)  # the header says one second
    assert len(decoding.decode({"bytes": bytes(short)}, 1.0)[0]) == RATE


def test_what_cannot_be_decoded_has_a_reason(tmp_path: Path):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("no recording", encoding="utf-8")
    (tmp_path / "folder.wav").mkdir()
    whole = encoded(tone(440))
    fast = bytearray(whole)
    fast[24:28] = struct.pack("<I", 2**31 - 1)
    values = [
        *({"path": str(tmp_path / name)} for name in ("empty.wav", "text.wav", "folder.wav", "none.wav")),
        *({"bytes": data} for data in (b"", whole[:20], bytes(fast), encoded(np.zeros(0, np.float32)))),
        {},
    ]
    results = [decoding.inspect(value, 10) for value in values]
    assert all(result.problem and result.digest is None for result in results)
    told = " ".join(str(result.problem) for result in results)
    assert str(tmp_path) not in told
    assert "BytesIO" not in told


def test_values_that_are_not_finite_are_refused():
    import io

    import soundfile

    stream = io.BytesIO()
    soundfile.write(stream, np.array([0.0, np.nan, 0.5], np.float32), RATE, format="WAV", subtype="FLOAT")
    assert "finite" in str(decoding.inspect({"bytes": stream.getvalue()}, 10).problem)


def test_the_digest_is_of_the_sound():
    samples = tone(440)
    digests = {decoding.inspect({"bytes": encoded(samples, form=form)}, 10).digest for form in ("WAV", "FLAC")}
    assert len(digests) == 1
    assert decoding.inspect({"bytes": encoded(tone(441))}, 10).digest not in digests
    assert decoding.inspect({"bytes": encoded(samples, 8_000)}, 10).digest not in digests


def test_silence_has_no_peak():
    assert decoding.inspect({"bytes": encoded(np.zeros(RATE))}, 10).peak == 0
    assert 0.2 < (decoding.inspect({"bytes": encoded(tone(440))}, 10).peak or 0) < 0.5


def test_samples_survive_being_written():
    samples = tone(440)
    again, rate = decoding.decode({"bytes": decoding.encode(samples, RATE)}, 10)
    assert rate == RATE
    np.testing.assert_allclose(again, samples, atol=1 / 32767)


def test_without_soundfile_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with refused(ConfigError, "machine.package-missing", "soundfile", "finetune-toolkit[audio]"):
        decoding.inspect_all([{"bytes": b"x"}], 10)
