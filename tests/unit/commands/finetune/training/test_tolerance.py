"""By how much a validation figure varies by chance."""

import pyarrow as pa
import pytest

from toolkit.commands.finetune.training.validation import counted, tolerance

LABELS = ("O", "B-PER", "I-PER")


def test_the_f1_of_entities_is_a_share_of_entities(tokens):
    rows = pa.table({"words": [["Ada", "B", "c"], ["d"], ["E"]], "labels": [[1, 2, 0], [0], [1]]})
    assert counted(tokens, "entity_f1", rows, LABELS) == 2
    assert counted(tokens, "loss", rows, LABELS) == 3
    assert tolerance(tokens, "entity_f1", 2)(0.5) == pytest.approx((0.25 / 2) ** 0.5)


def test_metrics_of_classes_are_shares_of_rows(sentiment):
    rows = pa.table({"text": ["a", "b", "c"], "label": [0, 1, 1]})
    for metric in ("accuracy", "f1"):
        assert counted(sentiment, metric, rows, ("no", "yes")) == 3
    assert counted(sentiment, "accuracy", rows.slice(0, 0), ("no", "yes")) == 0
    assert tolerance(sentiment, "accuracy", 0)(0.5) == tolerance(sentiment, "loss", 3)(0.5) == 0.0
