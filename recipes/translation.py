"""Translate with a pretrained sequence-to-sequence model: OPUS-MT, T5, mBART, M2M100, NLLB or a relative.

Learns from a table with a source and a target column, from pairs of files line by line, from TMX or from gettext
catalogues. `--source en --target fr` says which languages: they pick the columns, OPUS-MT's checkpoint, T5's prefix
and the language tokens of multilingual models. Judged by chrF, BLEU and TER, beside copying the source and beside
what the model wrote before it was fine-tuned.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from toolkit import checkpoints, models, seq2seq
from toolkit.config import RunConfig
from toolkit.data import bitext, languages, pairs, vocabulary
from toolkit.data.batch import pad
from toolkit.evaluation.generate import by_beam_search
from toolkit.recipes import Column
from toolkit.settings import DataConfig

DEFAULTS: dict[str, Any] = {
    "model": "opus-mt",
    "data": {"source": "Helsinki-NLP/opus_books:en-fr", "max_length": 200},
    "training": {"epochs": 3, "best_metric": "chrf", "schedule": "linear"},
    "evaluation": {"batch_size": 32},
}

COLUMNS = (
    Column("source", ("{source}", "translation.{source}", "source", "src", "text", "sentence", "input")),
    Column(
        "target",
        ("{target}", "translation.{target}", "target", "tgt", "translation", "reference", "output"),
        kind="target_text",
    ),
)

METRICS = ("chrf", "bleu", "ter")

IGNORED = -100  # what the loss passes over: padding


class Options(BaseModel):
    """The recipe's own keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str | None = Field(None, description="Language that is translated from: en, eng_Latn")
    target: str | None = Field(None, description="Language that is translated into")
    prefix: str | None = Field(None, description="Text before every source; T5's own when not given")
    beams: int = Field(4, ge=1, le=64, description="Translations that beam search follows at a time")
    length_factor: float = Field(
        2.0, gt=0, description="Tokens that a translation may have for each token of the source, and a few more"
    )
    vocabulary: int = Field(8000, ge=300, description="Pieces of words that a model from scratch knows")
    width: int = Field(256, ge=16, multiple_of=16, description="Hidden size of a model from scratch")
    layers: int = Field(3, ge=1, description="Layers of its encoder, and of its decoder")
    clean: bool = Field(True, description="Leave out copies, odd lengths, other markup and the wrong language")
    max_length_ratio: float = Field(
        3.0, gt=1, description="Pairs whose lengths differ from the usual ratio by more than this factor are left out"
    )
    protect: bool = Field(
        True, description="In predict, put placeholders and markup back where the model lost them (piece by piece)"
    )
    retranslate: bool = Field(
        False, description="In predict, translate messages of a catalogue again that have a translation"
    )
    length_penalty: float = Field(1.0, description="Above 1 beam search prefers long translations, below 1 short ones")


def read(path: Path, data: DataConfig, options: Mapping[str, Any]) -> dict[str, pa.Table] | None:
    """Read pairs of files, TMX and gettext catalogues."""
    return bitext.read(path, (options.get("source"), options.get("target")), data.encoding)


def clean(rows: pa.Table, options: Mapping[str, Any]) -> dict[str, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Find the pairs that teach nothing good: reason → which."""
    if not options["clean"]:
        return {}
    return pairs.poor(rows["source"].to_pylist(), rows["target"].to_pylist(), options["max_length_ratio"])


def remarks(rows: pa.Table, processor: Any, config: RunConfig) -> list[str]:
    """Name the characters of both sides that the vocabulary cannot write."""
    return vocabulary.remarks({side: rows[side].to_pylist() for side in ("source", "target")}, processor)


def start(rows: pa.Table, folder: Path, config: RunConfig) -> None:
    """Write a small Transformer with random weights, and a tokenizer of both languages learnt from the pairs."""
    texts = chain.from_iterable(rows[side].to_pylist() for side in ("source", "target"))
    shape = {key: config.options[key] for key in ("vocabulary", "width", "layers")}
    seq2seq.write_untrained(texts, folder, **shape, positions=config.data.max_length, seed=config.training.seed)


def load_processor(path: Path, config: RunConfig) -> Any:
    """Load the checkpoint's tokenizer, and tell a multilingual one the two languages."""
    tokenizer = models.load_tokenizer(path, config.loading, fast=False)
    languages.tell(tokenizer, config.options.get("source"), config.options.get("target"))
    tokenizer.model_type = checkpoints.family(path)
    return tokenizer


def preprocess(rows: Mapping[str, Sequence[Any]], processor: Any, config: RunConfig) -> dict[str, list[Any]]:
    """Tokenize sources and targets, each cut at `data.max_length` tokens."""
    options, longest = config.options, config.data.max_length
    before = options.get("prefix")
    if before is None:
        before = languages.prefix(processor, options.get("source"), options.get("target"))
    features = {"input_ids": seq2seq.encode([before + text for text in rows["source"]], processor, longest)}
    if "target" in rows:
        features["labels"] = seq2seq.encode(rows["target"], processor, longest, side="text_target")
    cut = [any(len(side) >= longest for side in row) for row in zip(*features.values(), strict=True)]
    return {**features, "truncated": cut}


def build_model(path: Path, labels: Sequence[str], config: RunConfig, **arguments: Any) -> Any:
    """Load the checkpoint; the way it translates is stored with it, and no bound of 20 tokens."""
    from transformers import AutoModelForSeq2SeqLM

    model = models.load(AutoModelForSeq2SeqLM, path, labels, config.loading, config.training, **arguments)
    settings = {key: config.options[key] for key in ("beams", "length_penalty")}
    seq2seq.settle_generation(model, load_processor(path, config), max_length=config.data.max_length, **settings)
    return model


def collate(features: Sequence[Mapping[str, Any]], processor: Any) -> dict[str, Any]:
    """Pad to the longest: input_ids and attention_mask (B, S), labels (B, T)."""
    return pad(features, {"input_ids": processor.pad_token_id, "labels": IGNORED})


def generate(model: Any, batch: Mapping[str, Any], processor: Any, config: RunConfig) -> dict[str, list[Any]]:
    """Translate a batch (B, S) by beam search: texts, and whether each was cut at its bound."""
    return by_beam_search(model, batch, processor, config.options, config.data.max_length)


def copied(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[str]:
    """Give back the source as it is."""
    texts: list[str] = test["source"].to_pylist()
    return texts


BASELINES = {"Copying the source": copied}
