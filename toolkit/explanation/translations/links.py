"""The source word of each word of a translation, from cross-attention.

The attention of a pair of sentences is recorded with the given translation as the decoder's input. The source word that
a target word attends to is read where the word is predicted, or one step later, where it is the input: the second is
closer to manual alignments (Chen et al. 2020, "Accurate Word Alignment Induction from Neural Machine Translation").
A measure without attention is computed as well: the drop of the probability of each target word when a source
word is left out (Li et al. 2019, "On the Word Alignment from Neural Machine Translation", prediction difference).
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import partial
from typing import Any

import numpy as np

from toolkit.attention.record import recording
from toolkit.errors import ModelError
from toolkit.explanation.translations.error_rate import Link, diagonal
from toolkit.explanation.words import Floats

# scripts without spaces between words: each character counts as a word
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORDS = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")

Spans = tuple[tuple[int, ...], ...]
Collate = Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]]


@dataclass(frozen=True)
class Bitext:
    """A source and its translation, ready for the model, and the tokens of each word.

    Attributes:
        source, target: The texts.
        features: "input_ids" and "labels", arrays.
        source_words, target_words: S and T of them.
        source_spans, target_spans: Places of each word's tokens among the input or the labels; none for a word that
            was cut off.
    """

    source: str
    target: str
    features: Mapping[str, Any]
    source_words: tuple[str, ...]
    target_words: tuple[str, ...]
    source_spans: Spans
    target_spans: Spans


@dataclass(frozen=True)
class Reading:
    """A place where cross-attention is read.

    Attributes:
        layer: Of the decoder, from 0.
        read: Whether a word's row is the one where the word is the input, and not where it is predicted.
    """

    layer: int
    read: bool

    @property
    def title(self) -> str:
        """Name in reports."""
        return f"Layer {self.layer + 1}, {'after the word' if self.read else 'before the word'}"


@dataclass(frozen=True)
class PairResult:
    """Attention and deletion scores of one pair.

    Attributes:
        pair: The pair.
        attention: Share of each source word in each target word's attention. Shape (readings, T, S).
        falls: Drop of each target word's log probability without each source word. Shape (T, S).
    """

    pair: Bitext
    attention: Floats
    falls: Floats


def split_words(text: str, by_spaces: bool = False) -> tuple[str, ...]:
    """Return a text's words, separated by spaces; or single characters in scripts without spaces."""
    return tuple(text.split() if by_spaces else _WORDS.findall(text))


def bitext(source: str, target: str, features: Mapping[str, Any], processor: Any, *, by_spaces: bool = False) -> Bitext:
    """Find the words of both sides among the tokens that a recipe made of them.

    Args:
        source: The text.
        target: Its translation.
        features: "input_ids" and "labels".
        processor: The tokenizer; a slow one is sufficient.
        by_spaces: Separate words by spaces only, as in gold alignments.
    """
    words = [split_words(text, by_spaces) for text in (source, target)]
    ids = [[int(token) for token in features[name]] for name in ("input_ids", "labels")]
    special = set(processor.all_special_ids) - {processor.unk_token_id}
    spans = [
        spans_of(ids[side], [_pieces(word, processor, argument) for word in words[side]], special)
        for side, argument in enumerate(("text", "text_target"))
    ]
    kept = {"input_ids": np.array(ids[0], np.int64), "labels": np.array(ids[1], np.int64)}
    return Bitext(source, target, kept, words[0], words[1], spans[0], spans[1])


def _pieces(word: str, processor: Any, argument: str) -> list[int]:
    ids: list[int] = processor(**{argument: word}, add_special_tokens=False)["input_ids"]
    return ids


def spans_of(ids: Sequence[int], words: Sequence[Sequence[int]], special: Collection[int] = ()) -> Spans:
    """Find the tokens of each word in a tokenized text, with any tokens before, after or between them.

    Args:
        ids: Tokens of the whole text.
        words: Tokens of each word alone. Where the whole text is tokenized differently, the tokens between two words
            that are found are divided among the words between them.
        special: Tokens that belong to no word.
    """
    places = [place for place, token in enumerate(ids) if token not in special]
    owners = [number for number, pieces in enumerate(words) for _ in pieces]
    alone = [piece for pieces in words for piece in pieces]
    spans: list[list[int]] = [[] for _ in words]
    matcher = SequenceMatcher(None, [ids[place] for place in places], alone, autojunk=False)
    for kind, start, end, first, last in matcher.get_opcodes():
        if kind in ("equal", "replace"):
            for at in range(start, end):
                among = first + (at - start) * (last - first) // (end - start)
                spans[owners[among]].append(places[at])
    return tuple(map(tuple, spans))


def readings(model: Any, pair: Bitext, collate: Collate) -> list[Reading]:
    """Return every place where the model's cross-attention can be read."""
    return [
        Reading(layer, read) for layer in range(len(_cross_attention(model, pair, collate))) for read in (False, True)
    ]


def usual(known: Sequence[Reading]) -> int:
    """Return the number of the reading that is usually best: the last layer but one, after the word."""
    layers = max(reading.layer for reading in known) + 1
    return list(known).index(Reading(max(0, layers - 2), True))


