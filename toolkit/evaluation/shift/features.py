"""What the domain classifiers read of a row, as inner products of all rows with a diagonal of about 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.evaluation.shift.exchange import Singles
from toolkit.evaluation.statistics.clusters import Floats

_MOST_TERMS = 50_000
_MOST_WORDS = 5_000  # that are tested one by one
_LEAST_ROWS = 5  # with a word that is tested
_LEAST_SHARE = 1 / 400  # of the rows


@dataclass(frozen=True)
class Words:
    """Which rows have which words.

    Attributes:
        names: The words.
        present: Sparse matrix of 1 where a row has a word. Shape (N, W).
    """

    names: Sequence[str]
    present: Any


def of_texts(texts: Sequence[str]) -> Singles:
    """Return inner products of TF-IDF weights of words and pairs of words; zeros where there are no words. (N, N)."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, max_features=_MOST_TERMS, dtype=np.float32, token_pattern=r"(?u)\b\w+\b"
    )
    if not any(map(vectorizer.build_analyzer(), texts)):
        return np.zeros((len(texts), len(texts)), np.float32)
    weights = vectorizer.fit_transform(texts)
    products: Singles = (weights @ weights.T).toarray()
    return products


def of_numbers(numbers: Floats) -> Singles:
    """Return inner products of standardised numbers (N, D), divided by how many of them vary. Shape (N, N)."""
    spread = numbers.std(axis=0)
    varying = spread > 1e-9
    if not varying.any():
        return np.zeros((len(numbers), len(numbers)), np.float32)
    scaled = ((numbers[:, varying] - numbers[:, varying].mean(axis=0)) / spread[varying]).astype(np.float32)
    products: Singles = scaled @ scaled.T / np.float32(varying.sum())
    return products


def words_of(texts: Sequence[str]) -> Words | None:
    """Return the words that enough rows have to be tested; None where there are none."""
    from sklearn.feature_extraction.text import CountVectorizer

    least = max(_LEAST_ROWS, round(_LEAST_SHARE * len(texts)))
    vectorizer = CountVectorizer(
        binary=True, min_df=least, max_features=_MOST_WORDS, dtype=np.float32, token_pattern=r"(?u)\b\w+\b"
    )
    try:
        present = vectorizer.fit_transform(texts)
    except ValueError:  # no word is in so many rows
        return None
    return Words(vectorizer.get_feature_names_out().tolist(), present)
