"""Each metric against scikit-learn's own figure, and as an `evaluate` module with no network."""

import subprocess
import sys

import evaluate
import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given
from hypothesis import strategies as st

from tests.support.errors import refused
from toolkit import sources
from toolkit.errors import SourceError
from toolkit.metrics import Metric, as_module, classification, load
from toolkit.metrics.classification import METRICS

CLASSES = ("a", "b", "c", "d")
pairs = st.integers(1, len(CLASSES)).flatmap(
    lambda n: st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), min_size=1, max_size=40)
)
THEIRS = {
    "accuracy": reference.accuracy_score,
    "f1": lambda true, said: reference.f1_score(true, said, average="macro", zero_division=0),
    "f1_weighted": lambda true, said: reference.f1_score(true, said, average="weighted", zero_division=0),
    "matthews": reference.matthews_corrcoef,
}


def figure(metric: Metric, said, true, labels=CLASSES) -> float:
    return float(metric.aggregate(metric.statistics(said, true, labels).sum(axis=0)))


def test_every_metric_has_a_reference_here():
    assert METRICS.keys() == THEIRS.keys()


@pytest.mark.parametrize("name", THEIRS)
@pytest.mark.filterwarnings("ignore:A single label was found:UserWarning")
@given(rows=pairs)
def test_the_figure_is_scikit_learns(name, rows):
    said, true = zip(*rows, strict=True)
    if name == "matthews" and len(set(true)) == 1:  # scikit-learn returns 0 for 0 of 0
        assert np.isnan(figure(METRICS[name], said, true))
    else:
        assert figure(METRICS[name], said, true) == pytest.approx(THEIRS[name](true, said), abs=1e-12)


@given(pairs)
def test_precision_recall_and_f1_of_each_class_are_scikit_learns(rows):
    said, true = zip(*rows, strict=True)
    sums = classification.class_counts(said, true, CLASSES).sum(axis=0)
    theirs = reference.precision_recall_fscore_support(true, said, labels=range(len(CLASSES)), zero_division=np.nan)
    ours = (
        classification.precision(sums),
        classification.recall(sums),
        classification.f1(sums),
        sums.reshape(3, -1)[2],
    )
    for item, other in zip(ours[:2], theirs[:2], strict=True):
        assert np.asarray(item) == pytest.approx(other, nan_ok=True)
    for item, other in zip(ours[2:], theirs[2:], strict=True):
        assert np.asarray(item) == pytest.approx(np.nan_to_num(other))


@pytest.mark.parametrize("name", METRICS)
@given(rows=pairs)
def test_the_figure_is_a_function_of_sums(name, rows):
    """What bootstrap and jackknife rest on: many sums at a time give what each gives alone."""
    said, true = zip(*rows, strict=True)
    statistics = METRICS[name].statistics(said, true, CLASSES)
    assert len(statistics) == len(rows)
    sums = statistics.sum(axis=0) - statistics
    together = METRICS[name].aggregate(sums.reshape(1, *sums.shape))
    assert together.shape == (1, len(rows))
    alone = [float(METRICS[name].aggregate(row)) for row in sums]
    assert together[0].tolist() == pytest.approx(alone, abs=0, nan_ok=True)


def test_a_prediction_that_is_no_class_is_only_wrong():
    counts = classification.class_counts([0, 7, -1], [0, 1, 1], ("a", "b")).sum(axis=0).reshape(3, 2)
    assert counts.tolist() == [[1, 0], [1, 0], [1, 2]]


def test_division_by_zero_gives_zero():
    assert classification.divide(np.array([1.0, 0.0, 3.0]), np.array([0.0, 0.0, 2.0])).tolist() == [0.0, 0.0, 1.5]


