"""Translate with a pretrained sequence-to-sequence model: OPUS-MT, T5, mBART, M2M100, NLLB or a relative.

Learns from a table with a source and a target column, from pairs of files line by line, from TMX or from gettext
catalogues. `--source en --target fr` sets the languages: they select the columns, OPUS-MT's checkpoint, T5's prefix
and the language tokens of multilingual models. Evaluated by chrF, BLEU and TER, compared with copying the source and
with the model's translations before fine-tuning.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from toolkit import seq2seq
from toolkit.config import DataConfig, RunConfig
from toolkit.data.batching import vocabulary
from toolkit.data.bitext import languages, pair_filters, parallel_files
from toolkit.evaluation.baselines import source_itself
from toolkit.inference.generate import by_beam_search, by_source_length
from toolkit.tasks.contract import Tables
from toolkit.tasks.inputs.text import TEXT
from toolkit.tasks.targets.generated_text import GENERATED_TEXT
from toolkit.tasks.task import Column

DEFAULTS: dict[str, Any] = {
    "model": "opus-mt",
    "data": {"source": "Helsinki-NLP/opus_books:en-fr", "max_length": 200},
    "training": {"best_metric": "chrf"},
    "evaluation": {"batch_size": 32},
}

COLUMNS = (
    Column("source", ("{source}", "translation.{source}", "source", "src", "text", "sentence", "input"), TEXT),
    Column(
        "target",
        ("{target}", "translation.{target}", "target", "tgt", "translation", "reference", "output"),
        GENERATED_TEXT,
    ),
)

METRICS = ("chrf", "bleu", "ter")

BASELINES = {"Copying the source": source_itself}


class Options(BaseModel):
    """The recipe's own keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str | None = Field(None, description="Source language: en, eng_Latn")
    target: str | None = Field(None, description="Target language")
    prefix: str | None = Field(None, description="Text before every source; T5's own by default")
    beams: int = Field(4, ge=1, le=64, description="Number of beams in beam search")
    length_factor: float = Field(2.0, gt=0, description="Most tokens of a translation for each token of its source")
    vocabulary: int = Field(8000, ge=300, description="Vocabulary size of a model from scratch")
    width: int = Field(256, ge=16, multiple_of=16, description="Hidden size of a model from scratch")
    layers: int = Field(3, ge=1, description="Layers of its encoder, and of its decoder")
    clean: bool = Field(True, description="Leave out copies, odd lengths, other markup and the wrong language")
    max_length_ratio: float = Field(3.0, gt=1, description="Largest factor from the usual ratio of a pair's lengths")
    protect: bool = Field(True, description="In predict, put placeholders and markup back where the model lost them")
    retranslate: bool = Field(False, description="In predict, translate a catalogue's translated messages again")
    length_penalty: float = Field(1.0, description="Above 1 beam search prefers long translations, below 1 short ones")

    @model_validator(mode="after")
    def _are_two_languages(self) -> "Options":
        languages.check(self.source, self.target)
        return self


def read(path: Path, data: DataConfig, options: Mapping[str, Any]) -> Tables | None:
    """Read pairs of files, TMX and gettext catalogues."""
    return parallel_files.read(path, (options.get("source"), options.get("target")), data.encoding)


def clean(rows: pa.Table, options: Mapping[str, Any]) -> dict[str, pair_filters.Flags]:
    """Find bad training pairs: reason → which."""
    sources, targets = (rows[side].to_pylist() for side in ("source", "target"))
    return pair_filters.poor(sources, targets, options["max_length_ratio"]) if options["clean"] else {}


def remarks(rows: pa.Table, processor: Any, config: RunConfig) -> list[str]:
    """Name the characters of both sides that the vocabulary cannot write."""
    return vocabulary.remarks({side: rows[side].to_pylist() for side in ("source", "target")}, processor)


def start(rows: pa.Table, folder: Path, config: RunConfig) -> None:
    """Write a small Transformer with random weights, and a tokenizer of both languages learnt from the pairs."""
    texts = [*rows["source"].to_pylist(), *rows["target"].to_pylist()]
    shape = {key: config.options[key] for key in ("vocabulary", "width", "layers")}
    seq2seq.write_untrained(texts, folder, **shape, positions=config.data.max_length, seed=config.training.seed)


def load_processor(path: Path, config: RunConfig) -> Any:
    """Load the checkpoint's tokenizer, and set the two languages of a multilingual one."""
    return seq2seq.load_tokenizer(path, config)


def preprocess(rows: Mapping[str, Sequence[Any]], processor: Any, config: RunConfig) -> dict[str, list[Any]]:
    """Tokenize sources and targets, each cut at `data.max_length` tokens."""
    return seq2seq.encode_pairs(rows, processor, seq2seq.prefix(processor, config), config.data.max_length)


def build_model(path: Path, labels: Sequence[str], config: RunConfig, **arguments: Any) -> Any:
    """Load the checkpoint; its generation settings are stored with it, without the usual limit of 20 tokens."""
    return seq2seq.load(path, config, **arguments)


def generate(model: Any, batch: Mapping[str, Any], processor: Any, config: RunConfig) -> dict[str, list[Any]]:
    """Translate a batch (B, S) by beam search: texts, and whether each was truncated at its limit."""
    bounds = by_source_length(batch, config.options["length_factor"], config.data.max_length)
    settings = {key: config.options[key] for key in ("beams", "length_penalty")}
    return by_beam_search(model, batch, processor, bounds, **settings)
