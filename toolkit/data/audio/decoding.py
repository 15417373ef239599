"""Recordings decoded to one channel of samples, at their own rate or at that of a model.

A recording is read in blocks and never beyond its limit, whatever its header says.
"""

import hashlib
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.data.images.image_decoding import threads
from toolkit.errors import ConfigError

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".au", ".w64", ".caf")
SILENT = 1e-3  # greatest amplitude of a recording that counts as silent: -60 dB of full scale

_FASTEST = 384_000  # samples a second of all channels together
_BLOCK = 2**18  # samples that are read at a time, of all channels together

Samples = np.ndarray[Any, np.dtype[np.float32]]


class UnreadableError(Exception):
    """A recording that cannot be decoded; its text says why, in words that follow the recording's name."""


@dataclass(frozen=True)
class InspectedRecording:
    """Properties of a recording that was decoded once.

    Attributes:
        digest: Of its samples at 16 bits, and their rate: equal for the same sound in two files.
        seconds: Its length.
        rate: Samples a second.
        peak: Its greatest amplitude; 1 is full scale.
        problem: Why it cannot be decoded; None for a good one.
    """

    digest: str | None = None
    seconds: float | None = None
    rate: int | None = None
    peak: float | None = None
    problem: str | None = None


def soundfile() -> Any:
    """Return the module that reads and writes recordings.

    Raises:
        ConfigError: It is not installed, or its library is missing.
    """
    try:
        import soundfile
    except (ImportError, OSError):
        raise ConfigError(
            "Recordings need the package soundfile.",
            "pip install 'finetune-toolkit[audio]'",
            id="machine.package-missing",
        ) from None
    return soundfile


def decode(recording: Mapping[str, Any], most_seconds: float, rate: int | None = None) -> tuple[Samples, int]:
    """Return a recording as the mean of its channels, shape (T,), with 1 as full scale, and its rate.

    Args:
        recording: With "bytes" or "path".
        most_seconds: A longer recording is not decoded.
        rate: Samples a second that it is resampled to; its own when None.

    Raises:
        UnreadableError: It cannot be decoded.
    """
    with _opened(recording) as file:
        own = int(file.samplerate)
        if own * file.channels > _FASTEST:
            raise UnreadableError(f"has {file.channels:,} channels of {own:,} samples a second")
        most = most_seconds * own
        blocks: list[Samples] = []
        count = 0
        while count <= most:
            block = file.read(max(1, _BLOCK // file.channels), dtype="float32", always_2d=True)
            if not len(block):
                break
            blocks.append(block.mean(axis=1))
            count += len(block)
    if count > most:
        raise UnreadableError(f"is longer than data.max_seconds ({most_seconds:g})")
    if not count:
        raise UnreadableError("is empty (no samples)")
    samples = np.concatenate(blocks)
    if not np.isfinite(samples).all():
        raise UnreadableError("holds values that are not finite")
    return (samples, own) if rate is None else (resampled(samples, own, rate), rate)


@contextmanager
def _opened(recording: Mapping[str, Any]) -> Iterator[Any]:
    """Open a recording, with every way in which that or its decoding fails told in one kind of error."""
    module = soundfile()
    data, path = recording.get("bytes"), recording.get("path")
    if data is None and path is None:
        raise UnreadableError("is missing")
    try:
        if (len(data) if data is not None else Path(str(path)).stat().st_size) == 0:
            raise UnreadableError("is empty (0 bytes)")
        stream: Any = nullcontext(io.BytesIO(data)) if data is not None else Path(str(path)).open("rb")  # noqa: SIM115
        with stream as opened, module.SoundFile(opened) as file:
            yield file
    except UnreadableError:
        raise
    except FileNotFoundError:
        raise UnreadableError("does not exist") from None
    except PermissionError:
        raise UnreadableError("may not be read") from None
    except MemoryError:
        raise UnreadableError("does not fit into memory") from None
    except module.LibsndfileError as error:
        raise UnreadableError(
            f"is not a recording, or damaged ({' '.join(error.error_string.split())[:120]})"
        ) from None
    except OSError as error:
        raise UnreadableError(f"cannot be read ({error.strerror})") from None
    except Exception as error:  # decoders raise whatever they meet
        raise UnreadableError(f"cannot be read ({' '.join(str(error).split())[:120]})") from None


def resampled(samples: Samples, own: int, rate: int) -> Samples:
    """Return samples (T,) at another rate, shape (ceil(T · rate / own),), by a polyphase filter."""
    if own == rate:
        return samples
    from scipy.signal import resample_poly

    shared = math.gcd(own, rate)
    result: Samples = resample_poly(samples, rate // shared, own // shared).astype(np.float32)
    return result


def inspect(recording: Mapping[str, Any], most_seconds: float) -> InspectedRecording:
    """Decode a recording once, to know that it can be and what it is."""
    try:
        samples, rate = decode(recording, most_seconds)
    except UnreadableError as error:
        return InspectedRecording(problem=str(error))
    digest = hashlib.blake2b(str(rate).encode(), digest_size=16)
    digest.update(_sixteen_bits(samples).tobytes())
    return InspectedRecording(digest.hexdigest(), len(samples) / rate, rate, float(np.abs(samples).max()))


def inspect_all(recordings: Sequence[Mapping[str, Any]], most_seconds: float) -> list[InspectedRecording]:
    """Inspect recordings, several at a time."""
    return in_groups(recordings, lambda recording: inspect(recording, most_seconds))


def in_groups(recordings: Sequence[Any], work: Any) -> list[Any]:
    """Return what `work` makes of each recording, in their order; several at a time, for decoders let others run."""
    soundfile()
    with ThreadPoolExecutor(threads()) as pool:
        return list(pool.map(work, recordings))


def _sixteen_bits(samples: Samples) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.rint(np.clip(samples * 32768, -32768, 32767)).astype("<i2")


def encode(samples: Samples, rate: int) -> bytes:
    """Return samples (T,) as the bytes of a WAV file of 16 bits."""
    stream = io.BytesIO()
    soundfile().write(stream, _sixteen_bits(samples), rate, format="WAV", subtype="PCM_16")
    return stream.getvalue()
