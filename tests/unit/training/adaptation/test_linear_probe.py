"""The linear probe: fitted as scikit-learn does, and put into the model's own last layer."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support import models
from toolkit.data.batching.batch import Features, Ragged, pad
from toolkit.training.adaptation import feature_vectors, linear_probe, probe_kinds
from toolkit.training.adaptation.feature_vectors import HEAD, Vectors

RANDOM = np.random.default_rng(0)
LABELS = np.arange(60) % 2


def texts(rows: int = 60, *, by_word: bool = False) -> Features:
    lengths = RANDOM.integers(3, 9, rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = Ragged(RANDOM.integers(5, models.WORDS, offsets[-1]).astype(np.int32), offsets)
    labels = LABELS[:rows]
    if by_word:
        tags = np.where(np.arange(offsets[-1]) % 3 == 0, -100, ids.values % 2).astype(np.int32)
        labels = Ragged(tags, offsets)
    return Features({"input_ids": ids, "labels": labels}, lengths)


def pictures(rows: int = 60) -> Features:
    pixels = RANDOM.standard_normal((rows, 3, 8, 8)).astype(np.float32)
    return Features({"pixel_values": pixels, "labels": LABELS[:rows]}, np.ones(rows, np.int64))


def collate(features):
    return pad(features, {"labels": -100})


def take(model, layer, features):
    batches = list(feature_vectors.vectors(model, layer, features, collate, 16, nullcontext))
    return np.concatenate([rows for rows, _ in batches]), [vectors for _, vectors in batches]


FAMILIES = {
    "bert": (models.bert, texts),
    "distilbert": (models.distilbert, texts),
    "roberta": (models.roberta, texts),
    "modernbert": (models.modernbert, texts),
    "vit": (models.vit, pictures),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_last_layer_answers_as_the_probe(family):
    torch.manual_seed(0)
    make, rows = FAMILIES[family]
    model, features = make(), rows()
    layer = feature_vectors.output_layer(model, collate([features[0], features[1]]))
    numbers, batches = take(model, layer, features)
    assert sorted(numbers) == list(range(60))
    taken = feature_vectors.joined(batches)
    assert set(taken.by_pooling) >= {HEAD, "mean"}
    probes = {probe.pooling: probe for probe in linear_probe.fit(taken, taken, 2)}
    linear_probe.install(layer, probes[HEAD])
    batch = collate([features[row] for row in range(8)])
    with torch.no_grad():
        logits = model.eval()(**batch).logits.numpy()
    vectors = taken.by_pooling[HEAD][np.argsort(numbers, kind="stable")][:8]
    expected = vectors @ probes[HEAD].weight.T + probes[HEAD].bias
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_it_is_the_regression_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    vectors = RANDOM.standard_normal((90, 4)).astype(np.float32)
    labels = (vectors[:, 0] > 0).astype(np.int64) + (vectors[:, 1] > 1)
    taken = Vectors({"mean": vectors}, labels)
    (probe,) = linear_probe.fit(taken, taken, 3)
    scaled = StandardScaler().fit_transform(vectors.astype(np.float64))
    fitted = [LogisticRegression(C=c, max_iter=300).fit(scaled, labels) for c in probe_kinds.ONE_CLASS.strengths]
    assert probe.predictions(vectors) in [list(item.predict(scaled)) for item in fitted]
    likelihoods = [np.log(item.predict_proba(scaled)[np.arange(90), labels]).mean() for item in fitted]
    assert any(probe.loss == pytest.approx(-item, abs=1e-4) for item in likelihoods)
    assert probe.loss < probe.cross_validated_loss


def test_better_pooling_comes_first():
    labels = np.arange(80) % 2
    telling = (labels[:, None] + 0.1 * RANDOM.standard_normal((80, 3))).astype(np.float32)
    noise = RANDOM.standard_normal((80, 3)).astype(np.float32)
    learned, held_out = (Vectors({HEAD: noise[p], "mean": telling[p]}, labels[p]) for p in (slice(40), slice(40, 80)))
    probes = linear_probe.fit(learned, held_out, 2)
    assert [probe.pooling for probe in probes] == ["mean", HEAD]
    assert probes[0].accuracy == 1.0


def test_a_class_that_train_does_not_show_is_never_likely():
    labels = np.array([0, 2] * 20)
    vectors = RANDOM.standard_normal((40, 3)).astype(np.float32)
    (probe,) = linear_probe.fit(Vectors({"mean": vectors}, labels), Vectors({"mean": vectors}, labels), 3)
    assert 1 not in probe.predictions(vectors)
    assert np.isfinite(probe.loss)


def test_one_class_alone_has_no_probe():
    taken = Vectors({"mean": np.ones((5, 2), np.float32)}, np.zeros(5, np.int64))
    assert linear_probe.fit(taken, taken, 2) == []


def test_words_are_probed_one_by_one():
    from transformers import BertConfig, BertForTokenClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=models.WORDS, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    model, features = BertForTokenClassification(config), texts(20, by_word=True)
    layer = feature_vectors.output_layer(model, collate([features[0], features[1]]))
    numbers, batches = take(model, layer, features)
    tags = features.columns["labels"]
    words = {row: int((tags[row] >= 0).sum()) for row in range(20)}
    assert {row: int((numbers == row).sum()) for row in range(20)} == words
    assert set(batches[0].by_pooling) == {HEAD}
    first = int(numbers[0])
    assert batches[0].labels[: words[first]].tolist() == [int(tag) for tag in tags[first] if tag >= 0]


def test_a_model_whose_scores_are_picked_from_many_has_no_last_layer():
    from transformers import GPT2Config, GPT2ForSequenceClassification

    model = GPT2ForSequenceClassification(
        GPT2Config(vocab_size=models.WORDS, n_embd=16, n_layer=1, n_head=2, pad_token_id=0)
    )
    features = texts(6)
    batch = collate([features[0], features[1]])
    assert feature_vectors.output_layer(model, batch) is None
    _, batches = take(model, None, features)
    assert "mean" in batches[0].by_pooling


def test_regression_on_one_class_predicts_it():
    vectors = RANDOM.standard_normal((5, 4)).astype(np.float32)
    weight, bias = linear_probe.regression(vectors, np.full(5, 2), 3)
    assert ((vectors @ weight.T + bias).argmax(axis=1) == 2).all()


def test_regressions_run_on_one_thread_and_the_setting_returns():
    import threadpoolctl

    def threads():
        return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}

    seen = []

    def observed(vectors, labels, strength, classes):
        seen.append(threads())
        return probe_kinds.ONE_CLASS.regression(vectors, labels, strength, classes)

    kind = replace(probe_kinds.ONE_CLASS, regression=observed)
    rows = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        linear_probe.choose_penalty(rows, (rows[:, 0] > 0).astype(np.int64), 2, 0, kind)
        assert set.union(*seen) == {1}
        assert threads() == {2}
