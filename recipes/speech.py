"""Classify recordings with Wav2Vec2, HuBERT, AST or a relative: spoken commands, speakers, languages, sounds.

Learns one class for each recording, from a folder for each class, or from a table with names of files or the bytes of
recordings (WAV, FLAC, MP3, OGG). They are mixed to one channel and resampled to the rate of the checkpoint; one that
is longer than `data.max_seconds` is left out. `--from-scratch` trains a small model that needs no checkpoint.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from toolkit.config import DataConfig, RunConfig
from toolkit.data.audio import feature_extraction
from toolkit.data.audio.columns import RECORDINGS
from toolkit.data.batching.batch import pad
from toolkit.data.media import folders
from toolkit.families import speech
from toolkit.tasks.contract import Tables
from toolkit.tasks.inputs import audio
from toolkit.tasks.targets.single_label import SINGLE_LABEL
from toolkit.tasks.task import Column
from toolkit.training.augmentation import sound

DEFAULTS: dict[str, Any] = {
    "model": "wav2vec2",
    "data": {"source": "PolyAI/minds14:en-US"},
    "training": {"best_metric": "accuracy"},
}

COLUMNS = (
    audio.COLUMN,
    Column(
        "label", ("label", "labels", "class", "target", "category", "command", "intent_class", "language"), SINGLE_LABEL
    ),
)

METRICS = SINGLE_LABEL.metrics
BASELINES = SINGLE_LABEL.baselines["audio"]


class Options(BaseModel):
    """The keys of this recipe."""

    model_config = ConfigDict(extra="forbid")

    class_from_name: bool = Field(
        False, description="The class of a recording is the part of its name before a number: yes.0.wav, no_12.flac"
    )
    augment: Literal["auto", "none", "light", "strong"] = Field(
        "auto",
        description="Random augmentation of recordings in training: a set of the values below; auto is light, strong "
        "from scratch, and none with frozen layers",
    )
    shift: float | None = Field(None, ge=0, lt=1, description="Largest shift in time, as a share of the recording")
    noise: float | None = Field(None, ge=0, le=2, description="Most white noise, as a share of the recordings' own")
    hide_time: float | None = Field(None, ge=0, lt=1, description="Largest share of time that a hidden span takes")
    hide_bands: float | None = Field(None, ge=0, lt=1, description="The same of frequencies, for log-mel inputs")
    width: int = Field(96, ge=32, multiple_of=32, description="Hidden size of a model from scratch")
    layers: int = Field(3, ge=1, description="Layers of a model from scratch")


def read(path: Path, config: DataConfig, options: Mapping[str, Any]) -> Tables | None:
    """Read a folder of recordings; other tables are read as everywhere."""
    return folders.read(path, RECORDINGS, class_from_name=options.get("class_from_name", False))


def start(rows: pa.Table, folder: Path, config: RunConfig) -> None:
    """Write a small model of convolution and attention with random weights."""
    speech.write_untrained(folder, width=config.options["width"], layers=config.options["layers"])


def load_processor(path: Path, config: RunConfig) -> Any:
    """Load the checkpoint's feature extractor."""
    return feature_extraction.load(path, config.loading)


def preprocess(rows: Mapping[str, Sequence[Any]], processor: Any, config: RunConfig) -> dict[str, Any]:
    """Decode recordings, resample them, and extract the features that the checkpoint reads."""
    return feature_extraction.prepared(rows["audio"], processor, config.data)


def collate(features: Sequence[Mapping[str, Any]], processor: Any) -> dict[str, Any]:
    """Pad recordings to the longest of a batch."""
    batch = feature_extraction.padded(features, processor)
    return batch | pad([{"labels": row["labels"]} for row in features if "labels" in row] or [{}], {})


def augmentation(processor: Any, labels: Sequence[str], config: RunConfig) -> Any:
    """Return what changes training batches at random, or None."""
    inputs = processor.model_input_names[0]
    return sound.changer(sound.configured(config), inputs, feature_extraction.time_axis(processor))


def build_model(path: Path, labels: Sequence[str], config: RunConfig, **arguments: Any) -> Any:
    """Load the checkpoint with a classification head for `labels`."""
    from transformers import AutoModelForAudioClassification

    return speech.load(AutoModelForAudioClassification, path, labels, config, **arguments)
