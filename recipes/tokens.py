"""Find named entities: one label for each word, evaluated by whole entities.

Learns from a table with a column of words (lists, or texts cut at white space) and a column of as many labels
in the IOB scheme: B-PER opens an entity of type PER, I-PER continues it, O is none; from CoNLL files; or from texts
with marked entities. The default data is CoNLL-2003 (Tjong Kim Sang and De Meulder 2003).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit import models
from toolkit.config import RunConfig
from toolkit.config.settings import DataConfig
from toolkit.data.batching.batch import pad
from toolkit.data.sources import entity_files
from toolkit.evaluation.baselines import most_frequent_label
from toolkit.evaluation.entities import named
from toolkit.metrics import Metric
from toolkit.tasks import spans
from toolkit.tasks.contract import Tables
from toolkit.tasks.inputs.words import WORDS
from toolkit.tasks.spans import WORD_PROBABILITIES, spans_of
from toolkit.tasks.targets.token_labels import TOKEN_LABELS
from toolkit.tasks.task import Column

DEFAULTS: dict[str, Any] = {
    "model": "distilbert",
    "data": {"source": "lhoestq/conll2003"},
    "training": {"best_metric": "entity_f1"},
}

COLUMNS = (
    Column("words", ("words", "tokens", "text", "sentence"), WORDS),
    Column("labels", ("labels", "ner_tags", "tags", "entities", "ner"), TOKEN_LABELS),
)

OUTSIDE = spans.OUTSIDE  # the label of words that belong to no entity, and of those that the model does not read

IGNORED = -100  # ignored by the loss: special tokens and all but the first piece of a word


def read(path: Path, config: DataConfig, options: Mapping[str, Any]) -> Tables | None:
    """Read CoNLL, and texts with marked entities; other tables are read as everywhere."""
    return entity_files.read(path, config.encoding)


def load_processor(path: Path, config: RunConfig) -> Any:
    """Load the checkpoint's tokenizer; byte-level ones must read each word as if a space preceded it."""
    return models.load_tokenizer(path, config.loading, add_prefix_space=True)


def preprocess(rows: Mapping[str, Sequence[Any]], processor: Any, config: RunConfig) -> dict[str, list[Any]]:
    """Tokenize lists of words; the first piece of each word carries the word's label.

    A word without pieces, such as a zero-width space, and words that are cut off carry none. "first_of" gives the
    number of the word, from 1, whose first piece a token is, and 0 for other tokens; "words" how many words there are.
    """
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
        "first_of": [_first_pieces(encoded.word_ids(row)) for row in range(len(rows["words"]))],
        "words": [len(words) for words in rows["words"]],
    }
    if "labels" in rows:
        features["labels"] = [
            [labels[word - 1] if word else IGNORED for word in first]
            for first, labels in zip(features["first_of"], rows["labels"], strict=True)
        ]
    return features


def _first_pieces(word_ids: Sequence[int | None]) -> list[int]:
    """Word of each piece, from 0 → number of the word that begins there, from 1, or 0. Both of length T."""
    before = [None, *word_ids[:-1]]
    return [word + 1 if word is not None and word != last else 0 for word, last in zip(word_ids, before, strict=True)]


def build_model(path: Path, labels: Sequence[str], config: RunConfig, **arguments: Any) -> Any:
    """Load the checkpoint with a head that gives each token one of `labels`."""
    from transformers import AutoModelForTokenClassification

    return models.load(AutoModelForTokenClassification, path, labels, config.loading, config.training, **arguments)


def collate(features: Sequence[Mapping[str, Any]], processor: Any) -> dict[str, Any]:
    """Pad to the longest: input_ids, attention_mask and labels, each (B, T)."""
    read = ("input_ids", "labels")
    inputs = [{name: values for name, values in example.items() if name in read} for example in features]
    return pad(inputs, {"input_ids": processor.pad_token_id or 0, "labels": IGNORED})


def predictions(outputs: Any, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Logits (B, T, C) → label and probabilities of each word, for each row; None for words that the model does not
    read.
    """
    probabilities = outputs.logits.double().softmax(dim=-1).cpu().numpy()  # (B, T, C)
    best = outputs.logits.argmax(dim=-1).cpu().numpy()  # (B, T)
    labelled, scored = [], []
    for row, first_of, words in zip(range(len(best)), batch["first_of"], batch["words"], strict=True):
        labels: list[int | None] = [None] * int(words)
        scores: list[list[float] | None] = [None] * int(words)
        for place in np.flatnonzero(first_of).tolist():
            labels[first_of[place] - 1] = int(best[row, place])
            scores[first_of[place] - 1] = probabilities[row, place].tolist()
        labelled.append(labels)
        scored.append(scores)
    return {"prediction": labelled, WORD_PROBABILITIES: scored}


def label_remarks(labels: Sequence[str]) -> list[str]:
    """Report that no label is one of the IOB scheme, so that no word belongs to an entity."""
    if len(labels) < 2 or any(label.startswith(("B-", "I-")) for label in labels):  # one label is refused elsewhere
        return []
    names = dict(zip(labels, (OUTSIDE, "B-PER", "I-PER"), strict=False))
    label_map = ", ".join(f"{label}: {name}" for label, name in names.items())
    return [
        "No label begins with B- or I-, so no word belongs to an entity and entity F1 is 0. Name all labels in "
        f"the IOB scheme, as in --set 'data.label_map={{{label_map}}}'."
    ]


def entity_counts(
    predicted: Sequence[Sequence[int | None]], true: Sequence[Sequence[int]], names: Sequence[str]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return what each sentence adds to the entity counts. Shape (N, 3): right, predicted, true."""
    rows = []
    for prediction, reference in zip(predicted, true, strict=True):
        ours, theirs = (set(spans_of(named(numbers, names))) for numbers in (prediction, reference))
        rows.append((len(ours & theirs), len(ours), len(theirs)))
    return np.array(rows, np.float64).reshape(-1, 3)


def entity_f1(sums: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """F1 over whole entities, 2 × right / (predicted + true). (..., 3) → (...)."""
    return 2 * sums[..., 0] / np.maximum(sums[..., 1] + sums[..., 2], 1e-12)


def entity_share(sums: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Share of the predicted, or of the true entities that are right. (..., 2) → (...)."""
    return sums[..., 0] / np.maximum(sums[..., 1], 1e-12)


def _right_of(column: int) -> Any:
    return lambda predictions, references, labels: entity_counts(predictions, references, labels)[:, [0, column]]


METRICS = (
    Metric(
        "entity_f1",
        "Entity F1",
        entity_counts,
        entity_f1,
        value_type="labels",
        overlaps=lambda sums: list(sums[:, None]),
    ),
    Metric("entity_precision", "Entity precision", _right_of(1), entity_share, value_type="labels", proportion=True),
    Metric("entity_recall", "Entity recall", _right_of(2), entity_share, value_type="labels", proportion=True),
)

BASELINES = {"Most frequent label of each word": most_frequent_label}
