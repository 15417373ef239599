"""Find named entities: one label for each word, judged by whole entities.

Learns from a table with a column of words (lists, or texts cut at white space) and a column of as many labels
in the IOB scheme: B-PER opens an entity of type PER, I-PER continues it, O is none. The default data is
CoNLL-2003 (Tjong Kim Sang and De Meulder 2003).
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit import models
from toolkit.config import RunConfig
from toolkit.data.batch import pad
from toolkit.metrics import Metric
from toolkit.recipes import Column

DEFAULTS: dict[str, Any] = {
    "model": "distilbert",
    "data": {"source": "lhoestq/conll2003"},
    "training": {"best_metric": "entity_f1"},
}

COLUMNS = (
    Column("words", ("words", "tokens", "text", "sentence"), kind="words"),
    Column("labels", ("labels", "ner_tags", "tags", "entities", "ner"), kind="labels"),
)

IGNORED = -100  # what the loss passes over: special tokens and all but the first piece of a word


def load_processor(path: Path, config: RunConfig) -> Any:
    """Load the checkpoint's tokenizer; byte-level ones must see each word as if a space stood before it."""
    return models.load_tokenizer(path, config.loading, add_prefix_space=True)


def preprocess(rows: Mapping[str, Sequence[Any]], processor: Any, config: RunConfig) -> dict[str, list[Any]]:
    """Tokenize lists of words; the first piece of each word carries the word's label."""
    encoded = processor(
        list(rows["words"]),
        is_split_into_words=True,
        truncation=True,
        max_length=config.data.max_length,
        return_attention_mask=False,
        return_token_type_ids=False,
    )
    features: dict[str, list[Any]] = {
        "input_ids": encoded["input_ids"],
        "truncated": [bool(encoding.overflowing) for encoding in encoded.encodings],
    }
    if "labels" in rows:
        features["labels"] = [_on_first_pieces(encoded.word_ids(i), labels) for i, labels in enumerate(rows["labels"])]
    return features


def _on_first_pieces(word_ids: Sequence[int | None], labels: Sequence[int]) -> list[int]:
    """Word of each piece → label of each piece. Both of length T."""
    before = [None, *word_ids[:-1]]
    return [
        labels[word] if word is not None and word != last else IGNORED
        for word, last in zip(word_ids, before, strict=True)
    ]


def build_model(path: Path, labels: Sequence[str], config: RunConfig, **arguments: Any) -> Any:
    """Load the checkpoint with a head that gives each token one of `labels`."""
    from transformers import AutoModelForTokenClassification

    return models.load(AutoModelForTokenClassification, path, labels, config.loading, config.training, **arguments)


def collate(features: Sequence[Mapping[str, Any]], processor: Any) -> dict[str, Any]:
    """Pad to the longest: input_ids, attention_mask and labels, each (B, T)."""
    return pad(features, {"input_ids": processor.pad_token_id or 0, "labels": IGNORED})


def predictions(outputs: Any, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Logits (B, T, C) → the label of each word, for each row; words that were cut off are missing at the end."""
    best = outputs.logits.argmax(dim=-1).cpu()  # (B, T)
    first = batch["labels"] != IGNORED
    return {"prediction": [row[mask].tolist() for row, mask in zip(best, first, strict=True)]}


def entities(labels: Sequence[str]) -> set[tuple[int, int, str]]:
    """Return the entities of a sentence as (first word, end, type); an I- with nothing to continue opens one."""
    found = set()
    start, kind = 0, ""
    for position, label in enumerate([*labels, "O"]):
        prefix, _, name = label.partition("-")
        if kind and (prefix != "I" or name != kind):
            found.add((start, position, kind))
            kind = ""
        if prefix in ("B", "I") and not kind:
            start, kind = position, name
    return found


def entity_counts(
    predicted: Sequence[Sequence[int]], true: Sequence[Sequence[int]], names: Sequence[str]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return what each sentence adds to the entity counts. Shape (N, 3): right, predicted, true."""
    rows = []
    for said, reference in zip(predicted, true, strict=True):
        outside = names.index("O") if "O" in names else 0
        full = [*said, *[outside] * (len(reference) - len(said))]
        ours, theirs = entities([names[i] for i in full]), entities([names[i] for i in reference])
        rows.append((len(ours & theirs), len(ours), len(theirs)))
    return np.array(rows, np.float64).reshape(-1, 3)


def entity_f1(sums: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """F1 over whole entities, 2 × right / (predicted + true). (..., 3) → (...)."""
    return 2 * sums[..., 0] / np.maximum(sums[..., 1] + sums[..., 2], 1e-12)


METRICS = (
    Metric(
        "entity_f1",
        "Entity F1",
        entity_counts,
        entity_f1,
        value_type="labels",
        overlaps=lambda sums: list(sums[:, None]),
    ),
)


def most_frequent_label(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[list[int]]:
    """Give each word the label it had most often in train, and O to words never seen."""
    seen: dict[str, Counter[int]] = defaultdict(Counter)
    for words, tags in zip(train["words"].to_pylist(), train["labels"].to_pylist(), strict=True):
        for word, tag in zip(words, tags, strict=True):
            seen[word][tag] += 1
    outside = labels.index("O") if "O" in labels else 0
    usual = {word: counted.most_common(1)[0][0] for word, counted in seen.items()}
    return [[usual.get(word, outside) for word in words] for words in test["words"].to_pylist()]


BASELINES = {"Most frequent label of each word": most_frequent_label}
