"""Transcribe recordings of speech with Wav2Vec2, HuBERT or a relative that writes characters (CTC), or with Whisper.

Learns from a table with names of files, or the bytes of recordings (WAV, FLAC, MP3, OGG), and what is said in each. A
checkpoint that does not write yet gets a vocabulary of the characters in the training transcripts. Whisper and
Speech2Text write token by token; `--language de` names the language of one that has several. `--from-scratch` trains a
small model (CTC) that needs no checkpoint. Evaluated by word and character error rates.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from toolkit.config import RunConfig
from toolkit.data.audio import ctc, feature_extraction
from toolkit.data.batching import vocabulary
from toolkit.data.batching.batch import pad
from toolkit.errors import ConfigError
from toolkit.evaluation.baselines import empty_text, most_frequent_text
from toolkit.families import speech, speech_to_text
from toolkit.inference.generate import by_beam_search
from toolkit.tasks.inputs import audio
from toolkit.tasks.targets.transcript import TRANSCRIPT
from toolkit.tasks.task import Column
from toolkit.training.augmentation import sound

DEFAULTS: dict[str, Any] = {
    "model": "wav2vec2",
    "data": {"source": "PolyAI/minds14:en-US"},
    "training": {"best_metric": "wer"},
}

COLUMNS = (
    audio.COLUMN,
    Column(
        "transcript",
        ("transcript", "transcription", "text", "sentence", "normalized_text", "raw_text", "words"),
        TRANSCRIPT,
    ),
)

METRICS = ("wer", "cer", "wer_as_written", "cer_as_written")

BASELINES = {"Empty transcript": empty_text, "Most frequent transcript": most_frequent_text}


class Options(BaseModel):
    """The keys of this recipe."""

    model_config = ConfigDict(extra="forbid")

    keep_case: bool = Field(False, description="A vocabulary that is learned has capital letters too")
    keep_punctuation: bool = Field(False, description="A vocabulary that is learned has punctuation too")
    augment: Literal["auto", "none", "light", "strong"] = Field(
        "auto",
        description="Random augmentation of recordings in training: a set of the values below; auto is light, strong "
        "from scratch, and none with frozen layers",
    )
    noise: float | None = Field(None, ge=0, le=2, description="Most white noise, as a share of the recordings' own")
    hide_time: float | None = Field(None, ge=0, lt=1, description="Largest share of time that a hidden span takes")
    hide_bands: float | None = Field(None, ge=0, lt=1, description="The same of frequencies, for log-mel inputs")
    language: str | None = Field(None, description="Language of the transcripts, for a model that has several: de")
    task: Literal["transcribe", "translate"] = Field(
        "transcribe", description="What such a model writes: the words that are said, or their translation into English"
    )
    beams: int = Field(1, ge=1, le=64, description="Number of beams in beam search, for models that write tokens")
    width: int = Field(96, ge=32, multiple_of=32, description="Hidden size of a model from scratch")
    layers: int = Field(3, ge=1, description="Layers of a model from scratch")


def _characters(rows: pa.Table, config: RunConfig) -> list[str]:
    kept = {key: config.options[key] for key in ("keep_case", "keep_punctuation")}
    return ctc.learned(rows["transcript"].to_pylist(), **kept)


def start(rows: pa.Table, folder: Path, config: RunConfig) -> None:
    """Write a small model of convolution and attention with random weights, and a vocabulary of characters."""
    speech.write_untrained(folder, width=config.options["width"], layers=config.options["layers"])
    ctc.write_vocabulary(_characters(rows, config), folder)


def complete(rows: pa.Table, path: Path, config: RunConfig) -> Callable[[Path], None] | None:
    """Return what writes the checkpoint with a vocabulary of characters; None where it has a vocabulary."""
    if generates(path) or ctc.is_trained(path):
        return None
    return partial(ctc.write_completed, path, _characters(rows, config))


def remarks(rows: pa.Table, processor: Any, config: RunConfig) -> list[str]:
    """Name the characters of the transcripts that the vocabulary lacks; and those that it has, where these are few."""
    texts = rows["transcript"].to_pylist()
    if isinstance(processor, ctc.Processor):
        return ctc.remarks(texts, processor)
    return vocabulary.remarks({"transcript": texts}, processor.tokenizer, target="transcript")


def load_processor(path: Path, config: RunConfig) -> Any:
    """Load the checkpoint's feature extractor and vocabulary."""
    if generates(path):
        return speech_to_text.load_processor(path, config)
    if config.options["language"] is not None:
        raise ConfigError(
            f"{config.model} writes the characters of its vocabulary in any language.",
            "Leave out --language, which is for models that write tokens, such as Whisper.",
            id="config.not-for-model",
        )
    return ctc.load(path, config.loading)


def preprocess(rows: Mapping[str, Sequence[Any]], processor: Any, config: RunConfig) -> dict[str, Any]:
    """Decode recordings, resample them, extract the features that the checkpoint reads, and spell transcripts."""
    features = feature_extraction.prepared(rows["audio"], processor.extractor, config.data)
    if "transcript" in rows and isinstance(processor, ctc.Processor):
        features["labels"] = [processor.labels(text) for text in rows["transcript"]]
    elif "transcript" in rows:
        features["labels"], cut = processor.labels(rows["transcript"], config.data.max_length)
        features["truncated"] = [any(either) for either in zip(features["truncated"], cut, strict=True)]
    return features


def collate(features: Sequence[Mapping[str, Any]], processor: Any) -> dict[str, Any]:
    """Pad recordings, and labels with -100, to the longest of a batch."""
    batch = feature_extraction.padded(features, processor.extractor)
    labels = [{"labels": row["labels"]} for row in features if "labels" in row]
    return batch | (pad(labels, {"labels": -100}) if labels else {})


def augmentation(processor: Any, labels: Sequence[str], config: RunConfig) -> Any:
    """Return what changes training batches at random, or None; nothing is shifted, which would cut words off."""
    extractor, changes = processor.extractor, sound.configured(config, shift=0.0)
    return sound.changer(changes, extractor.model_input_names[0], feature_extraction.time_axis(extractor))


def build_model(path: Path, labels: Sequence[str], config: RunConfig, **arguments: Any) -> Any:
    """Load the checkpoint; one that writes characters with an output for each."""
    if generates(path):
        return speech_to_text.load(path, config, **arguments)
    from transformers import AutoModelForCTC

    settings = {"ctc_loss_reduction": "mean", "ctc_zero_infinity": True, **arguments}
    return speech.load(AutoModelForCTC, path, ctc.outputs(path), config, **settings)


def predictions(outputs: Any, batch: Mapping[str, Any], processor: Any) -> dict[str, list[Any]]:
    """Decode logits (B, F, V) greedily to a text for each row."""
    return {"prediction": ctc.best_path(outputs.logits, batch.get("attention_mask"), processor)}


def generates(path: Path) -> bool:
    """Whether a checkpoint writes token by token, and not a character for each frame."""
    return speech_to_text.is_one(path)


def generate(model: Any, batch: Mapping[str, Any], processor: Any, config: RunConfig) -> dict[str, list[Any]]:
    """Write the transcripts of a batch token by token: texts, and whether each was truncated at its limit."""
    bounds = [processor.longest(config.data.max_length)] * len(next(iter(batch.values())))
    settings = {"beams": config.options["beams"], "prompt": processor.prompt}
    return by_beam_search(model, batch, processor.tokenizer, bounds, **settings)
