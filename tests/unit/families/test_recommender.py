"""Inputs, rankings and files of models that rank items."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from toolkit.data.batching.batch import encode_chunks
from toolkit.families import recommender
from toolkit.training.loss.objective import count_items

SEQUENCES = [["a", "b", "c"], ["b", "c"], ["c", "d e"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recommender")
    recommender.write_untrained(
        SEQUENCES, path, width=8, layers=1, heads=2, dropout=0.1, longest=4, seed=0
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def tokenizer(folder):
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def model(folder):
    return AutoModelForCausalLM.from_pretrained(folder).eval()


def encoded(tokenizer, exclude_seen=True, **columns):
    return recommender.encode(columns, tokenizer, longest=4, exclude_seen=exclude_seen)


def answers(model, tokenizer, features):
    rows = [{name: np.asarray(values[n]) for name, values in features.items()} for n in range(len(features["last"]))]
    batch = recommender.collate(rows, tokenizer)
    with torch.no_grad():
        outputs = model(**batch)
    left_out = {name: [row[name] for row in rows] for name in ("last", "seen")}
    return recommender.ranked(outputs.logits, {**left_out, **batch}, tokenizer), outputs, batch


def test_items_are_words_of_a_plain_tokenizer(tokenizer, folder):
    assert tokenizer(["c", "d e", "new"], is_split_into_words=True)["input_ids"] == [2, 3, 6, 1]
    assert recommender.item_counts(folder, tokenizer) == {"a": 1, "b": 2, "c": 3, "d e": 1}


def test_the_same_embeddings_are_at_input_and_output(model):
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_every_item_of_a_training_row_is_learned(tokenizer):
    features = encoded(tokenizer, history=[["a", "b"]], item=["c"], _learned=[3])
    ids = tokenizer.convert_tokens_to_ids(["a", "b", "c"])
    assert features["input_ids"] == [[2, *ids]]
    assert features["labels"] == [[-100, *ids]]
    assert features["last"] == [2]


@pytest.mark.parametrize(
    ("history", "item", "ids", "labels", "last"),
    [
        (["a", "new", "b"], "c", "abc", "--c", 2),  # unknown items are left out
        (["a"], "new", "a", "-", 1),  # nothing to learn
        (["new"], "a", "a", "a", 0),
        (["a", "b", "c", "a", "b", "c"], "a", "cabca", "----a", 4),  # the last four are read
    ],
)
def test_of_other_rows_the_next_item_alone_counts(tokenizer, history, item, ids, labels, last):
    features = encoded(tokenizer, history=[history], item=[item])
    numbers = tokenizer.get_vocab()
    assert features["input_ids"] == [[2, *(numbers[name] for name in ids)]]
    assert features["labels"] == [[-100, *(-100 if name == "-" else numbers[name] for name in labels)]]
    assert features["last"] == [last]


def test_the_ranking_does_not_depend_on_the_next_item(model, tokenizer):
    history = [["a", "b"], ["c"]]
    with_items = [answers(model, tokenizer, encoded(tokenizer, history=history, item=row))[0]
                  for row in (["c", "a"], ["d e", "b"])]  # fmt: skip
    without, _, batch = answers(model, tokenizer, encoded(tokenizer, history=history))
    assert "labels" not in batch
    for outcome in with_items:
        assert outcome["prediction"] == without["prediction"]
        assert np.concatenate(outcome["probabilities"]) == pytest.approx(np.concatenate(without["probabilities"]))


def test_items_of_the_history_are_left_out_or_not(model, tokenizer):
    outcome, *_ = answers(model, tokenizer, encoded(tokenizer, history=[["a", "b"], ["new"]]))
    assert [set(row) for row in outcome["prediction"]] == [{"c", "d e"}, {"a", "b", "c", "d e"}]
    assert [sum(row) for row in outcome["probabilities"]] == pytest.approx([1, 1])
    outcome, *_ = answers(model, tokenizer, encoded(tokenizer, exclude_seen=False, history=[["a", "b"]]))
    assert set(outcome["prediction"][0]) == {"a", "b", "c", "d e"}
    outcome, *_ = answers(model, tokenizer, encoded(tokenizer, history=[["a", "b", "c", "d e"]]))
    assert outcome["prediction"] == [[]]


def test_the_loss_is_a_cross_entropy_over_all_tokens_of_the_learned_items(model, tokenizer):
    features = encoded(tokenizer, history=[["a", "b"], ["c"]], item=["c", "b"], _learned=[3, 1])
    _, outputs, batch = answers(model, tokenizer, features)
    assert count_items(batch) == 4
    logs = outputs.logits.log_softmax(dim=-1)
    ids = batch["input_ids"]
    terms = [logs[0, 0, ids[0, 1]], logs[0, 1, ids[0, 2]], logs[0, 2, ids[0, 3]], logs[1, 1, ids[1, 2]]]
    assert float(outputs.loss) == pytest.approx(-float(sum(terms)) / 4, rel=1e-5)


def test_logits_of_read_positions_are_those_of_all(model, tokenizer):
    features = encoded(tokenizer, history=[["a", "b", "c"], ["c"], ["new"]], item=["d e", "b", "new"])
    outcome, *_ = answers(model, tokenizer, features)
    rows = [{name: np.asarray(values[n]) for name, values in features.items()} for n in range(2)]
    few = recommender.collate(rows, tokenizer)
    with torch.no_grad():
        some, every = model(**few), model(few["input_ids"], attention_mask=few["attention_mask"])
    assert few["logits_to_keep"].tolist() == [1, 2, 3, 4]
    assert torch.allclose(some.logits, every.logits[:, few["logits_to_keep"]], atol=1e-6)
    logs = every.logits.log_softmax(dim=-1)
    terms = [logs[0, 3, few["input_ids"][0, 4]], logs[1, 1, few["input_ids"][1, 2]]]
    assert float(some.loss) == pytest.approx(-float(sum(terms)) / 2, rel=1e-5)
    assert count_items(few) == 2
    whole = {name: [row[name] for row in rows] for name in ("last", "seen")}
    alike = recommender.ranked(every.logits, whole, tokenizer)
    assert alike["prediction"] == outcome["prediction"][:2]
    assert np.concatenate(alike["probabilities"]) == pytest.approx(np.concatenate(outcome["probabilities"][:2]))


def test_features_are_compact_columns(tokenizer):
    import pyarrow as pa

    rows = pa.table({"history": [["a"], ["b", "c"]], "item": ["b", "a"]})
    (chunk,) = encode_chunks(rows, lambda columns: encoded(tokenizer, **columns))
    assert [len(row) for row in (chunk["seen"][0], chunk["seen"][1])] == [1, 2]


def test_rankings_are_sorted_by_score(tokenizer):
    logits = torch.zeros(1, 1, 7)
    logits[0, 0] = torch.tensor([9.0, 9.0, 9.0, 1.0, 3.0, 2.0, 0.0])
    batch = {"last": [0], "seen": [np.zeros(0, np.int64)]}
    outcome = recommender.ranked(SimpleNamespace(logits=logits).logits, batch, tokenizer)
    assert outcome["prediction"] == [tokenizer.convert_ids_to_tokens([4, 5, 3, 6])]
