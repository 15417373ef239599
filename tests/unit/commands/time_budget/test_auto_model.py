"""Which model `--model auto` chooses."""

import json
from pathlib import Path

import pytest

from tests.support import checkpoints as toys
from tests.support.errors import refused
from toolkit import checkpoints, models, sources, weights
from toolkit.checkpoints import Checkpoint
from toolkit.commands.finetune.prepare import configure, prepare
from toolkit.commands.time_budget import auto_model
from toolkit.commands.time_budget.auto_model import Candidate, best, candidates, choose_model
from toolkit.errors import CallError, ConfigError, ModelError


def candidate(name: str, parameters: float, share: float | None = None, loss: float | None = None) -> Candidate:
    return Candidate(Checkpoint(name, Path(name), name, None, None, {}), int(parameters * 1e6), share, loss)


def test_of_those_that_fit_the_probe_decides():
    results = [candidate("small", 4, 5.0, 0.4), candidate("middle", 20, 2.0, 0.3), candidate("large", 100, 0.6, 0.35)]
    assert best(results).checkpoint.name == "middle"


def test_without_probes_of_all_the_largest_that_fits_is_taken():
    results = [candidate("small", 4, 5.0, 0.4), candidate("middle", 20, 2.0), candidate("large", 100, 0.1, None)]
    assert best(results).checkpoint.name == "middle"


def test_where_none_fits_it_is_the_one_that_comes_furthest():
    for share in (0.3, -5.0):
        results = [candidate("small", 4, share), candidate("middle", 20, share - 0.1), candidate("large", 100)]
        assert best(results).checkpoint.name == "small"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with data, and two checkpoints: BERT-tiny, and a smaller one with random weights."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    monkeypatch.chdir(tmp_path)
    toys.reviews(tmp_path / "reviews.csv", 160)
    tokenizer = AutoTokenizer.from_pretrained(sources.package_path("cognition/model"))
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(tmp_path / "smaller")
    tokenizer.save_pretrained(tmp_path / "smaller")
    return tmp_path


def configured(model: str, **sections):
    values = {"model": model, "data": {"source": "reviews.csv"}, **sections}
    return configure("sentiment", [("flag", values)])


BOTH = f"auto:{toys.TINY},smaller"


def test_candidates_come_with_the_smallest_first(place):
    recipe, resolved = configured(BOTH)
    result, _ = candidates(recipe, resolved.config)
    assert [one.checkpoint.name for one in result] == ["smaller", toys.TINY]
    path = sources.package_path("cognition/model")
    assert result[1].parameters == weights.parameters(path) > result[0].parameters


def test_the_parameters_of_a_file_are_counted_without_loading_it(place):
    from transformers import BertModel

    assert weights.parameters(place / "smaller") == models.size(BertModel.from_pretrained(place / "smaller"))[0]
    (place / "smaller" / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{broken}" + b"0" * 400)
    assert weights.parameters(place / "smaller") == 104


def test_named_models_must_exist_and_fit(place):
    for model, identifier in (("auto:", "config.malformed-value"), ("auto:absent/", "source.file-missing")):
        recipe, resolved = configured(model)
        with refused(CallError, identifier):
            candidates(recipe, resolved.config)
    facts = json.loads((place / "smaller" / "config.json").read_text(encoding="utf-8"))
    (place / "smaller" / "config.json").write_text(json.dumps(facts | {"model_type": "vit"}), encoding="utf-8")
    recipe, resolved = configured(BOTH)
    with refused(ModelError, "model.wrong-family", "vit"):
        candidates(recipe, resolved.config)


def test_those_at_hand_are_packaged_or_cached_and_not_trained_for_something_else(place, monkeypatch):
    monkeypatch.setattr(
        checkpoints, "cached_models", lambda: ["distilbert/distilbert-base-uncased", "some/judge", "some/base"]
    )
    monkeypatch.setattr(checkpoints, "is_there", lambda name: "minilm" in name.lower())
    monkeypatch.setattr(sources, "hub_problem", lambda: "no network")
    located = {
        "distilbert": {"model_type": "distilbert", "architectures": ["DistilBertForMaskedLM"]},
        "minilm": {"model_type": "bert", "architectures": ["BertModel"]},
        "some/judge": {"model_type": "bert", "architectures": ["BertForSequenceClassification"]},
        "some/base": {"model_type": "bert", "architectures": ["BertForMaskedLM"]},
    }
    monkeypatch.setattr(
        checkpoints, "locate", lambda name, *_: Checkpoint(name, Path(name), name, None, None, located[name])
    )
    monkeypatch.setattr(weights, "parameters", lambda path: len(str(path)))
    recipe, resolved = configured("auto")
    fitting, unsuitable = candidates(recipe, resolved.config)
    assert {model.checkpoint.name for model in fitting} == {"distilbert", "minilm", "some/base"}
    assert list(unsuitable) == ["some/judge"]
    assert "BertForSequenceClassification" in unsuitable["some/judge"]


def test_a_named_model_is_left_alone(place):
    recipe, resolved = configured("smaller")
    assert choose_model(recipe, resolved, lambda _event: None) is resolved


def test_without_a_budget_the_size_is_bounded(place, monkeypatch):
    recipe, resolved = configured(BOTH, training={"device": "cpu"})
    chosen = choose_model(recipe, resolved, lambda _event: None)
    assert chosen.config.model == toys.TINY
    assert chosen.origin("model").startswith(f"auto: {toys.TINY}, from ")
    monkeypatch.setattr(auto_model, "ON_CPU", 1_000_000)
    assert choose_model(recipe, resolved, lambda _event: None).config.model == "smaller"
    monkeypatch.setattr(auto_model, "ON_CPU", 1)
    assert choose_model(recipe, resolved, lambda _event: None).config.model == "smaller"


def test_within_a_budget_candidates_are_measured_and_probed(place):
    recipe, resolved = configured(BOTH, training={"budget": "1h", "device": "cpu"})
    notes = []
    chosen = choose_model(recipe, resolved, notes.append)
    assert chosen.config.model in (toys.TINY, "smaller")
    assert chosen.origin("model").endswith("rows and 1h")
    assert str(notes[-1]).count("probe loss") == 2
    prepared = prepare(recipe, chosen, lambda _event: None)
    assert prepared.model_choice == chosen.origin("model")


def test_a_resumed_run_keeps_its_model(place, monkeypatch):
    recipe, resolved = configured(BOTH)
    run = place / "runs" / "one"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("model: smaller\n", encoding="utf-8")
    (run / "run.json").write_text(
        json.dumps({"status": "interrupted", "model_choice": "auto: smaller"}), encoding="utf-8"
    )
    assert choose_model(recipe, resolved, lambda _event: None, resume=True).config.model == "smaller"
    assert choose_model(recipe, resolved, lambda _event: None).config.model == toys.TINY
    (run / "run.json").write_text(json.dumps({"status": "interrupted"}), encoding="utf-8")
    assert choose_model(recipe, resolved, lambda _event: None, resume=True).config.model == toys.TINY


def test_other_commands_want_a_name(place):
    recipe, resolved = configured("auto")
    with refused(ConfigError, "config.not-for-command", "auto"):
        prepare(recipe, resolved, lambda _event: None)
