"""Linear baselines: logistic and ridge regression on TF-IDF weights of words and on small pictures."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.environment import one_blas_thread
from toolkit.evaluation.baselines import features
from toolkit.evaluation.baselines.constant import frequent_classes, majority, mean_value
from toolkit.metrics.classification import membership

MOST_ROWS = 100_000
MOST_ANSWERS = 1_000_000  # rows × classes, where there is a classifier for each class
MOST_FILES = 5_000  # pictures, or recordings
MOST_TERMS = 200_000  # of the most frequent, where there is a classifier for each class
_WEIGHTS = 20_000_000  # of classifiers that are held at a time
_MOST_CHOSEN_ON = 2_000  # texts on which the penalty is chosen: its matrix has their square
_PENALTIES = tuple(np.logspace(-2, 3, 11).tolist())


def _vectorizer(**options: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, **options)


def _has_words(vectorizer: Any, texts: Iterable[str]) -> bool:
    return any(map(vectorizer.build_analyzer(), texts))


def tfidf_logistic_regression(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[int]:
    """Predict with logistic regression on TF-IDF weights of words and pairs of words; without words, the majority.

    It learns from at most `MOST_ROWS` rows: otherwise its table of pairs of words would need more memory than the
    model.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    learned = features.at_most(train, MOST_ROWS)
    vectorizer, texts = _vectorizer(), features.texts(learned)
    if not _has_words(vectorizer, texts):
        return majority(train, test, labels)
    pipeline = make_pipeline(vectorizer, LogisticRegression(C=10.0, max_iter=1000))
    pipeline.fit(texts, features.target(learned))
    return [int(number) for chunk in features.chunks(test) for number in pipeline.predict(features.texts(chunk))]


def pixel_logistic_regression(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[int]:
    """Predict with logistic regression on pictures of 12 × 12 pixels, learnt from at most `MOST_FILES`."""
    return _logistic_regression(train, test, labels, features.pixels)


def log_mel_logistic_regression(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[int]:
    """Predict with logistic regression on the mean and the deviation of a recording's log-mel bands over time.

    It is learnt from at most `MOST_FILES` recordings.
    """
    return _logistic_regression(train, test, labels, features.log_mel_statistics)


@one_blas_thread()
def _logistic_regression(
    train: pa.Table, test: pa.Table, labels: Sequence[str], vectors: Callable[[pa.Table], Any]
) -> list[int]:
    """Predict with logistic regression on `vectors`: rows → numbers (N, D)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    learned = features.at_most(train, MOST_FILES)
    classes = features.target(learned)
    if len(set(classes)) < 2:
        return majority(train, test, labels)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=200, tol=1e-3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a baseline that has not quite converged is still one
        pipeline.fit(vectors(learned), classes)
    return [int(number) for number in pipeline.predict(vectors(test))]


def one_against_rest_tfidf(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[list[int]]:
    """Predict each class with a logistic regression of its own on TF-IDF weights; without words, the frequent classes.

    A class is predicted from a probability of 0.5. It learns from at most `MOST_ROWS` rows, fewer with many classes,
    and from the `MOST_TERMS` most frequent words and pairs of words.
    """
    from sklearn.linear_model import LogisticRegression

    learned = features.at_most(train, max(1_000, min(MOST_ROWS, MOST_ANSWERS // max(1, len(labels)))))
    vectorizer, texts = _vectorizer(max_features=MOST_TERMS), features.texts(learned)
    if not _has_words(vectorizer, texts):
        return frequent_classes(train, test, labels)
    table = vectorizer.fit_transform(texts)
    return _one_against_rest(
        lambda: LogisticRegression(C=10.0, max_iter=1000),
        table,
        membership(features.target(learned), len(labels)),
        lambda rows: vectorizer.transform(features.texts(rows)),
        test,
    )


def one_against_rest_pixels(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[list[int]]:
    """Predict each class with a logistic regression of its own on 12 × 12 pixels, learnt from `MOST_FILES`."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    learned = features.at_most(train, MOST_FILES)
    scaler = StandardScaler()
    table = scaler.fit_transform(features.pixels(learned))
    return _one_against_rest(
        lambda: LogisticRegression(C=0.1, max_iter=200, tol=1e-3),
        table,
        membership(features.target(learned), len(labels)),
        lambda rows: scaler.transform(features.pixels(rows)),
        test,
    )


@one_blas_thread()
def _one_against_rest(
    classifier: Callable[[], Any],
    table: Any,
    true: np.ndarray[Any, Any],
    features_of: Callable[[pa.Table], Any],
    test: pa.Table,
) -> list[list[int]]:
    """Fit a classifier for each class, as many at a time as memory allows, and predict test with them.

    A class that all training rows have, or none, needs no classifier.

    Args:
        classifier: Makes one for two classes.
        table: Features of the training rows. Shape (N, F).
        true: Whether each training row has each class. Shape (N, C).
        features_of: Some rows of test → their features.
        test: Rows that are predicted.
    """
    counted = true.sum(axis=0)
    always = np.flatnonzero(counted == len(true)).tolist() if len(true) else []
    mixed = np.flatnonzero((counted > 0) & (counted < len(true))).tolist()
    predicted: list[list[list[int]]] = []
    group = max(1, _WEIGHTS // max(1, table.shape[1]))
    for start in range(0, max(1, len(mixed)), group):
        numbers = mixed[start : start + group]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a baseline that has not quite converged is still one
            fitted = [classifier().fit(table, true[:, number]) for number in numbers]
        for place, chunk in enumerate(features.chunks(test)):
            rows = features_of(chunk)
            if start == 0:
                predicted.append([list(always) for _ in range(rows.shape[0])])
            for number, model in zip(numbers, fitted, strict=True):
                for row in np.flatnonzero(model.decision_function(rows) >= 0).tolist():
                    predicted[place][row].append(number)
    return [sorted(row) for chunk in predicted for row in chunk]


def ridge_tfidf(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[float]:
    """Predict numbers with ridge regression on TF-IDF weights of words and pairs of words; without words, the mean.

    The penalty is chosen by generalized cross-validation on at most 2,000 rows; it learns from at most `MOST_ROWS`.
    """
    from sklearn.linear_model import Ridge, RidgeCV

    learned = features.at_most(train, MOST_ROWS)
    vectorizer, texts = _vectorizer(), features.texts(learned)
    if not _has_words(vectorizer, texts):
        return mean_value(train, test, labels)
    table, numbers = vectorizer.fit_transform(texts), np.asarray(features.target(learned), np.float64)
    some = features.at_most(pa.table({"row": np.arange(len(numbers))}), _MOST_CHOSEN_ON)["row"].to_numpy()
    penalty = RidgeCV(_PENALTIES).fit(table[some], numbers[some]).alpha_
    model = Ridge(alpha=penalty, random_state=0).fit(table, numbers)
    pieces = (vectorizer.transform(features.texts(chunk)) for chunk in features.chunks(test))
    return [float(number) for piece in pieces for number in model.predict(piece)]


def ridge_pixels(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[float]:
    """Predict numbers with ridge regression on pictures of 12 × 12 pixels, learnt from at most `MOST_FILES`."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    learned = features.at_most(train, MOST_FILES)
    pipeline = make_pipeline(StandardScaler(), RidgeCV(tuple(np.logspace(-1, 5, 13).tolist())))
    pipeline.fit(features.pixels(learned), np.asarray(features.target(learned), np.float64))
    return [float(number) for number in pipeline.predict(features.pixels(test))]
