"""Parts of a recipe that predicts something of a text, or of a pair of texts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit import models
from toolkit.config import RunConfig
from toolkit.data.batching import rationales
from toolkit.tasks.inputs.phrases import PHRASES
from toolkit.tasks.inputs.text import TEXT
from toolkit.tasks.task import Column

INPUTS = (
    Column(
        "text",
        ("text", "sentence", "review", "content", "comment", "tweet", "message", "sentence1", "premise", "body"),
        TEXT,
    ),
    Column("text_pair", ("text_pair", "sentence2", "hypothesis", "second_sentence"), TEXT, required=False),
    Column("rationale", ("rationale", "rationales", "evidence", "highlights"), PHRASES, required=False),
)


def load_processor(path: Path, config: RunConfig) -> Any:
    """Load the checkpoint's tokenizer."""
    return models.load_tokenizer(path, config.loading)


def preprocess(rows: Mapping[str, Sequence[Any]], processor: Any, config: RunConfig) -> dict[str, list[Any]]:
    """Tokenize texts, or pairs of texts, and cut them at `data.max_length` tokens."""
    pairs = [second or "" for second in rows["text_pair"]] if "text_pair" in rows else None
    encoded = processor(
        list(rows["text"]), pairs, truncation=True, max_length=config.data.max_length, return_attention_mask=False
    )
    features = {**encoded, "truncated": [bool(encoding.overflowing) for encoding in encoded.encodings]}
    if pairs is None:
        features.pop("token_type_ids", None)  # all zero, which is what models assume
    if "rationale" in rows and config.loss.attention_supervision:
        texts = zip(rows["text"], pairs or [""] * len(rows["text"]), strict=True)
        wanted = zip(encoded.encodings, texts, rows["rationale"], strict=True)
        features["rationale"] = [rationales.marks(*example) for example in wanted]
    return features


def remarks(rows: pa.Table, processor: Any, config: RunConfig) -> list[str]:
    """Report how many rationales do not occur in their text."""
    if not config.loss.attention_supervision:
        return []
    texts = (rows[role].to_pylist() for role in ("text", "text_pair") if role in rows.column_names)
    lost = rationales.lost(rows["rationale"].to_pylist(), list(zip(*texts, strict=True)))
    return [f"{lost:,} rationales do not occur in their text; these rows train only the label."] if lost else []


def build_model(path: Path, labels: Sequence[str], config: RunConfig, **arguments: Any) -> Any:
    """Load the checkpoint with a head for `labels`; `arguments` go to the model's configuration."""
    from transformers import AutoModelForSequenceClassification

    arguments = {"problem_type": "single_label_classification", **arguments}
    return models.load(AutoModelForSequenceClassification, path, labels, config.loading, config.training, **arguments)
