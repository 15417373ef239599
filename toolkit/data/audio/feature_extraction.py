"""Recordings as model inputs: what a checkpoint's feature extractor makes of their samples, and batches of it.

    Wav2Vec2, HuBERT, WavLM   "input_values"    (T,) samples, normalised
    Wav2Vec2-BERT             "input_features"  (T, 160) log-mel frames, two side by side
    AST                       "input_features"  (1024, 128) log-mel frames: one length for all recordings
    Whisper                   "input_features"  (80, 3000) log-mel frames: one length for all recordings

Where the length varies, a batch is padded with zeros to its longest recording. Whether the model gets a mask of the
padding is stated by the checkpoint: models with group normalisation over time, such as Wav2Vec2 base, were trained
without one, and transformers advises to pad them with zeros and give none; their predictions depend slightly on the
padding.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit import models
from toolkit.config.settings import DataConfig, LoadingConfig
from toolkit.data.audio import columns, decoding
from toolkit.data.batching.batch import Ragged
from toolkit.errors import DataError

_SHORTEST = 0.1  # seconds; a shorter recording is padded with silence: the first layers need as much
_FRAMES_A_SECOND = 100  # of log-mel features
_FILES = ("preprocessor_config.json", "processor_config.json")


def load(path: Path, loading: LoadingConfig) -> Any:
    """Load the feature extractor of a checkpoint folder.

    Raises:
        ModelError: It cannot be loaded.
    """
    decoding.soundfile()
    with models.model_errors(path), models.quiet():
        from transformers import AutoFeatureExtractor, Wav2Vec2FeatureExtractor

        if any((path / name).is_file() for name in _FILES):
            return AutoFeatureExtractor.from_pretrained(path, trust_remote_code=loading.trust_remote_code)
        facts = json.loads((path / "config.json").read_text(encoding="utf-8"))
        return Wav2Vec2FeatureExtractor(return_attention_mask=facts.get("feat_extract_norm") == "layer")


def prepared(rows: Sequence[Mapping[str, Any]], extractor: Any, data: DataConfig) -> dict[str, Any]:
    """Decode recordings at the extractor's rate, and extract their features.

    Args:
        rows: Validated recordings.
        extractor: A feature extractor of transformers.
        data: How long a recording may be.

    Returns:
        The name of the model's input → a `Ragged`, or an array (N, …) where all have one length; and "truncated":
        which recordings are longer than the model reads.

    Raises:
        DataError: A recording has changed since it was validated.
    """
    name, rate, most = extractor.model_input_names[0], extractor.sampling_rate, longest(extractor)

    def features(row: Mapping[str, Any]) -> tuple[np.ndarray[Any, Any], bool]:
        samples = _decoded(row, data.max_seconds, rate)
        padded = np.pad(samples, (0, max(0, round(_SHORTEST * rate) - len(samples))))
        made = extractor(padded, sampling_rate=rate, return_tensors="np")[name][0]
        return np.asarray(made, np.float32), most is not None and len(samples) > most

    made = decoding.in_groups(rows, features)
    values = [array for array, _ in made]
    return {name: np.stack(values) if most else Ragged.of(values), "truncated": [cut for _, cut in made]}


def _decoded(row: Mapping[str, Any], most_seconds: float, rate: int) -> decoding.Samples:
    known = row.get("seconds") or 0.0  # of a recording that a check has made longer
    try:
        return decoding.decode(row, max(most_seconds, known + _SHORTEST), rate)[0]
    except decoding.UnreadableError as error:
        raise DataError(
            f"The recording {columns.name(row)} {error}; it was readable when it was validated.",
            "Do not change files while a command runs. Start it again.",
            id="media.changed",
        ) from None


def longest(extractor: Any) -> int | None:
    """Return the samples of a recording that the model reads, where it reads as many of each; None otherwise."""
    samples: int | None = getattr(extractor, "n_samples", None)  # Whisper
    if samples is None and getattr(extractor, "max_length", None) and hasattr(extractor, "num_mel_bins"):  # AST
        samples = int(extractor.max_length) * int(extractor.sampling_rate) // _FRAMES_A_SECOND
    return samples


def time_axis(extractor: Any) -> int:
    """Return which axis of a batch (B, …) of the model's input is time."""
    return 2 if hasattr(extractor, "n_samples") else 1  # Whisper's bands come first


def padded(features: Sequence[Mapping[str, Any]], extractor: Any) -> dict[str, Any]:
    """Stack the inputs of some recordings, padded with zeros: (B, T, …), with "attention_mask" (B, T) where it is due.

    Args:
        features: Examples with the model's input, as `prepared` names it.
        extractor: States whether the model gets a mask.
    """
    import torch

    name = extractor.model_input_names[0]
    values = [np.asarray(feature[name]) for feature in features]
    lengths = [len(value) for value in values]
    filled = np.zeros((len(values), max(lengths), *values[0].shape[1:]), np.float32)
    for row, value in zip(filled, values, strict=True):
        row[: len(value)] = value
    batch = {name: torch.from_numpy(filled)}
    if longest(extractor) is None and getattr(extractor, "return_attention_mask", False):
        real = np.arange(filled.shape[1]) < np.array(lengths)[:, None]
        batch["attention_mask"] = torch.from_numpy(real.astype(np.int64))
    return batch
