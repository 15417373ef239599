"""When training methods are compared, and the resulting parts."""

import shutil

import numpy as np
import pytest

from tests.support import checkpoints
from tests.support.errors import refused
from toolkit.commands.few_labels import candidates
from toolkit.commands.finetune.prepare import configure
from toolkit.commands.finetune.prepare import prepare as prepare_run
from toolkit.errors import ConfigError, DataError
from toolkit.training.adaptation.selection import OutOfFold


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def prepare(rows=60, source="reviews.csv", **sections):
        checkpoints.reviews(tmp_path / "reviews.csv", rows)
        values = {"model": checkpoints.TINY, "data": {"source": source}, **sections}
        recipe, resolved = configure("sentiment", [("flag", values)])
        return prepare_run(recipe, resolved, lambda _event: None, may_compare=True)

    return prepare


def test_few_rows_are_all_learned_from(prepare):
    few, usual = prepare(), prepare(training={"few_labels": "off"})
    assert few.config.training.few_labels == "on"
    assert few.splits.train.num_rows == usual.splits.train.num_rows + usual.splits.validation.num_rows
    assert few.splits.validation.num_rows == 0
    assert few.resolved.automatic().keys() >= {"training.few_labels", "training.epochs"}
    assert [part["name"] for part in few.splits.facts["splits"]] == ["train", "test"]
    assert few.splits.facts["splits"][0]["rows"] == few.splits.train.num_rows
    assert few.splits.test.equals(usual.splits.test)
    assert few.splits.facts["fingerprint"] == usual.splits.facts["fingerprint"]


def test_given_validation_rows_stay_apart(prepare, tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    for seed, part in enumerate(("train", "validation", "test")):
        checkpoints.reviews(folder / f"{part}.csv", 40, seed=seed)
    prepared = prepare(source="parts")
    assert prepared.config.training.few_labels == "on"
    assert (prepared.splits.train.num_rows, prepared.splits.validation.num_rows) == (40, 40)
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "sections",
    [
        {"rows": 300},
        {"training": {"epochs": 2}},
        {"training": {"learning_rate": 1e-4}},
        {"training": {"linear_probe": False}},
        {"loss": {"class_weights": "balanced"}},
        {"adapter": {"kind": "lora"}},
        {"attention": "sliding-window:8"},
    ],
)
def test_no_comparison_for_many_rows_or_own_settings(prepare, sections):
    prepared = prepare(**sections)
    assert prepared.config.training.few_labels == "off"
    assert prepared.splits.validation.num_rows > 0


@pytest.mark.parametrize("training", [{"seed": 3}, {"device": "cpu"}, {"num_processes": 1}])
def test_neutral_settings_do_not_prevent_the_comparison(prepare, training):
    assert prepare(training=training).config.training.few_labels == "on"


def test_on_compares_many_rows_and_keeps_set_epochs(prepare):
    prepared = prepare(rows=300, training={"few_labels": "on", "epochs": 2})
    assert prepared.config.training.few_labels == "on"
    assert prepared.config.training.epochs == 2


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({"adapter": {"kind": "lora"}}, "adapter.kind"),
        ({"attention": "sliding-window:8"}, "attention"),
        ({"training": {"few_labels": "on", "freeze": 1}}, "training.freeze"),
        ({"training": {"few_labels": "on", "ema_decay": 0.9}}, "training.ema_decay"),
    ],
)
def test_on_is_refused_where_ways_cannot_be_compared(prepare, sections, named):
    with refused(ConfigError, "config.conflict", "`training.few_labels`", named):
        prepare(**{"training": {"few_labels": "on"}, **sections})


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({"rows": 300}, "--few"),
        ({"training": {"few_labels": "off"}}, "training.few_labels"),
        ({"training": {"budget": 60}}, "training.budget"),
        ({"adapter": {"kind": "lora"}}, "adapter.kind"),
    ],
)
def test_texts_without_labels_are_refused_where_nothing_is_compared(prepare, write, sections, named):
    texts = write("more.txt", "\n".join(f"a film about {number} birds" for number in range(50)))
    with refused(ConfigError, "config.conflict", "`data.unlabelled`", named):
        prepare(data={"source": "reviews.csv", "unlabelled": str(texts)}, **sections)


def test_too_few_texts_without_labels_are_refused_before_the_run(prepare, write):
    texts = write("more.txt", "a film\nanother film\n")
    with refused(DataError, "data.too-few-rows", "2 different texts"):
        prepare(data={"source": "reviews.csv", "unlabelled": str(texts)})


def test_commands_that_compare_nothing_refuse_texts_without_labels(tmp_path, write):
    data = {"source": str(checkpoints.reviews(tmp_path / "reviews.csv", 60)), "unlabelled": "more.txt"}
    recipe, resolved = configure("sentiment", [("flag", {"model": checkpoints.TINY, "data": data})])
    with refused(ConfigError, "config.not-for-command", "`data.unlabelled`"):
        prepare_run(recipe, resolved, lambda _event: None)


def test_searches_and_range_tests_compare_nothing(prepare, tmp_path):
    checkpoints.reviews(tmp_path / "reviews.csv", 60)
    values = {"model": checkpoints.TINY, "data": {"source": "reviews.csv"}}
    recipe, resolved = configure("sentiment", [("flag", values)])
    assert prepare_run(recipe, resolved, lambda _event: None).splits.validation.num_rows > 0


def way(right: float, seed: int = 0) -> OutOfFold:
    """Return out-of-fold predictions of 60 rows whose classes get logits of `right` more than others, and noise."""
    labels = np.arange(60) % 2
    noise = np.random.default_rng(seed).standard_normal((60, 2))
    logits = noise + right * np.eye(2)[labels]
    return OutOfFold(logits, labels, np.arange(60) % 3, (0, 1, 2))


def test_contrastive_fine_tuning_is_kept_unless_another_is_clearly_ahead():
    close = {candidates.PROBE: way(1.0, 4), candidates.CONTRASTIVE: way(1.0, 20)}  # ahead by half a standard error
    assert candidates.choose(close) == candidates.CONTRASTIVE
    ahead = {candidates.PROBE: way(4.0, 1), candidates.CONTRASTIVE: way(0.2, 2)}
    assert candidates.choose(ahead) == candidates.PROBE
