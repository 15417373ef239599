"""A text as its words: sub-word pieces joined, special tokens apart."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.attention.walk import readable
from toolkit.explanation import units

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Example:
    """One text, ready for the model, and the tokens of each word.

    Attributes:
        texts: One, or two for a pair.
        features: Model inputs: arrays with one entry a token, and single numbers.
        tokens: Name of each token. T of them.
        words: Name of each word. W of them.
        spans: Places of each word's tokens; tokens in no span are special.
        sources: Number of each word's text of a pair, from 0; empty for one text.
        mask: The token that stands for a word that is left out; None where its tokens are removed.
        asked: Number of the word whose label is explained, from 0; None where the class of the text is.
    """

    texts: tuple[str, ...]
    features: Mapping[str, Any]
    tokens: tuple[str, ...]
    words: tuple[str, ...]
    spans: tuple[tuple[int, ...], ...]
    sources: tuple[int, ...] = ()
    mask: int | None = None
    asked: int | None = None

    @property
    def marked(self) -> tuple[str, ...]:
        """The words; those of a pair with the number of their text, from 1."""
        return marked(self.words, self.sources)

    @property
    def special(self) -> tuple[int, ...]:
        """Places of the tokens that belong to no word, such as [CLS]."""
        inside = {place for span in self.spans for place in span}
        return tuple(place for place in range(len(self.tokens)) if place not in inside)

    def by_word(self, scores: Floats) -> Floats:
        """Sum the scores of each word's tokens. Shapes (T,) → (W,)."""
        return np.array([scores[list(span)].sum() for span in self.spans], np.float64)

    def keep(self, words: Iterable[int]) -> dict[str, Any]:
        """Return model inputs of the text with these of its words, in their order, and all special tokens.

        Other words are removed, or masked where there is a token for that.
        """
        if self.mask is not None:
            left = [place for word in set(range(len(self.words))) - set(words) for place in self.spans[word]]
            ids = self.features["input_ids"].copy()
            ids[left] = self.mask
            return {**self.features, "input_ids": ids}
        places = sorted({*self.special, *(place for word in words for place in self.spans[word])})
        length = len(self.tokens)
        return {
            name: values[places] if isinstance(values, np.ndarray) and values.shape[:1] == (length,) else values
            for name, values in self.features.items()
        }


def example(
    texts: Sequence[str],
    features: Mapping[str, Any],
    tokenizer: Any,
    max_length: int,
    lists: Mapping[str, Any] | None = None,
) -> Example:
    """Find the words among the tokens of a text that a recipe tokenized.

    Args:
        texts: One text, or two for a pair.
        features: Its model inputs, with "input_ids".
        tokenizer: A fast tokenizer, which gives each token's place in the text.
        max_length: Tokens beyond it are cut.
        lists: As `units` takes them: contractions and negations are one word. None keeps the tokenizer's words.
    """
    ids = np.asarray(features["input_ids"])
    tokens = tuple(readable(token) for token in tokenizer.convert_ids_to_tokens(ids.tolist()))
    encoding = tokenizer(*texts, truncation=True, max_length=max_length).encodings[0]
    if encoding.ids == ids.tolist():
        spans = _spans(encoding, texts, lists)
        words = tuple(_spell(texts, encoding, span) for span in spans)
        sources = tuple(encoding.sequence_ids[span[0]] for span in spans) if len(texts) > 1 else ()
    else:  # the recipe tokenizes differently: each token is a word
        special = set(tokenizer.all_special_ids)
        spans = tuple((place,) for place, token in enumerate(ids.tolist()) if token not in special)
        words = tuple(tokens[place] for (place,) in spans)
        sources = ()
    arrays = {name: _array(value) for name, value in features.items()}
    return Example(tuple(texts), arrays, tokens, words, spans, sources)


def marked(words: Sequence[str], sources: Sequence[int]) -> tuple[str, ...]:
    """Return the words; those of a pair with the number of their text, from 1.

    Args:
        words: Of one text or of two.
        sources: Number of each word's text of a pair, from 0; empty for one text.
    """
    if not sources:
        return tuple(words)
    return tuple(f"{word} ({source + 1})" for word, source in zip(words, sources, strict=True))


def _array(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, Sequence | np.ndarray) else value


def _spans(encoding: Any, texts: Sequence[str], lists: Mapping[str, Any] | None) -> tuple[tuple[int, ...], ...]:
    """Gather the tokens of each word of each text."""
    spans: dict[tuple[int, int], list[int]] = {}
    for place, (text, word) in enumerate(zip(encoding.sequence_ids, encoding.word_ids, strict=True)):
        if text is not None and word is not None:
            spans.setdefault((text, word), []).append(place)
    if lists is None:
        return tuple(map(tuple, spans.values()))
    own = ([span for (source, _), span in spans.items() if source == number] for number in range(len(texts)))
    return tuple(
        span
        for text, words in zip(texts, own, strict=True)
        for span in units.joined(words, encoding.offsets, units.units(text, lists))
    )


def _spell(texts: Sequence[str], encoding: Any, span: Sequence[int]) -> str:
    """Take a word from the text itself, in its original spelling."""
    starts, ends = zip(*(encoding.offsets[place] for place in span), strict=True)
    text = texts[encoding.sequence_ids[span[0]]]
    return text[min(starts) : max(ends)].strip() or "␣"
