"""Classify texts by topic, intent, spam or any other class; also several classes, ratings or numbers for each text.

Learns from a table with a text column, or two of them for pairs, and a label column, whose values say which of these
it is: names of classes, several of them in a cell, ratings, or numbers. The default data are titles and beginnings of
news articles in four topics (AG News; Zhang, Zhao and LeCun 2015).
"""

from typing import Any

from toolkit.tasks.parts import text_classification
from toolkit.tasks.targets.multi_label import MULTI_LABEL
from toolkit.tasks.targets.number import NUMBER
from toolkit.tasks.targets.ordinal import ORDINAL
from toolkit.tasks.targets.single_label import SINGLE_LABEL
from toolkit.tasks.task import Column

DEFAULTS: dict[str, Any] = {
    "model": "distilbert",
    "data": {"source": "fancyzhx/ag_news"},
    "training": {"best_metric": "accuracy"},
}

TARGETS = {"class": SINGLE_LABEL, "classes": MULTI_LABEL, "stars": ORDINAL, "number": NUMBER}

_NAMES = ("label", "labels", "class", "classes", "topic", "topics", "intent", "tag", "tags", "target", "category")
_NUMBERS = ("rating", "stars", "score", "similarity", "similarity_score", "value")

COLUMNS = (
    *text_classification.INPUTS,
    Column("label", (*_NAMES, "categories", "genres", *_NUMBERS, "sentiment"), SINGLE_LABEL),
)

METRICS = SINGLE_LABEL.metrics
BASELINES = SINGLE_LABEL.baselines["text"]

load_processor = text_classification.load_processor
preprocess = text_classification.preprocess
remarks = text_classification.remarks
build_model = text_classification.build_model
