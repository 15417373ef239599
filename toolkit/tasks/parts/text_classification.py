"""Parts of a recipe that predicts something of a text, or of a pair of texts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit import models
from toolkit.config import RunConfig
from toolkit.data.batching import rationales
from toolkit.tasks.inputs.phrases import PHRASES
from toolkit.tasks.inputs.text import TEXT
from toolkit.tasks.task import Column

# Columns of common data sets of pairs; the names of some mean a second text only beside the first.
PAIRS = (
    ("text", "text_pair"),
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("query", "passage"),
    ("query", "document"),
    ("text1", "text2"),
    ("s1", "s2"),
    ("sentence_a", "sentence_b"),
)

_FIRST = ("text", "sentence", "review", "content", "comment", "tweet", "message", "sentence1", "premise", "body")
_SECOND = ("text_pair", "sentence2", "hypothesis", "second_sentence", "question2", "text2", "s2", "sentence_b")

INPUTS = (
    Column("text", _FIRST, TEXT),
    Column("text_pair", _SECOND, TEXT, required=False, pairs=PAIRS),
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
    features = {**encoded, "truncated": _truncated(encoded.encodings, rows["text"], pairs, processor)}
    if pairs is None:
        features.pop("token_type_ids", None)  # all zero, which is what models assume
    if "rationale" in rows and config.loss.attention_supervision:
        texts = zip(rows["text"], pairs or [""] * len(rows["text"]), strict=True)
        wanted = zip(encoded.encodings, texts, rows["rationale"], strict=True)
        features["rationale"] = [rationales.marks(*example) for example in wanted]
    return features


def _truncated(encodings: Sequence[Any], first: Sequence[str], second: Sequence[str] | None, processor: Any) -> Any:
    """Return which examples were cut, shape (N,); of pairs which text of each, shape (N, 2)."""
    cut = np.array([bool(encoding.overflowing) for encoding in encodings])
    if second is None:
        return cut
    texts = np.zeros((len(encodings), 2), bool)
    for row in np.flatnonzero(cut).tolist():  # the tokenizer shortens whichever is longer
        (whole,) = processor([first[row]], [second[row]]).encodings
        texts[row] = [encodings[row].sequence_ids.count(n) < whole.sequence_ids.count(n) for n in (0, 1)]
    return texts


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
