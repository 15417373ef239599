"""Baselines: simple predictors that are trained on the same rows."""

import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.data.audio import decoding as audio_decoding
from toolkit.data.audio.log_mel import log_mel
from toolkit.data.images import image_decoding
from toolkit.data.load import Splits
from toolkit.errors import RecipeError
from toolkit.metrics import column, load
from toolkit.metrics.base import VALUE_NAMES, VALUES, ValueType
from toolkit.tasks.contract import Recipe

MOST_ROWS = 100_000
MOST_FILES = 5_000  # pictures, or recordings
SMALL = 12  # pixels
RATE = 16_000  # samples a second of the recordings that are compared
_CHUNK = 10_000  # rows that are predicted at a time


def predict(name: str, recipe: Recipe, splits: Splits) -> list[Any]:
    """Train a baseline of a recipe on train and predict test.

    Raises:
        RecipeError: It fails, or does not return one prediction a row of the type that the first metric compares.
    """
    function: Callable[..., Any] = (recipe.baselines or {})[name]
    rows = splits.test.num_rows
    loaded = (definition for _, definition in map(load, recipe.metrics))
    value_type = next((d.value_type for d in loaded if d is not None and column(d) == "prediction"), None)
    try:
        made = function(splits.train, splits.test, splits.labels)
    except (ArithmeticError, AttributeError, LookupError, NameError, TypeError, ValueError) as error:
        raise _faulty(name, recipe, f"raised {type(error).__name__}: {error}", rows, value_type) from error
    if not isinstance(made, list | tuple | np.ndarray):
        raise _faulty(name, recipe, f"returned a value of the type {type(made).__name__}", rows, value_type)
    if len(made) != rows:
        raise _faulty(name, recipe, f"returned {len(made):,} predictions for {rows:,} rows", rows, value_type)
    wrong = [value for value in made if not _is_of_type(value, value_type, len(splits.labels))]
    if wrong:
        raise _faulty(name, recipe, f"returned the prediction {repr(wrong[0])[:100]}", rows, value_type)
    return list(made)


def _is_of_type(value: Any, value_type: ValueType | None, classes: int) -> bool:
    """Whether a prediction is what metrics compare; `classes` is 0 for a task without classes."""
    if value_type is None:
        return True
    if not isinstance(value, VALUES[value_type]):
        return False
    if value_type == "labels":
        return all(_is_of_type(item, "int64", classes) for item in value)
    return value_type != "int64" or not classes or 0 <= int(value) < classes


def _faulty(name: str, recipe: Recipe, problem: str, rows: int, value_type: ValueType | None) -> RecipeError:
    each = f", each {VALUE_NAMES[value_type]}" if value_type is not None else ""
    return RecipeError(
        f"The baseline “{name}” of the recipe {recipe.file} {problem}. It must return a list of {rows:,} predictions, "
        f"one for each row of test{each}.",
        "Correct the baseline, and run the same command with `--resume`: it continues from the last saved state of "
        "training. With `--set evaluation.baselines=false` it does without baselines.",
        id="recipe.baseline",
    )


def majority(train: pa.Table, test: pa.Table, labels: Sequence[str], role: str = "label") -> list[int]:
    """Predict the most frequent class of train for every row; `role` is that of the target."""
    counted = Counter(train[role].to_pylist())
    winner = max(range(len(labels)), key=lambda number: counted[number])
    return [winner] * test.num_rows