# --- as `evaluate` modules ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.filterwarnings("ignore:A single label was found:UserWarning")
def test_the_module_gives_the_same_figure(name, no_sockets, no_hub):
    said, true = [0, 1, 2, 2, 0], [0, 2, 2, 2, 1]
    module, definition = load(name)
    assert module is None
    module = as_module(definition)
    assert isinstance(module, evaluate.Metric)
    assert definition is METRICS[name]
    assert module.compute(predictions=said, references=true) == pytest.approx({name: THEIRS[name](true, said)})


def test_batches_add_up_to_the_whole(no_sockets):
    module = as_module(METRICS["f1"])
    for said, true in (([0, 1], [0, 0]), ([2, 1], [2, 1])):
        module.add_batch(predictions=said, references=true)
    assert module.compute() == as_module(METRICS["f1"]).compute(predictions=[0, 1, 2, 1], references=[0, 0, 2, 1])


def test_a_module_starts_afresh_each_time():
    module = as_module(METRICS["accuracy"])
    assert module.compute(predictions=[1, 1], references=[1, 1]) == {"accuracy": 1.0}
    assert module.compute(predictions=[0, 0], references=[1, 1]) == {"accuracy": 0.0}


def test_modules_are_combined(no_sockets):
    combined = evaluate.combine([as_module(metric, CLASSES) for metric in METRICS.values()])
    figures = combined.compute(predictions=[0, 1, 3], references=[0, 1, 1])
    assert figures == pytest.approx({name: theirs([0, 1, 1], [0, 1, 3]) for name, theirs in THEIRS.items()})


def test_classes_that_were_not_seen_do_not_change_the_figure():
    few = as_module(METRICS["f1"], ("a", "b")).compute(predictions=[0, 1], references=[0, 0])
    assert as_module(METRICS["f1"], CLASSES).compute(predictions=[0, 1], references=[0, 0]) == few
    assert as_module(METRICS["f1"]).compute(predictions=[0, 1], references=[0, 0]) == few


def test_a_recipes_own_metric_is_a_module(tokens, no_sockets):
    own, *_ = tokens.metrics
    module, definition = load(own)
    assert module is None
    module = as_module(definition)
    assert definition is own
    assert as_module(own, ("O", "B-PER")).compute(predictions=[[0, 1], [0]], references=[[0, 1], [1]]) == {
        "entity_f1": pytest.approx(2 / 3)
    }
    assert module.compute(predictions=[[0]], references=[[0]]) == {"entity_f1": 0.0}  # names are numbers: no entity


def test_a_metric_of_texts_is_a_module():
    def same(said, true, _):
        return np.array([[float(a == b), 1.0] for a, b in zip(said, true, strict=True)])

    exact = Metric("exact", "Exact match", same, lambda sums: sums[..., 0] / sums[..., 1], value_type="string")
    assert as_module(exact).compute(predictions=["a", "b"], references=["a", "c"]) == {"exact": 0.5}


def test_an_unknown_metric_without_a_network_is_refused(no_hub):
    with refused(SourceError, "hub.unreachable", "`rouge`") as caught:
        load("rouge")
    assert "there is no network" in caught.value.problem


def test_an_unknown_metric_that_the_hub_does_not_have(monkeypatch):
    def absent(name):
        raise FileNotFoundError(f"Couldn't find {name}")

    monkeypatch.setattr(sources, "hub_problem", lambda: None)
    monkeypatch.setattr(evaluate, "load", absent)
    with refused(SourceError, "hub.cannot-load", "`nosuch`", "Couldn't find nosuch"):
        load("nosuch")


def test_metrics_load_offline_in_a_process_that_cannot_connect():
    program = """
import os, socket
os.environ["HF_HUB_OFFLINE"] = "1"
def refuse(*_): raise AssertionError("a connection was opened")
socket.socket.connect = socket.getaddrinfo = refuse
from toolkit.metrics import as_module, load
from toolkit.metrics.classification import METRICS
for name in METRICS:
    print(name, as_module(load(name)[1]).compute(predictions=[0, 1], references=[0, 1])[name])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == [word for name in METRICS for word in (name, "1.0")]
