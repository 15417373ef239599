"""What a model has to beat: simple predictors that learn from the same rows."""

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa


def majority(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[int]:
    """Predict the most frequent class of train for every row."""
    counted = Counter(train["label"].to_pylist())
    winner = max(range(len(labels)), key=lambda number: counted[number])
    return [winner] * test.num_rows


def tfidf_logistic_regression(train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[int]:
    """Predict with logistic regression on TF-IDF weights of words and pairs of words; without words, the majority."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    vectorizer, texts = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), _texts(train)
    if not any(map(vectorizer.build_analyzer(), texts)):  # texts of signs alone
        return majority(train, test, labels)
    pipeline = make_pipeline(vectorizer, LogisticRegression(C=10.0, max_iter=1000))
    pipeline.fit(texts, train["label"].to_pylist())
    return [int(number) for number in pipeline.predict(_texts(test))]


def _texts(rows: pa.Table) -> list[str]:
    first: list[str] = rows["text"].to_pylist()
    if "text_pair" not in rows.column_names:
        return first
    return [f"{a} {b or ''}" for a, b in zip(first, rows["text_pair"].to_pylist(), strict=True)]