def tfidf_logistic_regression(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[int]:
    """Predict with logistic regression on TF-IDF weights of words and pairs of words; without words, the majority.

    It learns from at most `MOST_ROWS` rows: otherwise its table of pairs of words would need more memory than the
    model.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    learned = _at_most(train, MOST_ROWS)
    vectorizer, texts = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), _texts(learned)
    if not any(map(vectorizer.build_analyzer(), texts)):  # texts without words
        return majority(train, test, labels)
    pipeline = make_pipeline(vectorizer, LogisticRegression(C=10.0, max_iter=1000))
    pipeline.fit(texts, learned["label"].to_pylist())
    chunks = (test.slice(start, _CHUNK) for start in range(0, test.num_rows, _CHUNK))
    return [int(number) for chunk in chunks for number in pipeline.predict(_texts(chunk))]


def pixel_logistic_regression(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[int]:
    """Predict with logistic regression on pictures of 12 × 12 pixels, learnt from at most `MOST_FILES`."""
    return _logistic_regression(train, test, labels, _pixels)


def log_mel_logistic_regression(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[int]:
    """Predict with logistic regression on the mean and the deviation of a recording's log-mel bands over time.

    It is learnt from at most `MOST_FILES` recordings.
    """
    return _logistic_regression(train, test, labels, _log_mel_statistics)


def _logistic_regression(
    train: pa.Table, test: pa.Table, labels: Sequence[str], vectors: Callable[[pa.Table], Any]
) -> list[int]:
    """Predict with logistic regression on `vectors`: rows → numbers (N, D)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    learned = _at_most(train, MOST_FILES)
    classes = learned["label"].to_pylist()
    if len(set(classes)) < 2:
        return majority(train, test, labels)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=200, tol=1e-3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a baseline that has not quite converged is still one
        pipeline.fit(vectors(learned), classes)
    return [int(number) for number in pipeline.predict(vectors(test))]


def most_frequent_label(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[list[int]]:
    """Give each word the label it had most often in train, and words never seen the most frequent label."""
    seen: dict[str, Counter[int]] = defaultdict(Counter)
    for words, numbers in zip(train["words"].to_pylist(), train["labels"].to_pylist(), strict=True):
        for word, number in zip(words, numbers, strict=True):
            seen[word][number] += 1
    usual = {word: counted.most_common(1)[0][0] for word, counted in seen.items()}
    other = sum(seen.values(), Counter[int]()).most_common(1)[0][0]
    return [[usual.get(word, other) for word in words] for words in test["words"].to_pylist()]


def source_itself(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[str]:
    """Return the source unchanged."""
    texts: list[str] = test["source"].to_pylist()
    return texts


def _at_most(rows: pa.Table, most: int) -> pa.Table:
    """Return the rows, or `most` of them drawn at random."""
    if rows.num_rows <= most:
        return rows
    return rows.take(np.sort(np.random.default_rng(0).choice(rows.num_rows, most, replace=False)))


def _pixels(rows: pa.Table) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return each picture as numbers from 0 to 1. Shape (N, 12 × 12 × 3)."""

    def small(group: Sequence[Any]) -> list[Any]:
        images = (image_decoding.decode(picture, sys.maxsize) for picture in group)
        return [np.asarray(i.resize((SMALL, SMALL), reducing_gap=2.0), np.float64).ravel() / 255 for i in images]

    chunks = (rows["image"].slice(start, _CHUNK // 20).to_pylist() for start in range(0, rows.num_rows, _CHUNK // 20))
    return np.array([pixels for chunk in chunks for pixels in image_decoding.in_groups(chunk, small)])


def _log_mel_statistics(rows: pa.Table) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the mean and the deviation of each band over time. Shape (N, 2 × BANDS)."""

    def statistics(recording: Any) -> Any:
        bands = log_mel(*audio_decoding.decode(recording, sys.maxsize, RATE))  # (frames, BANDS)
        return np.concatenate([bands.mean(axis=0), bands.std(axis=0)])

    starts = range(0, rows.num_rows, _CHUNK // 20)
    chunks = (rows["audio"].slice(start, _CHUNK // 20).to_pylist() for start in starts)
    return np.array([vector for chunk in chunks for vector in audio_decoding.in_groups(chunk, statistics)])


def _texts(rows: pa.Table) -> list[str]:
    first: list[str] = rows["text"].to_pylist()
    if "text_pair" not in rows.column_names:
        return first
    return [f"{a} {b or ''}" for a, b in zip(first, rows["text_pair"].to_pylist(), strict=True)]
