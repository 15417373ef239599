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
from toolkit.evaluation.beam_search import beam_search
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
SPARE = 10  # tokens that a translation may have beyond the bound, so that the shortest sources get one too


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
    sources, targets = rows["source"].to_pylist(), rows["target"].to_pylist()
    found = {
        "the translation is the source again": pairs.copies(sources, targets),
        "the lengths of source and translation do not go together": pairs.odd_lengths(
            sources, targets, options["max_length_ratio"]
        ),
        "placeholders or markup of source and translation differ": pairs.other_markup(sources, targets),
        "one side seems to be in the language of the other": pairs.wrong_language(sources, targets),
    }
    return {reason: which for reason, which in found.items() if options["clean"]}


def remarks(rows: pa.Table, processor: Any, config: RunConfig) -> list[str]:
    """Name the characters of both sides that the vocabulary cannot write."""
    return vocabulary.remarks({side: rows[side].to_pylist() for side in ("source", "target")}, processor)


def start(rows: pa.Table, folder: Path, config: RunConfig) -> None:
    """Write a small Transformer with random weights, and a tokenizer of both languages learnt from the pairs."""
    seq2seq.write_untrained(
        chain.from_iterable(rows[side].to_pylist() for side in ("source", "target")),
        folder,
        vocabulary=config.options["vocabulary"],
        width=config.options["width"],
        layers=config.options["layers"],
        positions=config.data.max_length,
        seed=config.training.seed,
    )


def load_processor(path: Path, config: RunConfig) -> Any:
    """Load the checkpoint's tokenizer, and tell a multilingual one the two languages."""
    tokenizer = models.load_tokenizer(path, config.loading, fast=False)
    known = languages.codes_of(tokenizer)
    for attribute, option in (("src_lang", "source"), ("tgt_lang", "target")):
        wanted = config.options.get(option)
        if hasattr(tokenizer, attribute) and known and wanted:
            setattr(tokenizer, attribute, languages.match(wanted, known, option))
    tokenizer.model_type = checkpoints.family(path)
    return tokenizer


def prefix(processor: Any, config: RunConfig) -> str:
    """Return what stands before every source: T5's task, or the token by which OPUS-MT tells target languages apart."""
    given = config.options.get("prefix")
    source, target = config.options.get("source"), config.options.get("target")
    if given is not None:
        return str(given)
    if target and getattr(processor, "supported_language_codes", ()):
        known = {code: code.strip("<>") for code in processor.supported_language_codes}
        return f">>{languages.match(target, known.values(), 'target')}<< "
    if source and target and processor.model_type in ("t5", "mt5", "umt5"):
        return f"translate {languages.name_of(source)} to {languages.name_of(target)}: "
    return ""


def preprocess(rows: Mapping[str, Sequence[Any]], processor: Any, config: RunConfig) -> dict[str, list[Any]]:
    """Tokenize sources and targets, each cut at `data.max_length` tokens."""
    before = prefix(processor, config)
    sources = _encode([before + text for text in rows["source"]], processor, config, "text")
    features = {"input_ids": sources}
    if "target" in rows:
        features["labels"] = _encode(list(rows["target"]), processor, config, "text_target")
    longest = config.data.max_length
    cut = [any(len(side) >= longest for side in row) for row in zip(*features.values(), strict=True)]
    return {**features, "truncated": cut}


def _encode(texts: list[str], processor: Any, config: RunConfig, side: str) -> list[list[int]]:
    encoded = processor(
        **{side: texts}, truncation=True, max_length=config.data.max_length, return_attention_mask=False
    )
    ids: list[list[int]] = encoded["input_ids"]
    return ids


def build_model(path: Path, labels: Sequence[str], config: RunConfig, **arguments: Any) -> Any:
    """Load the checkpoint; the way it translates is stored with it, and no bound of 20 tokens."""
    from transformers import AutoModelForSeq2SeqLM

    model = models.load(AutoModelForSeq2SeqLM, path, labels, config.loading, config.training, **arguments)
    processor = load_processor(path, config)
    settings = {
        "num_beams": config.options["beams"],
        "max_length": config.data.max_length,
        "length_penalty": config.options["length_penalty"],
        "early_stopping": True,
    }
    target = getattr(processor, "tgt_lang", None)
    if target and target in languages.codes_of(processor):
        settings["forced_bos_token_id"] = languages.token_number(processor, target)
    model.generation_config.update(**settings)
    return model


def collate(features: Sequence[Mapping[str, Any]], processor: Any) -> dict[str, Any]:
    """Pad to the longest: input_ids and attention_mask (B, S), labels (B, T)."""
    return pad(features, {"input_ids": processor.pad_token_id, "labels": IGNORED})


def predictions(outputs: Any, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return nothing: a translation is not read off one forward pass."""
    return {}


def generate(model: Any, batch: Mapping[str, Any], processor: Any, config: RunConfig) -> dict[str, list[Any]]:
    """Translate a batch (B, S) by beam search: texts, and whether each was cut at its bound."""
    options = config.options
    lengths = batch["attention_mask"].sum(dim=1).tolist()
    bounds = [min(config.data.max_length, int(options["length_factor"] * length) + SPARE) for length in lengths]
    written = beam_search(
        model,
        batch["input_ids"],
        batch["attention_mask"],
        bounds,
        beams=options["beams"],
        length_penalty=options["length_penalty"],
    )
    texts = processor.batch_decode([list(one.tokens) for one in written], skip_special_tokens=True)
    return {"prediction": [text.strip() for text in texts], "cut": [not one.ended for one in written]}


def copied(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[str]:
    """Give back the source as it is."""
    texts: list[str] = test["source"].to_pylist()
    return texts


BASELINES = {"Copying the source": copied}