def score_pair(model: Any, pair: Bitext, collate: Collate, batch_size: int) -> PairResult:
    """Record a pair's cross-attention, and leave out each source word in turn.

    Args:
        model: In evaluation mode.
        pair: The pair.
        collate: Stacks features into a batch.
        batch_size: Sentences in one forward pass.

    Raises:
        ModelError: The attention cannot be recorded.
    """
    layers = _cross_attention(model, pair, collate)  # (layers, T', S')
    after = np.concatenate([layers[:, 1:], layers[:, -1:]], axis=1)  # the row where a token is the input
    both = np.stack([layers, after], axis=1).reshape(-1, *layers.shape[1:])
    by_words = np.stack([_by_words(weights, pair) for weights in both])
    return PairResult(pair, by_words, _falls(model, pair, collate, batch_size))


def _cross_attention(model: Any, pair: Bitext, collate: Collate) -> Floats:
    """Return each decoder layer's attention to the source, averaged over its heads. Shape (layers, T', S')."""
    import torch

    batch = {name: tensor.to(model.device) for name, tensor in collate([pair.features]).items()}
    with torch.inference_mode():
        encoded = model.get_encoder()(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
        with recording(model) as records:
            model(encoder_outputs=encoded, attention_mask=batch["attention_mask"], labels=batch["labels"])
    wanted = batch["labels"].shape[1], batch["input_ids"].shape[1]
    crossed = [
        record.weights[0].mean(dim=0).double().cpu().numpy() for record in records[1::2]
    ]  # self, cross, self, cross
    if not crossed or any(record.shape != wanted for record in crossed):
        raise ModelError(
            f"{type(model).__name__} has no cross-attention from each token of the translation to each token of the "
            "source.",
            "Use a model such as Marian, T5, mBART or M2M100.",
            id="model.attention-unsupported",
        )
    return np.stack(crossed)


def _by_words(weights: Floats, pair: Bitext) -> Floats:
    """Sum over each source word's tokens, average over each target word's. Shapes (T', S') → (T, S)."""
    by_words = np.zeros((len(pair.target_spans), len(pair.source_spans)))
    for column, span in enumerate(pair.source_spans):
        summed = weights[:, list(span)].sum(axis=1)  # (T',)
        by_words[:, column] = [summed[list(places)].mean() if places else 0.0 for places in pair.target_spans]
    return by_words


def _falls(model: Any, pair: Bitext, collate: Collate, batch_size: int) -> Floats:
    ids = pair.features["input_ids"]
    variants = [ids, *(np.delete(ids, span) for span in pair.source_spans)]
    rows = []
    for start in range(0, len(variants), batch_size):
        chunk = [
            {"input_ids": variant, "labels": pair.features["labels"]}
            for variant in variants[start : start + batch_size]
        ]
        rows.append(_log_probabilities(model, collate(chunk)))
    probabilities = np.concatenate(rows)  # (S + 1, T')
    summed = [probabilities[:, list(span)].sum(axis=1) for span in pair.target_spans]
    by_word = np.asarray(summed, np.float64).reshape(len(summed), len(variants))  # (T, S + 1)
    return by_word[:, :1] - by_word[:, 1:]


def _log_probabilities(model: Any, batch: Mapping[str, Any]) -> Floats:
    """Return the log probability of each label. Shape (B, T')."""
    import torch

    moved = {name: tensor.to(model.device) for name, tensor in batch.items()}
    with torch.inference_mode():
        logits = model(**moved).logits.float().log_softmax(dim=-1)
    labels = moved["labels"].clamp(min=0)
    return np.asarray(logits.gather(2, labels[..., None])[..., 0].double().cpu().numpy())


def links(scores: Floats, pair: Bitext) -> list[Link]:
    """Link each target word to the source word with the highest score. Scores of shape (T, S)."""
    if not pair.source_words:
        return []
    return [(int(row.argmax()), place) for place, row in enumerate(scores) if pair.target_spans[place]]


def agreement(scores: Callable[[PairResult], Floats] | None, pairs: Sequence[PairResult]) -> Floats:
    """Count where an alignment method identifies the source word that is most important to the model.

    The most important word is the one whose removal lowers the target word's probability most.

    Args:
        scores: Gives the scores of a pair, shape (T, S); None for the diagonal.
        pairs: The pairs.

    Returns:
        Target words that agree, and target words, of each pair. Shape (N, 2).
    """
    counted = []
    for result in pairs:
        truth = set(links(result.falls, result.pair))
        size = len(result.pair.source_words), len(result.pair.target_words)
        made = diagonal(*size) if scores is None else links(scores(result), result.pair)
        counted.append((len(truth & set(made)), len(truth)))
    return np.array(counted, np.float64)


def read_at(number: int) -> Callable[[PairResult], Floats]:
    """Return a function that gives the scores of a pair by one reading."""
    return partial(_reading, number=number)


def _reading(result: PairResult, number: int) -> Floats:
    scores: Floats = result.attention[number]
    return scores
